//! The command line, and the one room that needs training, cache and control plane at once.

pub mod cli;
pub mod simulate;
