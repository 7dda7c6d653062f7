//! A semantic cache for each target: a model is not asked twice for the same answer.
//!
//! ```text
//! request ─► key (partition, exact hash, question) ─► exact tier ─► hit-exact
//!                                                        │ miss
//!                                     embedding ─► index ─► similarity, guards ─► hit-semantic
//!                                                                     │ miss
//!                                              upstream, streamed through and copied ─► store
//! ```
//!
//! A hit that should have been a miss is a wrong answer; a miss that could have been a hit is only
//! a cost. So in doubt the model is asked. The stages up to [`matcher`] are pure; [`server`] is
//! their host.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "native only: a panic ends one request, not a proxy's worker"
)]

use std::time::{SystemTime, UNIX_EPOCH};

mod admin;
mod answer;
pub mod audit;
mod body_tee;
mod cache_control;
mod cached_target;
pub mod calibrate;
mod caller;
mod connection;
mod deadline;
pub mod embedding;
pub mod endpoint;
pub mod entry;
pub mod guards;
mod handler;
mod hop_by_hop;
mod http_date;
pub mod index;
mod indexer;
pub mod key;
pub mod matcher;
mod metrics;
pub mod pair;
mod private;
pub mod question;
mod recent_hits;
mod replay;
mod server;
mod singleflight;
pub mod store;
pub mod tiers;
mod trust;
mod upstream;

pub use cached_target::TargetOptions;
pub use embedding::Embedder;
pub use endpoint::Endpoint;
pub use index::saved::BadIndex;
pub use index::{Index, Neighbour};
pub use indexer::Complete;
pub use key::{ExactKey, Limits, Lookup, NoCacheReason, Partition, PartitionKey, lookup};
pub use matcher::{Calibration, Matcher, Verdict};
pub use question::Question;
pub use server::{Event, Options, ServerError, serve};
pub use store::{BadServer, Server, StoreError, StoreLocation};
pub use trust::{BadTrust, Trust};
pub use upstream::BadUrl;

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
