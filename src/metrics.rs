//! Names of the metrics. Envoy puts `wasmcustom.` in front.
//!
//! Metrics have no labels in the proxy-wasm ABI, so labels are written into the name as
//! `.label.value` and `stats_tags` in `envoy.yaml` takes them out again.

use crate::control::Missing;
use crate::decision::Reason;

/// Counter: requests that are none of ours and passed untouched.
pub const PASSED: &str = "pointsman_passed";
/// Histogram: time from the whole body to the decision, in microseconds.
pub const DECISION_TIME: &str = "pointsman_decision_us";
/// Histogram: bytes of body read for a decision.
pub const BODY_BYTES: &str = "pointsman_body_bytes";

/// Counter: decision records that found no room in the buffer for the control plane.
pub const EVENTS_DROPPED: &str = "pointsman_events_dropped";
/// Counter: calls to the control plane that failed; decision records are sent again.
pub const CONTROL_CALLS_FAILED: &str = "pointsman_control_calls_failed";
/// Counter: policy snapshots put to use, by each worker.
pub const SNAPSHOTS_LOADED: &str = "pointsman_snapshots_loaded";
/// Counter: policy snapshots refused: too large, for another context, no numbers.
pub const SNAPSHOTS_REFUSED: &str = "pointsman_snapshots_refused";

/// Counter: decisions of the classifier that the bandit should have made.
pub fn bandit_fallback(missing: Missing) -> String {
    format!("pointsman_bandit_fallback.reason.{}", missing.name())
}

/// Counter: decisions for one target and reason.
pub fn decisions(target: &str, reason: Reason) -> String {
    let source = reason.source().name();
    format!("pointsman_decisions.target.{target}.source.{source}.reason.{}", reason.name())
}
