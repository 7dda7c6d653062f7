//! The metrics page, in Prometheus' text format 0.0.4.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::caches::Forwarded;
use super::line::BadAnswer;
use super::status::Status;
use pointsman_core::sign::Sign;

/// Bad answers that filters have reported, by sign.
#[derive(Default)]
pub struct BadAnswers {
    escalated: [AtomicU64; Sign::ALL.len()],
    kept: [AtomicU64; Sign::ALL.len()],
}

impl BadAnswers {
    /// Counts those of one post.
    pub fn count(&self, reported: &[BadAnswer]) {
        for bad in reported {
            let counters = if bad.escalated { &self.escalated } else { &self.kept };
            let known = Sign::ALL.iter().zip(counters).find(|(sign, _)| **sign == bad.sign);
            known.into_iter().for_each(|(_, counter)| {
                counter.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
}

/// Counters in the order of [`Sign::ALL`].
fn by_sign(counters: &[AtomicU64]) -> impl Iterator<Item = (&'static str, u64)> {
    let signs = Sign::ALL.iter().zip(counters);
    signs.map(|(sign, count)| (sign.name(), count.load(Ordering::Relaxed)))
}

/// The present state as metrics.
pub fn page(status: &Status, forwarded: &Forwarded, bad_answers: &BadAnswers) -> String {
    let mut page = Page::default();
    let decisions = status.targets.iter().zip(&status.totals.targets);
    page.counters(
        "pointsman_serve_decisions_total",
        "Decisions accepted.",
        "target",
        decisions.map(|(name, count)| (name.as_str(), *count)),
    );
    let lines = status.lines;
    page.counters(
        "pointsman_serve_lines_total",
        "Lines of posts, by result.",
        "result",
        [
            ("accepted", lines.accepted),
            ("duplicate", lines.duplicate),
            ("early", lines.early),
            ("late", lines.late),
            ("forged", lines.forged),
            ("invalid", lines.invalid),
        ],
    );
    let totals = &status.totals;
    let explored = totals.explored as f64;
    page.one("counter", "pointsman_serve_explored_total", "Decisions that explored.", explored);
    let rewards = totals.rewards as f64;
    page.one("counter", "pointsman_serve_rewards_total", "Rewards attributed.", rewards);
    let sum = totals.reward_sum;
    page.one("counter", "pointsman_serve_reward_sum_total", "Sum of rewards.", sum);
    let waiting = status.waiting.map_or(f64::NAN, |waiting| waiting as f64);
    let help = "Decisions that have no reward and may still get one.";
    page.one("gauge", "pointsman_serve_waiting", help, waiting);
    let samples = status.samples as f64;
    page.one("counter", "pointsman_serve_samples_total", "Samples learnt from.", samples);
    let Forwarded { sent, failed, dropped } = forwarded;
    page.counters(
        "pointsman_serve_cache_feedback_total",
        "Rewards for caches, by result.",
        "result",
        [("sent", sent), ("failed", failed), ("dropped", dropped)]
            .map(|(result, count)| (result, count.load(Ordering::Relaxed))),
    );
    page.counters(
        "pointsman_serve_escalated_total",
        "Bad answers in whose place another target was asked, by sign.",
        "sign",
        by_sign(&bad_answers.escalated),
    );
    page.counters(
        "pointsman_serve_bad_answers_kept_total",
        "Bad answers that were sent on, by sign.",
        "sign",
        by_sign(&bad_answers.kept),
    );
    page.into_text()
}

/// A page under construction.
#[derive(Default)]
pub struct Page(String);

// Writing into a string cannot fail.
impl Page {
    /// All that was written.
    pub fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A metric without labels; `kind` is `counter` or `gauge`.
    pub fn one(&mut self, kind: &str, name: &str, help: &str, value: f64) {
        self.head(kind, name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// Counters that differ in the value of one label.
    pub fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) {
        self.head("counter", name, help);
        for (of, count) in values {
            let of = of.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = writeln!(self.0, "{name}{{{label}=\"{of}\"}} {count}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page(String::new());
        page.counters("name", "Help.", "target", [("a\"b\\c\nd", 3)]);
        let expected =
            "# HELP name Help.\n# TYPE name counter\nname{target=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(page.0, expected);
    }
}
