//! Labelled rows to a model: dataset, fit, calibration, export, metrics.
//!
//! ```text
//! rows ─► dataset (features) ─► fit (candidates on train rows) ─► select (validation rows)
//!      ─► calibrate ─► export (model.onnx, manifest.json, golden.jsonl, CARD.md)
//! ```
//!
//! Features come from [`pointsman_core::features::extract`], the function the filter calls.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "native only: numeric code over matrices of known shape, and no request is open"
)]

mod bags;
mod bundle;
pub mod calibrate;
mod card;
mod cross;
mod curve;
mod dataset;
mod export;
#[cfg(test)]
mod fixture;
mod graph;
mod initial;
mod line;
pub mod metrics;
mod model;
mod network;
mod objective;
mod plan;
mod reject;
mod row;
mod scaler;
mod sparse;
mod split;
mod teacher;
mod train;
mod trees;

pub use bundle::{BundleError, Provenance, TrainedTarget, write_model};
pub use curve::{CurvePoint, learning_curve};
pub use dataset::{Dataset, DatasetError, FileDigest, ReadOptions, Reading, read_rows};
pub use export::to_onnx;
pub use initial::{Initial, InitialError};
pub use line::ScoredModels;
pub use model::{Head, Model, Part};
pub use network::{Network, NetworkOptions};
pub use objective::{Objective, Softened};
pub use plan::{Algorithm, PartOptions};
pub use reject::Reject;
pub use row::{Row, SparseFeatures, Split};
pub(crate) use row::{RowParser, body_of};
pub use scaler::Scaler;
pub use split::stem_hash;
pub use train::{Candidate, TrainError, TrainOptions, Trained, train};
pub use trees::{Tree, TreeOptions, Trees};
