//! Labelled rows to a model: dataset, fit, calibration, export, metrics.
//!
//! ```text
//! rows ─► dataset (features) ─► fit (candidates on train rows) ─► select (validation rows)
//!      ─► calibrate ─► export (model.onnx, manifest.json, golden.jsonl, CARD.md)
//! ```
//!
//! Features come from [`crate::features::extract`], the function the filter calls.

pub mod dataset;
pub mod metrics;
mod row;
mod split;

pub use row::{Reject, Row, Split};
pub use split::stem_hash;
