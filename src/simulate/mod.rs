//! Routing strategies on a stream of recorded prompts, without models or a network.
//!
//! Rows carry the recorded quality of both models' answers, so that every strategy can be given
//! the reward of whatever it chooses. All strategies see the same prompts in the same order.
#![allow(
    clippy::indexing_slicing,
    reason = "native only: numeric code over vectors of known length, and no request is open"
)]

mod drift;
mod strategy;
mod stream;

pub use drift::Drift;
pub use strategy::{Earned, Run, Strategy, run};
pub use stream::{Item, Pool};
