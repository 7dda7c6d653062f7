//! Labelled rows to a model: dataset, fit, calibration, export, metrics.
//!
//! ```text
//! rows ─► dataset (features) ─► fit (candidates on train rows) ─► select (validation rows)
//!      ─► calibrate ─► export (model.onnx, manifest.json, golden.jsonl, CARD.md)
//! ```
//!
//! Features come from [`crate::features::extract`], the function the filter calls.

pub mod dataset;
#[cfg(test)]
mod fixture;
mod export;
mod graph;
pub mod metrics;
mod model;
mod network;
mod row;
mod scaler;
mod split;
mod train;

pub use export::to_onnx;
pub use model::{Head, Model};
pub use network::{Network, NetworkOptions};
pub use row::{Reject, Row, SparseFeatures, Split};
pub use scaler::Scaler;
pub use split::stem_hash;
pub use train::{Algorithm, Candidate, TrainError, Trained, train};
