//! Batch tools: from a log to labelled rows, from rows to a model, and how good it is.

pub mod evaluate;
pub mod files;
pub mod import;
pub mod label;
pub mod learn;
pub mod report;
pub mod rules;
