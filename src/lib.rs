//! Pointsman routes every LLM request to the model that should answer it, inside Envoy.
//!
//! Data flows one way, and a module is a stage of a request's life:
//!
//! ```text
//! body ─► prompt ─► features ─► policy (classifier) ─► decision ─► record
//!         prompt    features    policy    classifier    decision    record
//! ```
//!
//! [`router::Router`] strings the stages together. It is pure: bytes in, a [`decision::Decision`]
//! out. Two hosts run it: the proxy-wasm filter (the `filter` module, `wasm32` only) and the command line (the
//! `cli` module, native only). Training (the `learn` module) calls the same parser and the same
//! `extract`, so what is trained on is what is served.

pub mod classifier;
pub mod config;
pub mod control;
pub mod decision;
pub mod features;
pub mod metrics;
pub mod policy;
pub mod prompt;
pub mod record;
pub mod rewrite;
pub mod router;
pub mod scope;
pub mod usage;

mod canonical;

#[cfg(target_arch = "wasm32")]
mod filter;

#[cfg(not(target_arch = "wasm32"))]
pub mod bandit;
#[cfg(not(target_arch = "wasm32"))]
pub mod cache;
#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
#[cfg(not(target_arch = "wasm32"))]
pub mod evaluate;
#[cfg(not(target_arch = "wasm32"))]
pub mod import;
#[cfg(not(target_arch = "wasm32"))]
pub mod input;
#[cfg(not(target_arch = "wasm32"))]
pub mod label;
#[cfg(not(target_arch = "wasm32"))]
pub mod learn;
#[cfg(not(target_arch = "wasm32"))]
pub mod serve;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulate;
