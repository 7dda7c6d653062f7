//! Escalated requests with both their answers: from what the filter posts to a row of a log, and what
//! the sign of such a row says.
//!
//! ```text
//! posted pair ─► parsed ─► streams joined ─► redacted ─► one line of JSON, which `label` reads
//! pair.rs                  whole.rs          redaction.rs                     evidence.rs
//! ```

mod evidence;
mod pair;
mod redaction;
#[cfg(test)]
mod tests;
mod whole;

pub use evidence::Evidence;
pub(super) use evidence::{evaluator, sign_of};
pub use pair::{BadPair, row};
pub use redaction::Redaction;

/// The `source` of captured rows.
pub const SOURCE: &str = "escalation";
