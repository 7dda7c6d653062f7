//! What a target's cache counts, in the text format of Prometheus.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::guards::Disagreement;
use super::key::NoCacheReason;
use super::tiers::Size;
use pointsman_core::target::Usage;

/// How a request was answered: the value of the response header `x-pointsman-cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    HitExact,
    HitSemantic,
    Miss,
    Bypass,
}

impl CacheOutcome {
    pub fn name(self) -> &'static str {
        match self {
            CacheOutcome::HitExact => "hit-exact",
            CacheOutcome::HitSemantic => "hit-semantic",
            CacheOutcome::Miss => "miss",
            CacheOutcome::Bypass => "bypass",
        }
    }
}

/// Why an answer was passed on and not stored. The names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoStoreReason {
    /// Not 200.
    Status,
    /// Neither JSON nor events, or encoded.
    Type,
    /// The provider said `no-store`, `no-cache` or `private`, or that it varies by what is not in
    /// the key.
    Forbidden,
    TooLarge,
    /// It ended early, or is not a whole JSON text or event stream.
    Incomplete,
    /// It reports an error, or that it was not finished.
    Failed,
    /// The model, or the provider's filter, refused.
    Refused,
    /// There is neither text nor a tool call nor media in it: whatever it is, it is not an answer.
    NoAnswer,
    /// The client left before its end.
    Abandoned,
}

impl NoStoreReason {
    fn name(self) -> &'static str {
        match self {
            NoStoreReason::Status => "status",
            NoStoreReason::Type => "type",
            NoStoreReason::Forbidden => "forbidden",
            NoStoreReason::TooLarge => "too_large",
            NoStoreReason::Incomplete => "incomplete",
            NoStoreReason::Failed => "failed",
            NoStoreReason::Refused => "refused",
            NoStoreReason::NoAnswer => "no_answer",
            NoStoreReason::Abandoned => "abandoned",
        }
    }
}

/// Counters by a label.
struct Family<L>(Mutex<HashMap<L, u64>>);

impl<L: Eq + Hash> Default for Family<L> {
    fn default() -> Self {
        Family(Mutex::default())
    }
}

impl<L: Eq + Hash + Copy> Family<L> {
    fn add(&self, label: L) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(label).or_default() += 1;
    }

    fn sorted(&self, name: impl Fn(L) -> &'static str) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named: Vec<_> =
            counts.iter().map(|(label, count)| (name(*label), *count)).collect();
        named.sort_unstable();
        named
    }
}

/// The counters of one target.
#[derive(Default)]
pub struct Metrics {
    outcomes: Family<CacheOutcome>,
    bypasses: Family<NoCacheReason>,
    refusals: Family<Disagreement>,
    not_stored: Family<NoStoreReason>,
    pub stored: AtomicU64,
    pub store_errors: AtomicU64,
    pub upstream_errors: AtomicU64,
    pub embedding_errors: AtomicU64,
    pub coalesced: AtomicU64,
    pub suspected_false_hits: AtomicU64,
    saved_input: AtomicU64,
    saved_output: AtomicU64,
}

/// Adds one to a counter.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    pub(super) fn outcome(&self, outcome: CacheOutcome, usage: Option<Usage>) {
        self.outcomes.add(outcome);
        if let (CacheOutcome::HitExact | CacheOutcome::HitSemantic, Some(usage)) = (outcome, usage)
        {
            self.saved_input.fetch_add(usage.input, Ordering::Relaxed);
            self.saved_output.fetch_add(usage.output, Ordering::Relaxed);
        }
    }

    pub(super) fn bypass(&self, reason: NoCacheReason) {
        self.bypasses.add(reason);
    }

    pub(super) fn refused(&self, kind: Disagreement) {
        self.refusals.add(kind);
    }

    pub(super) fn not_stored(&self, reason: NoStoreReason) {
        self.not_stored.add(reason);
    }

    /// Every metric with its rows; the same metrics in the same order for every target.
    fn table(&self, size: Size) -> Vec<Metric> {
        let metric = |name, help, label, rows| Metric { name, help, label, rows };
        let one = |name, help, counter: &AtomicU64| {
            metric(name, help, "", vec![("", counter.load(Ordering::Relaxed))])
        };
        let saved = [("input", &self.saved_input), ("output", &self.saved_output)];
        let saved = saved.map(|(name, counter)| (name, counter.load(Ordering::Relaxed)));
        vec![
            metric(
                "requests_total",
                "Requests by how they were answered.",
                "result",
                self.outcomes.sorted(CacheOutcome::name),
            ),
            metric(
                "bypasses_total",
                "Requests passed on without a lookup, by reason.",
                "reason",
                self.bypasses.sorted(NoCacheReason::name),
            ),
            metric(
                "guard_refusals_total",
                "Similar entries that a guard refused, by what differed.",
                "kind",
                self.refusals.sorted(Disagreement::name),
            ),
            metric(
                "not_stored_total",
                "Answers passed on and not stored, by reason.",
                "reason",
                self.not_stored.sorted(NoStoreReason::name),
            ),
            metric(
                "saved_tokens_total",
                "Tokens of answers that came from the cache.",
                "direction",
                saved.to_vec(),
            ),
            one("stored_total", "Answers stored.", &self.stored),
            one("store_errors_total", "Failed reads and writes of the store.", &self.store_errors),
            one(
                "upstream_errors_total",
                "Requests that the upstream did not answer.",
                &self.upstream_errors,
            ),
            one(
                "embedding_errors_total",
                "Questions without a vector, looked up in the exact tier only.",
                &self.embedding_errors,
            ),
            one("coalesced_total", "Requests that waited for another's answer.", &self.coalesced),
            one(
                "suspected_false_hits_total",
                "Semantic hits with a bad reward.",
                &self.suspected_false_hits,
            ),
            metric("entries", "Entries in memory.", "", vec![("", size.entries)]),
            metric("bytes", "Bytes of the entries, with overhead.", "", vec![("", size.bytes)]),
            metric(
                "store_loading",
                "Whether entries are still being read from the store: 0 or 1.",
                "",
                vec![("", u64::from(size.reading))],
            ),
            metric(
                "index_pending",
                "Entries that were read and do not serve other questions yet.",
                "",
                vec![("", size.pending)],
            ),
        ]
    }
}

struct Metric {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    rows: Vec<(&'static str, u64)>,
}

/// The metrics of all targets: name, counters, what is in memory.
pub(super) fn render(targets: &[(&str, &Metrics, Size)]) -> String {
    let tables: Vec<(&str, Vec<Metric>)> =
        targets.iter().map(|(name, metrics, size)| (*name, metrics.table(*size))).collect();
    let mut out = String::new();
    let count = tables.first().map_or(0, |(_, table)| table.len());
    for at in 0..count {
        for (position, (target, table)) in tables.iter().enumerate() {
            let Metric { name, help, label, rows } = &table[at];
            if position == 0 {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                let _ = writeln!(out, "# HELP pointsman_cache_{name} {help}");
                let _ = writeln!(out, "# TYPE pointsman_cache_{name} {kind}");
            }
            for (value, count) in rows {
                let labels = match *label {
                    "" => format!("target={}", quoted(target)),
                    label => format!("target={},{label}={}", quoted(target), quoted(value)),
                };
                let _ = writeln!(out, "pointsman_cache_{name}{{{labels}}} {count}");
            }
        }
    }
    out
}

/// A label's value: the format knows three escapes.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_metric_stand_together_whatever_the_number_of_targets() {
        let (a, b) = (Metrics::default(), Metrics::default());
        a.outcome(CacheOutcome::HitExact, Some(Usage { input: 3, output: 4 }));
        b.outcome(CacheOutcome::Miss, None);
        let size = Size { entries: 1, bytes: 2, reading: true, pending: 3 };
        let text = render(&[("a", &a, size), ("b", &b, Size::default())]);
        let expected = "# HELP pointsman_cache_requests_total Requests by how they were answered.\n\
            # TYPE pointsman_cache_requests_total counter\n\
            pointsman_cache_requests_total{target=\"a\",result=\"hit-exact\"} 1\n\
            pointsman_cache_requests_total{target=\"b\",result=\"miss\"} 1\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("saved_tokens_total{target=\"a\",direction=\"output\"} 4\n"));
        assert!(text.contains("pointsman_cache_entries{target=\"a\"} 1\n"));
        assert!(text.contains("pointsman_cache_store_loading{target=\"b\"} 0\n"));
        assert!(text.contains("pointsman_cache_index_pending{target=\"a\"} 3\n"));
    }
}
