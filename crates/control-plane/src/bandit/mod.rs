//! Learning from rewards: statistics, estimators, change detection, promotion.
//!
//! ```text
//! samples ─► statistics (additive, with forgetting) ─► candidate
//!         ─► window ─► estimate of candidate against current ─► gate: shadow ▸ canary ▸ full
//! ```
//!
//! What the filter decides with is [`pointsman_core::policy::bandit::Snapshot`].
#![allow(
    clippy::indexing_slicing,
    reason = "numeric code over vectors of known length; no request of Envoy's is open here"
)]

mod change;
mod controller;
mod estimate;
mod gate;
mod learner;
mod learners;
mod sample;
mod triangle;

pub use change::{Change, ChangeDetector};
pub use controller::{Controller, ControllerOptions, Event, EventKind, RestoreError, Stage};
pub use estimate::{Estimate, Estimates, LEAST_SAMPLES, Overlap, estimate};
pub use gate::{Difference, difference};
pub use learner::{Prior, Statistics};
pub use learners::Learners;
pub use sample::{Sample, Update};
