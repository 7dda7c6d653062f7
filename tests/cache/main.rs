//! `pointsman cache` as a process: what hits, what must not, and what happens when things break.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test that fails should panic"
)]

mod answers;
mod calibration;
mod embeddings;
mod envoy;
mod faults;
mod hits;
mod kill;
mod model;
mod proxy;
mod redis;

#[allow(dead_code, reason = "the real-Envoy tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;
