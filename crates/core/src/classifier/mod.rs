//! ONNX graph and manifest to scores.
//!
//! The graph is decoded with tract's protobuf types, mapped operator by operator onto a tract
//! model once, and then only run. It takes `features` as `f32[1, LEN]` and gives
//! `f32[1, T]`: for each non-strongest target, cheapest first, the probability that its answer
//! is good enough. A second output of that shape, `gain`, may tell the probability that the
//! strongest target's answer is no better.

use sha2::{Digest, Sha256};
use tract_core::prelude::TractError;

use crate::features::{self, Features};
use crate::hex;

mod columns;
mod elementwise;
mod error;
mod forest;
mod gather;
mod graph;
mod kernel;
mod manifest;
mod matmul;
mod novelty;
mod objective;
mod operators;
mod plan;
mod tensor;
mod wiring;

pub use error::{ModelError, ScoreError};
pub use graph::GAIN;
pub(crate) use graph::plan as plan_of;
pub use manifest::{Manifest, ManifestTarget};
pub use novelty::{Novelty, NoveltyLimit};
pub use objective::Objective;
pub(crate) use plan::{Input, Plan};

/// Largest ONNX file that is looked at, in bytes: it is held in every worker's memory.
pub const MAX_MODEL_BYTES: usize = 4 * 1024 * 1024;

/// Most numbers that the operators of a model may leave in one run: a few bytes of a file can ask
/// for all the memory there is. A model on the features needs some ten thousand.
pub const MAX_NUMBERS: usize = 1 << 20;

/// A loaded model, ready to score.
pub struct Classifier {
    manifest: Manifest,
    plan: Plan,
    /// Of the output that is run, cheapest target first.
    thresholds: Vec<f32>,
    objective: Option<Objective>,
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Classifier").field("version", &self.manifest.version).finish()
    }
}

/// A version that looks like a digest must be that of the file: logs and records name models by it.
pub(crate) fn check_version(onnx: &[u8], version: &str) -> Result<(), ModelError> {
    const DIGITS: usize = 12;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let digest = hex::encode(&Sha256::digest(onnx));
    let own = digest.get(..DIGITS).unwrap_or(&digest);
    if version.len() == DIGITS && version.bytes().all(is_digit) && version != own {
        let (manifest, onnx) = (version.to_owned(), own.to_owned());
        return Err(ModelError::OtherModel { manifest, onnx });
    }
    Ok(())
}

impl Classifier {
    /// The model that is compiled into the program.
    ///
    /// # Errors
    ///
    /// As [`Classifier::load`]; a build whose own model does not load is caught by tests.
    pub fn embedded() -> Result<Self, ModelError> {
        Self::embedded_for(None)
    }

    /// The same, for an objective.
    ///
    /// # Errors
    ///
    /// As [`Classifier::load_for`].
    pub fn embedded_for(objective: Option<Objective>) -> Result<Self, ModelError> {
        let onnx = include_bytes!("../../../../model/model.onnx");
        Self::load_for(onnx, include_bytes!("../../../../model/manifest.json"), objective)
    }

    /// Loads a model: `model.onnx` and `manifest.json`.
    ///
    /// # Errors
    ///
    /// Names what is refused: a file over [`MAX_MODEL_BYTES`], a manifest for another feature
    /// schema or another file, an operator that is not supported, shapes or values that do not fit,
    /// more than [`MAX_NUMBERS`].
    pub fn load(onnx: &[u8], manifest: &[u8]) -> Result<Self, ModelError> {
        Self::load_for(onnx, manifest, None)
    }

    /// The same, with the scores that answer an objective: those of the first output, whatever they
    /// answer, where none is asked for.
    ///
    /// # Errors
    ///
    /// As [`Classifier::load`], and when the model was not trained for the objective.
    pub fn load_for(
        onnx: &[u8],
        manifest: &[u8],
        objective: Option<Objective>,
    ) -> Result<Self, ModelError> {
        let manifest = Manifest::read(manifest)?;
        if onnx.len() > MAX_MODEL_BYTES {
            return Err(ModelError::TooLarge { bytes: onnx.len() });
        }
        let here = features::schema_hash();
        if manifest.schema_hash != here {
            return Err(ModelError::OtherSchema { model: manifest.schema_hash, here });
        }
        check_version(onnx, &manifest.version)?;
        let gain = manifest.output(objective)?;
        let plan = graph::plan(onnx, features::LEN, manifest.targets.len(), gain)?;
        let threshold = |target: &ManifestTarget| match target.gain_threshold {
            Some(of_gain) if gain => of_gain,
            _ => target.threshold,
        };
        let thresholds = manifest.targets.iter().map(threshold).collect();
        let objective = objective.or(manifest.objective);
        let classifier = Classifier { manifest, plan, thresholds, objective };
        // The first run reveals what shapes alone do not, such as weights that are not numbers.
        classifier.scores(&Features::default()).map_err(ModelError::FirstRun)?;
        Ok(classifier)
    }

    /// What the model says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What [`Classifier::scores`] answer; unknown of models that do not say so.
    pub fn objective(&self) -> Option<Objective> {
        self.objective
    }

    /// Thresholds that were chosen for [`Classifier::scores`], on validation rows.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Scores a prompt: one probability in 0..=1 for each of [`Manifest::targets`].
    ///
    /// # Errors
    ///
    /// When the graph fails or gives something that is not a probability.
    pub fn scores(&self, features: &Features) -> Result<Vec<f32>, ScoreError> {
        let graph_error = |error: TractError| ScoreError::Graph(error.to_string());
        let scores = self.plan.run(features.into()).map_err(graph_error)?;
        match scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
            Some(&score) => Err(ScoreError::NoProbability(score)),
            None => Ok(scores),
        }
    }
}

#[cfg(test)]
mod tests;
