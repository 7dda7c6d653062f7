//! Labelled rows to a model: dataset, fit, calibration, export, scores.
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

pub mod accept;
mod bundle;
pub mod calibrate;
mod candidate;
mod card;
mod cross;
mod curve;
mod dataset;
mod embedding_bag;
mod error;
mod export;
#[cfg(test)]
mod fixture;
mod graph;
mod group;
mod initial;
mod layer;
mod line;
mod model;
mod network;
mod objective;
mod plan;
mod provenance;
mod reject;
mod row;
mod scaler;
pub mod scores;
mod soft_label;
mod sparse;
mod split;
mod teacher;
mod train;
mod trees;

pub use bundle::{BundleError, write_model};
pub use candidate::Candidate;
pub use curve::{CurvePoint, learning_curve};
pub use dataset::{Dataset, DatasetError, FileDigest, ReadOptions, Reading, read_rows};
pub use error::TrainError;
pub use export::to_onnx;
pub use group::group_id;
pub use initial::{Initial, InitialError};
pub use line::ScoredModels;
pub use model::{Head, Model, ModelPart};
pub use network::{Network, NetworkOptions};
pub use objective::Objective;
pub use plan::{Algorithm, TrainingPlan};
pub use provenance::{Provenance, TrainedTarget};
pub use reject::Reject;
pub use row::{Row, RowParser, body_of};
pub use scaler::Scaler;
pub use soft_label::SoftLabel;
pub use sparse::SparseFeatures;
pub use split::Split;
pub use train::{TrainOptions, Trained, train};
pub use trees::{Tree, TreeOptions, Trees};
