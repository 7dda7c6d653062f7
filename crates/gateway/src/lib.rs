//! From one file to a whole deployment: what `pointsman.yaml` says, and what Envoy must be told so
//! that it happens.
//!
//! Pure: nothing here opens a file, a socket or the environment.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON is written by indexing; no request is open here that a panic could cost"
)]

pub mod arguments;
pub mod examine;
pub mod file;
mod kind;
mod models;
pub mod render;

pub use kind::Kind;
pub use models::{date as models_date, known};
