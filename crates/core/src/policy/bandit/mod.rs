//! The bandit as the filter runs it: features and scores to a context, a policy snapshot to exact
//! probabilities, and one draw.
//!
//! A snapshot predicts the reward of each target linearly in the context, subtracts the target's
//! penalty (λ times its cost) and passes the values to an explorer. The explorer's
//! probabilities are what the draw uses and what the record shows, so nothing has to be derived
//! again offline.

mod context;
mod explorer;
#[cfg(test)]
pub(crate) mod fixture;
mod snapshot;
mod wire;

pub use context::{Context, MAX_DIMENSIONS};
pub use explorer::{Explorer, Spread, draw};
pub use snapshot::{Component, EVERYTHING, MAX_SEGMENTS, Segment, SegmentId, Snapshot, segment_id};
pub use wire::{FORMAT, MAX_SNAPSHOT_BYTES, SnapshotError};

/// A target that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Position of the target.
    pub target: usize,
    /// Probability with which it was drawn.
    pub propensity: f64,
    /// Predicted reward less penalty, of the component with the largest share.
    pub value: f64,
    /// Whether another target had the higher value.
    pub explored: bool,
}
