//! `manifest.json`: what a model says of itself.

use serde::{Deserialize, Serialize};

use super::{ModelError, Novelty, Objective};

/// A non-strongest target and the threshold chosen for it on validation rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestTarget {
    /// Name that the training data gave it.
    pub name: String,
    /// The score from which on this target is chosen, 0..=1.
    pub threshold: f32,
    /// The same for the output `gain`, of a model that has one: all targets have it, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_threshold: Option<f32>,
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
    /// What the first output answers; unknown of models that do not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
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
            let thresholds = [Some(target.threshold), target.gain_threshold];
            if let Some(wrong) =
                thresholds.into_iter().flatten().find(|it| !(0.0..=1.0).contains(it))
            {
                return Err(ModelError::Manifest(format!(
                    "targets: threshold {wrong} of \"{}\" is not in 0..=1",
                    target.name
                )));
            }
            if target.gain_threshold.is_some() != manifest.answers_gain() {
                return Err(ModelError::Manifest(
                    "targets: all need a gain_threshold, or none".to_owned(),
                ));
            }
        }
        if let Some(novelty) = &manifest.novelty {
            novelty.check()?;
        }
        Ok(manifest)
    }

    /// Whether the model has the output `gain` in addition to its first one.
    fn answers_gain(&self) -> bool {
        self.targets.first().is_some_and(|target| target.gain_threshold.is_some())
    }

    /// Whether `objective` is answered by the output `gain`, by the first one, or not at all.
    pub(super) fn output(&self, objective: Option<Objective>) -> Result<bool, ModelError> {
        match objective {
            None => Ok(false),
            asked if asked == self.objective => Ok(false),
            Some(Objective::Gain) if self.answers_gain() => Ok(true),
            Some(asked) => Err(ModelError::Objective {
                asked: asked.name(),
                known: self.objective.map_or("an unknown one", Objective::name),
            }),
        }
    }
}
