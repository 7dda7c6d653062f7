//! `manifest.json`: what a model says of itself.

use serde::{Deserialize, Serialize};

/// A non-strongest target and the threshold chosen for it on validation rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestTarget {
    pub name: String,
    /// The score from which on this target is chosen, 0..=1.
    pub threshold: f32,
}

/// Where a model comes from and what it expects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's layout: 1.
    pub format: u32,
    /// First 12 hex digits of the SHA-256 of `model.onnx`.
    pub version: String,
    /// [`crate::features::schema_hash`] of the code that trained it.
    pub schema_hash: String,
    /// [`crate::features::LEN`] of the code that trained it.
    pub features: usize,
    /// Non-strongest targets, cheapest first: one score each, in the order of the graph's output.
    pub targets: Vec<ManifestTarget>,
    /// What only people read: algorithm, seed, data digests, metrics.
    #[serde(default)]
    pub training: serde_json::Value,
}
