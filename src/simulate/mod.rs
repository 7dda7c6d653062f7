//! Routing on recorded prompts, without models or a network.
//!
//! ```text
//! rows ─► pool ─► traffic (arrivals, repetition) ─► strategies ─► what each earns, by level
//!           └──► questions (wordings) ─► targets, each with a cache ─► hits, spending, waiting
//! ```
//!
//! Rows carry the recorded quality of both models' answers, so that every strategy can be given
//! the reward of whatever it chooses. All strategies see the same prompts in the same order.
#![allow(
    clippy::indexing_slicing,
    reason = "numeric code over vectors of known length; no request of Envoy's is open here"
)]

mod caches;
mod compounding;
mod drift;
mod labelling;
mod levels;
mod paraphrase;
mod plots;
mod policies;
mod questions;
mod report;
mod similar;
mod strategy;
mod stream;
mod traffic;

pub use caches::{Asked, From, Near, Served, Wordings, serve};
pub use compounding::{
    CLAIMED, CLAIMED_GAIN, CacheOptions, Compounding, ERRORS, Errors, Forced, Rates, Repetition,
    asked, compounding, forced, uniform,
};
pub use drift::Drift;
pub use labelling::{Labelling, Trainer};
pub use levels::{Level, LevelOptions, Mean, STRATEGIES, levels};
pub use paraphrase::paraphrase;
pub use policies::{Behind, Models, behind};
pub use questions::{PairsError, Questions};
pub use report::Study;
pub use similar::{MatcherError, wordings};
pub use strategy::{Earned, Learned, Run, Seen, Setting, Strategy, play, run};
pub use stream::{Item, Pool};
pub use traffic::{Request, Trace, TraceError, repeated};
