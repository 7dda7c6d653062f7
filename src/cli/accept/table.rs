//! Router, net and both, for people to read.

use std::fmt::Write;

use pointsman_lab::evaluate::Estimate;
use pointsman_lab::evaluate::accept::{AcceptEvaluation, Comparison};

/// A line for each cheap model and one for all.
pub(super) fn text(evaluation: &AcceptEvaluation) -> String {
    let mut text = format!(
        "{:28} {:>5} {:>20} {:>20} {:>20} {:>20}  gain of both",
        "cheap model", "rows", "AUROC (95 %)", "router APGR", "net APGR", "both APGR"
    );
    for (pair, comparison) in &evaluation.by_pair {
        line(&mut text, pair, comparison);
    }
    line(&mut text, "all", &evaluation.all);
    let _ = write!(
        text,
        "\nA cheap request costs {:.3} of a strong one; answers below {:.3} are asked for again.",
        evaluation.cheap_share, evaluation.accept_below
    );
    text
}

fn line(text: &mut String, name: &str, comparison: &Comparison) {
    let _ = write!(
        text,
        "\n{name:28} {:>5} {:>20} {:>20} {:>20} {:>20}  {}",
        comparison.n,
        number(comparison.auroc),
        number(comparison.router.apgr),
        number(comparison.net.apgr),
        number(comparison.both.apgr),
        number(comparison.both.gain)
    );
}

fn number(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".to_owned(), |Estimate { value, ci95: [low, high] }| {
        format!("{value:.3} ({low:.3}–{high:.3})")
    })
}
