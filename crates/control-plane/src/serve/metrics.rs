//! The metrics page, in Prometheus' text format 0.0.4.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::caches::Forwarded;
use super::status::Status;

/// The present state as metrics.
pub fn page(status: &Status, forwarded: &Forwarded) -> String {
    let mut page = Page(String::new());
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
    page.0
}

struct Page(String);

// Writing into a string cannot fail.
impl Page {
    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, kind: &str, name: &str, help: &str, value: f64) {
        self.head(kind, name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counters<'l>(
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
