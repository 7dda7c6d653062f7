//! Names of the metrics. Envoy puts `wasmcustom.` in front.
//!
//! Metrics have no labels in the proxy-wasm ABI, so labels are written into the name as
//! `.label.value` and `stats_tags` in `envoy.yaml` takes them out again.

use crate::decision::Reason;

/// Counter: requests that are none of ours and passed untouched.
pub const PASSED: &str = "pointsman_passed";
/// Histogram: time from the whole body to the decision, in microseconds.
pub const DECISION_TIME: &str = "pointsman_decision_us";
/// Histogram: bytes of body read for a decision.
pub const BODY_BYTES: &str = "pointsman_body_bytes";

/// Counter: decisions for one target and reason.
pub fn decisions(target: &str, reason: Reason) -> String {
    let source = reason.source().name();
    format!("pointsman_decisions.target.{target}.source.{source}.reason.{}", reason.name())
}
