//! A semantic cache for each target: what one model has answered is not asked for again.
//!
//! ```text
//! request ─► key (partition, exact hash, question) ─► exact tier ─► hit-exact
//!                                                        │ miss
//!                                     embedding ─► index ─► similarity, guards ─► hit-semantic
//!                                                                     │ miss
//!                                              upstream, streamed through and recorded ─► store
//! ```
//!
//! A hit that should have been a miss is a wrong answer, a miss that could have been a hit is only
//! a cost: in doubt the model is asked. The stages up to [`question`] are pure; [`server`] is
//! their host.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "native only, and no request but its own is open where it could panic"
)]

use std::time::{SystemTime, UNIX_EPOCH};

mod admin;
mod answer;
pub mod audit;
pub mod calibrate;
mod control;
pub mod embedding;
pub mod endpoint;
pub mod entry;
mod flight;
pub mod guards;
mod handler;
pub mod index;
pub mod key;
mod metrics;
pub mod pair;
pub mod question;
mod recorder;
mod replay;
mod server;
pub mod store;
mod target;
pub mod tiers;
mod upstream;

pub use embedding::Embedder;
pub use endpoint::Endpoint;
pub use index::{Index, Neighbour};
pub use key::{Bypass, ExactKey, Limits, Lookup, Partition, Scope, lookup};
pub use question::{Calibration, Matcher, Question, Verdict};
pub use server::{Event, Options, ServerError, serve};
pub use store::{BadServer, Place, Server};
pub use target::TargetOptions;
pub use upstream::BadUrl;

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
