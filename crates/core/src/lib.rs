//! A request's way to a decision, pure: bytes in, a [`decision::Decision`] out.
//!
//! Data flows one way, and a module is a stage of a request's life:
//!
//! ```text
//! body ─► prompt ─► features ─► policy (classifier) ─► decision ─► record
//! ```
//!
//! [`router::Router`] strings the stages together. Two hosts run it: the proxy-wasm filter and the
//! command line. Training calls the same parser and the same `extract`, so what is trained on is
//! what is served.

pub mod acceptance;
// The testkit says what models do in the words of a crate that uses this one.
#[cfg(test)]
extern crate self as pointsman_core;

pub mod answer;
pub mod api;
mod api_field;
pub mod canonical;
pub mod classifier;
pub mod config;
pub mod control_plane;
pub mod decision;
pub mod escalation;
pub mod exchange;
pub mod features;
pub mod header;
pub mod hex;
pub mod identity;
pub mod media_type;
mod names;
pub mod packed;
pub mod pattern;
pub mod policy;
pub mod prompt;
pub mod provider_state;
pub mod reason;
pub mod record;
pub mod rewrite;
pub mod router;
pub mod scope;
pub mod sign;
mod skim;
pub mod stats;
pub mod target;
pub mod telemetry;
pub mod verdict;
