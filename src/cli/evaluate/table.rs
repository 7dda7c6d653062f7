//! Measures as tables.

use std::io::{Result, Write};

use pointsman_lab::evaluate::{Evaluation, Standing};
use pointsman_lab::learn::scores::Metrics;

/// The measures for people to read.
pub(super) fn table(out: &mut dyn Write, evaluation: &Evaluation) -> Result<()> {
    writeln!(
        out,
        "{:24} {:>6} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6}",
        "source", "rows", "majority", "accuracy", "AUROC", "APGR", "CPT50", "CPT80"
    )?;
    for (source, metrics) in &evaluation.by_source {
        measures(out, if source.is_empty() { "(none)" } else { source }, metrics)?;
    }
    measures(out, "all", &evaluation.metrics)?;
    let m = &evaluation.metrics;
    if let Some([low, high]) = m.auroc_ci95 {
        writeln!(out, "\nAUROC 95 % interval {low:.3} to {high:.3}")?;
    }
    if let Some(within) = evaluation.auroc_within_source.filter(|_| evaluation.by_source.len() > 1)
    {
        writeln!(out, "AUROC within sources {within:.3}")?;
    }
    writeln!(out, "Brier {:.4}, calibration error {:.4}", m.brier, m.ece)?;
    writeln!(
        out,
        "\n{:24} {:>8} {:>8} {:>8} {:>26}",
        format!("threshold {:.3}", evaluation.threshold),
        "strong",
        "accuracy",
        "quality",
        "gain in quality (95 %)"
    )?;
    standing(out, "this model", &evaluation.policy.standing)?;
    for (name, baseline) in &evaluation.baselines {
        standing(out, name, baseline)?;
    }
    Ok(())
}

fn measures(out: &mut dyn Write, name: &str, m: &Metrics) -> Result<()> {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
    writeln!(
        out,
        "{name:24} {:>6} {:>8.3} {:>8.3} {:>6} {:>6} {:>6} {:>6}",
        m.n,
        m.majority_accuracy,
        m.accuracy,
        number(m.auroc),
        number(m.apgr),
        number(m.cpt50),
        number(m.cpt80)
    )
}

fn standing(out: &mut dyn Write, name: &str, standing: &Standing) -> Result<()> {
    let gain = standing.gain.map_or(String::new(), |gain| {
        let [low, high] = gain.quality.ci95;
        format!("{:+.3} ({low:+.3} to {high:+.3})", gain.quality.value)
    });
    writeln!(
        out,
        "{:24} {:>6.1} % {:>8.3} {:>8.3} {gain:>26}",
        name.replace('_', " "),
        standing.strong_share * 100.0,
        standing.accuracy.value,
        standing.quality.value
    )
}
