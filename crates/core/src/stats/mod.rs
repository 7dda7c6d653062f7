//! Statistics over plain `f64`: what training, evaluation, calibration and the bandit share.
//!
//! No randomness and no dependencies: callers bring their own generator, so that a seed means the
//! same everywhere.

mod bootstrap;
pub mod cholesky;
mod interval;
pub mod logistic;
mod sigmoid;

pub use bootstrap::Bootstrap;
pub use interval::percentile95;
pub use sigmoid::{sigmoid, sigmoid_f32};
