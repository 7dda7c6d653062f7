//! The control plane as a process: `pointsman serve` behind real HTTP, real Envoy in front of it,
//! and a real browser on its dashboard.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

#[allow(dead_code, reason = "the other tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;

mod api;
mod caches;
mod dashboard;
mod envoy;
mod faults;
mod plane;
mod promotion;
mod redis;
mod simulation;

#[path = "../cache/model.rs"]
#[allow(dead_code, reason = "the cache's own tests use the rest of it")]
mod model;
#[path = "../cache/proxy.rs"]
#[allow(dead_code, reason = "the cache's own tests use the rest of it")]
mod proxy;
