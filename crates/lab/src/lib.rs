//! Batch tools: from a log to labelled rows, from rows to a model, and how good it is.

pub mod evaluate;
pub mod import;
pub mod input;
pub mod label;
pub mod learn;
