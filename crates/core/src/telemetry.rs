//! Names of the metrics. Envoy puts `wasmcustom.` in front. docs/metrics.md is their reference.
//!
//! Metrics have no labels in the proxy-wasm ABI, so labels are written into the name as
//! `.label.value` and `stats_tags` in `envoy.yaml` takes them out again.

use crate::answer::Fault;
use crate::config::Config;
use crate::names::names;
use crate::reason::FallbackReason;
use crate::reason::Reason;
use crate::scope::Pass;
use crate::sign::{KeptFor, Outcome, Sign};
use crate::target::{Billed, Usage};

/// What is counted, as it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// A request passed untouched.
    Passed(Pass),
    /// A route's metadata was not understood.
    Misdirected,
    /// A decision took effect.
    Decided {
        /// Position of the target.
        target: usize,
        reason: Reason,
        score: Option<f32>,
        body_bytes: usize,
        /// Time from the whole body to the decision, in microseconds.
        latency_us: u64,
    },
    /// A body was longer than what was read of it.
    BodyCut,
    /// A target's model could not be written into a body.
    NotRewritten,
    /// The classifier decided where the bandit should have.
    BanditFallback(FallbackReason),
    /// A target's answer is over; `usage` when it reported its token counts.
    Answered { target: usize, usage: Option<Billed> },
    /// The same for an answer that a cache had, and nobody is paid for.
    Saved { target: usize, usage: Option<Billed> },
    /// Another target answered than the one decided on: this one.
    TookOver { target: usize },
    /// A target's answer has a good status and is none.
    Faulty { target: usize, fault: Fault },
    /// An answer of a target was not sent on, and is paid for nevertheless.
    Wasted { target: usize, usage: Usage },
    /// An answer was held, or was to be. `sign` of a bad one; `wasted` is what one cost that was
    /// not sent on.
    Inspected { outcome: Outcome, sign: Option<Sign>, held_ms: u64, wasted: Option<Usage> },
    /// A bad answer was sent on.
    BadAnswerKept(KeptFor),
    /// A decision or a reward found no room in the buffer for the control plane.
    EventDropped,
    /// A call to the control plane failed.
    ControlCallFailed,
    /// A policy snapshot is in use.
    SnapshotLoaded,
    /// A policy snapshot was refused.
    SnapshotRefused,
}

/// Counter: decisions on requests whose route asks for a mode or a policy that there is not.
pub const MISDIRECTED: &str = "pointsman_misdirected";
/// Histogram: time from the whole body to the decision, in microseconds.
pub const DECISION_TIME: &str = "pointsman_decision_us";
/// Histogram: bytes of body read for a decision.
pub const BODY_BYTES: &str = "pointsman_body_bytes";
/// Counter: bodies that were decided on by their beginning.
pub const BODIES_CUT: &str = "pointsman_bodies_cut";
/// Counter: bodies into which a target's model could not be written: compressed, or no JSON.
pub const NOT_REWRITTEN: &str = "pointsman_not_rewritten";
/// Histogram: the classifier's score, in thousandths, because histograms hold whole numbers.
pub const SCORE: &str = "pointsman_score_thousandths";

/// Counter: decision records that found no room in the buffer for the control plane.
pub const EVENTS_DROPPED: &str = "pointsman_events_dropped";
/// Counter: calls to the control plane that failed; decision records are sent again.
pub const CONTROL_CALLS_FAILED: &str = "pointsman_control_calls_failed";
/// Counter: policy snapshots put to use, by each worker.
pub const SNAPSHOTS_LOADED: &str = "pointsman_snapshots_loaded";
/// Counter: policy snapshots refused: too large, for another context, no numbers.
pub const SNAPSHOTS_REFUSED: &str = "pointsman_snapshots_refused";

/// Histogram: time for which answers of a target were held, in milliseconds.
pub const HELD_TIME: &str = "pointsman_held_ms";

/// Counter: answers of a target that were held, or were to be.
pub fn inspected(target: &str, outcome: Outcome) -> String {
    format!("pointsman_inspected.target.{target}.outcome.{}", outcome.name())
}

/// Counter: answers of a target in the place of which another target was asked.
pub fn escalations(target: &str, sign: Sign) -> String {
    format!("pointsman_escalations.target.{target}.sign.{}", sign.name())
}

/// Counter: bad answers of a target that were sent on.
pub fn bad_answers_kept(target: &str, why: KeptFor) -> String {
    format!("pointsman_bad_answers_kept.target.{target}.reason.{}", why.name())
}

/// Counter: tokens of a target's answers that were not sent on, as far as they were reported.
pub fn wasted_tokens(target: &str, direction: Direction) -> String {
    format!("pointsman_wasted_tokens.target.{target}.direction.{}", direction.name())
}

/// Counter: what those answers cost, in billionths of the currency of the prices.
pub fn wasted(target: &str) -> String {
    format!("pointsman_wasted_nano.target.{target}")
}

/// Counter: requests that passed untouched.
pub fn passed(why: Pass) -> String {
    format!("pointsman_passed.reason.{}", why.name())
}

/// Counter: decisions of the classifier that the bandit should have made.
pub fn bandit_fallback(missing: FallbackReason) -> String {
    format!("pointsman_bandit_fallback.reason.{}", missing.name())
}

/// Counter: decisions for one target and reason.
pub fn decisions(config: &Config, target: &str, reason: Reason) -> String {
    let (source, reason) = (reason.source().name(), config.reason_name(reason));
    format!("pointsman_decisions.target.{target}.source.{source}.reason.{reason}")
}

/// Gauge: workers that serve with a configuration.
pub fn configuration(model_version: &str, policy_version: &str) -> String {
    let model = label_value(model_version);
    format!("pointsman_configuration.model.{model}.policy.{policy_version}")
}

/// Counter: answers of a target that reported their token counts, and those that did not.
pub fn answers(target: &str, with_usage: bool) -> String {
    let usage = if with_usage { "reported" } else { "missing" };
    format!("pointsman_answers.target.{target}.usage.{usage}")
}

/// Counter: answers that a target gave in the place of the one decided on.
pub fn fallbacks(target: &str) -> String {
    format!("pointsman_fallbacks.target.{target}")
}

/// Counter: answers of a target with a good status that are none.
pub fn faults(target: &str, fault: Fault) -> String {
    format!("pointsman_answer_faults.target.{target}.fault.{}", fault.name())
}

/// Counter: answers that the cache in front of a target had.
pub fn cached_answers(target: &str) -> String {
    format!("pointsman_cached_answers.target.{target}")
}

/// Counter: what those answers would have cost at their target.
pub fn saved_by_cache(target: &str) -> String {
    format!("pointsman_saved_by_cache_nano.target.{target}")
}

/// Counter: tokens that a target's answers reported.
pub fn tokens(target: &str, direction: Direction) -> String {
    format!("pointsman_tokens.target.{target}.direction.{}", direction.name())
}

/// Counter: what a target's answers cost, in billionths of the currency of the prices.
pub fn spend(target: &str) -> String {
    format!("pointsman_spend_nano.target.{target}")
}

/// Counter: what the same tokens would have cost at the strongest target.
pub fn spend_always_strongest(target: &str) -> String {
    format!("pointsman_spend_always_strongest_nano.target.{target}")
}

names! {
    /// Which way tokens went, and which part of them is counted once more.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Direction {
        Input = "input",
        Output = "output",
        /// Of the input, what came from the provider's prefix cache.
        CachedInput = "cached_input",
        /// Of the input, what was written into it.
        CacheWrite = "cache_write",
        /// Of the output, what the model thought.
        Reasoning = "reasoning",
    }
}

/// A text from outside as a label's value: a dot would end it.
fn label_value(text: &str) -> String {
    const LONGEST: usize = 64;
    let safe = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    text.chars().take(LONGEST).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_from_outside_cannot_forge_labels() {
        let name = configuration("v1.policy.x y\u{e9}", "abc");
        assert_eq!(name, "pointsman_configuration.model.v1_policy_x_y_.policy.abc");
        assert!(configuration(&"x".repeat(500), "abc").len() < 120);
    }
}
