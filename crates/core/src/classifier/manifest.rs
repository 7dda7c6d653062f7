//! `manifest.json`: what a model says of itself.

use serde::{Deserialize, Serialize};

use super::{ModelError, Novelty};

/// A non-strongest target and the threshold chosen for it on validation rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestTarget {
    /// Name that the training data gave it.
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
    /// Where the training data lies; a model without it takes every prompt for familiar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<Novelty>,
    /// What only people read: algorithm, seed, data digests, metrics.
    #[serde(default)]
    pub training: serde_json::Value,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// [`ModelError::Manifest`] and [`ModelError::ManifestFormat`].
    pub fn read(json: &[u8]) -> Result<Self, ModelError> {
        let manifest: Manifest = serde_json::from_slice(json)
            .map_err(|error| ModelError::Manifest(error.to_string()))?;
        if manifest.format != 1 {
            return Err(ModelError::ManifestFormat { found: manifest.format });
        }
        if manifest.targets.is_empty() {
            return Err(ModelError::Manifest("targets: at least one is needed".to_owned()));
        }
        for target in &manifest.targets {
            if !(0.0..=1.0).contains(&target.threshold) {
                return Err(ModelError::Manifest(format!(
                    "targets: threshold {} of \"{}\" is not in 0..=1",
                    target.threshold, target.name
                )));
            }
        }
        if let Some(novelty) = &manifest.novelty {
            novelty.check()?;
        }
        Ok(manifest)
    }
}
