//! Rows with answers to a judge of answers: read, fit, measure out of fold, export.
//!
//! ```text
//! rows ─► vectors (pointsman_core::acceptance::extract) ─► logistic regression, trees ─► head
//!      ─► model.onnx, manifest.json, golden.jsonl, CARD.md
//! ```

mod bundle;
mod fit;
mod line;
mod read;

pub use bundle::{AcceptProvenance, write_accept_model};
pub use fit::{AcceptOptions, TrainedJudge, cross_scores, train_accept};
pub use line::AnswerRow;
pub use read::{AnswerData, AnswerReading, read_answers};
