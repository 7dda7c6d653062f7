//! The command line, the servers and the pure core as native programs, against stand-ins on
//! loopback and, where it says so, behind a real Envoy.
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

mod accept;
mod alerts;
mod architecture;
mod cache;
mod capture;
mod control;
mod decisions;
mod deploy;
mod exchange;
mod from_log;
mod fuzz;
mod label;
mod onnx;
mod report;
mod simulate;
mod train;
