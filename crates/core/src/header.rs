//! Names of the headers that the filter reads and sets.

/// Request header that Envoy's route reads the cluster from (`cluster_header`). Only the filter
/// may set it.
pub const CLUSTER: &str = "x-pointsman-cluster";
/// Request header by which a client asks for a target, and response header that names the one
/// that was chosen.
pub const TARGET: &str = "x-pointsman-target";
/// Response header of a cache in front of a target: whether the answer is one that it had.
pub const CACHE: &str = "x-pointsman-cache";
/// Response header: who decided.
pub const SOURCE: &str = "x-pointsman-source";
/// Response header: why.
pub const REASON: &str = "x-pointsman-reason";
/// Response header: the classifier's score.
pub const SCORE: &str = "x-pointsman-score";
/// Response header: by which a reward names the decision.
pub const DECISION_ID: &str = "x-pointsman-decision-id";
