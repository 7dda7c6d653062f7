//! The shipped `dist/pointsman.wasm` in a small proxy-wasm host.
//!
//! Real Envoy has the last word (tests/envoy). This host is for what needs many requests, a look
//! at the guest's memory, or a failure that Envoy would hide behind a 503.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod artefact;
mod configuration;
mod decisions;
mod gateway;
mod golden;
mod lifecycle;
mod robustness;
