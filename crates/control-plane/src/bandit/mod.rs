//! What learns from rewards: statistics, estimators, change detection, promotion.
//!
//! ```text
//! samples ─► statistics (additive, with forgetting) ─► candidate
//!         ─► window ─► estimate of candidate against current ─► gate: shadow ▸ canary ▸ full
//! ```
//!
//! Native only. What the filter decides with is [`pointsman_core::policy::bandit::Snapshot`].
#![allow(
    clippy::indexing_slicing,
    reason = "native only: numeric code over vectors of known length, and no request is open"
)]

mod change;
mod controller;
mod estimate;
mod gate;
mod learner;
mod learners;
mod triangle;

pub use change::{Change, ChangeDetector};
pub use controller::{Controller, ControllerOptions, Event, Outcome, Stage};
pub use estimate::{Estimate, Estimates, Overlap, estimate};
pub use gate::{Difference, difference};
pub use learner::{Prior, Statistics};
pub use learners::Learners;

use pointsman_core::policy::bandit::SegmentId;

/// One decision with its reward: what is learnt from and what policies are judged on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// As the filter computed it: [`pointsman_core::policy::bandit::Context`].
    pub context: Vec<f32>,
    /// Position of the chosen target.
    pub target: usize,
    /// Probability with which it was chosen.
    pub propensity: f64,
    /// Quality of the answer, 0..=1.
    pub reward: f32,
    /// What it is a part of.
    pub segment: SegmentId,
}

/// Bound of a sample's weight in fitting: beyond it one lucky reward would count for too much.
const LARGEST_WEIGHT: f64 = 100.0;

impl Sample {
    /// What the sample counts for in fitting: for all the requests like it that went to another
    /// target (importance-weighted regression, arXiv 1802.04064).
    ///
    /// A target is mostly seen where the present policy prefers it. A linear model of just these
    /// requests is wrong about the others, which are those that a better policy would send there.
    fn weight(&self) -> f64 {
        (1.0 / self.propensity).clamp(1.0, LARGEST_WEIGHT)
    }
}
