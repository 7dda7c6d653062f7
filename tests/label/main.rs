//! `pointsman label` against upstreams on loopback.
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

mod bad_input;
mod endpoint;
mod evaluators;
mod gsm8k;
mod resume;
mod run;
mod upstream;
mod workflow;
