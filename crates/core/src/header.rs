//! Names of the headers that the filter reads and sets.

/// Request header that Envoy's route reads the cluster from (`cluster_header`). Only the filter
/// may set it.
pub const CLUSTER: &str = "x-pointsman-cluster";
/// Request header by which a client asks for a target, and response header that names the one
/// that was chosen.
pub const TARGET: &str = "x-pointsman-target";
/// Response header of a cache in front of a target: whether the answer is one that it had.
pub const CACHE: &str = "x-pointsman-cache";
/// Request header between the instances of the filter: the answer may be held, and is known by this
/// token.
pub const HOLD: &str = "x-pointsman-hold";
/// Request header between an instance of the filter and its listener: the answer that may have to
/// be given back is a stream of events.
pub const HELD_EVENTS: &str = "x-pointsman-held-events";
/// Response header: the sign for which the target decided on gave no answer that was good enough.
pub const ESCALATED: &str = "x-pointsman-escalated";
/// Response header: the sign of a bad answer, and why it was sent on nevertheless.
pub const KEPT: &str = "x-pointsman-kept";
/// Response header between the instances of the filter: the answer is the one that was held.
pub const GIVEN_BACK: &str = "x-pointsman-given-back";
/// Response header: who decided.
pub const SOURCE: &str = "x-pointsman-source";
/// Response header: why.
pub const REASON: &str = "x-pointsman-reason";
/// Response header: the classifier's score.
pub const SCORE: &str = "x-pointsman-score";
/// Response header: by which a reward names the decision.
pub const DECISION_ID: &str = "x-pointsman-decision-id";
