//! ONNX graph and manifest to scores.
//!
//! The graph is decoded with tract's protobuf types, mapped operator by operator onto a tract
//! model once, and then only run. It takes `features` as `f32[1, LEN]` and gives
//! `f32[1, T]`: for each non-strongest target, cheapest first, the probability that its answer
//! is good enough.

use tract_core::prelude::TractError;

use crate::features::{self, Features};

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
mod operators;
mod plan;
mod tensor;
mod wiring;

pub use error::{ModelError, ScoreError};
pub use manifest::{Manifest, ManifestTarget};
pub use novelty::Novelty;
use plan::Plan;

/// Largest ONNX file that is looked at, in bytes: it is held in every worker's memory.
pub const MAX_MODEL_BYTES: usize = 4 * 1024 * 1024;

/// A loaded model, ready to score.
pub struct Classifier {
    manifest: Manifest,
    plan: Plan,
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Classifier").field("version", &self.manifest.version).finish()
    }
}

impl Classifier {
    /// The model that is compiled into the program.
    ///
    /// # Errors
    ///
    /// As [`Classifier::load`]; a build whose own model does not load is caught by tests.
    pub fn embedded() -> Result<Self, ModelError> {
        Self::load(
            include_bytes!("../../../../model/model.onnx"),
            include_bytes!("../../../../model/manifest.json"),
        )
    }

    /// Loads a model: `model.onnx` and `manifest.json`.
    ///
    /// # Errors
    ///
    /// Names what is refused: a file over [`MAX_MODEL_BYTES`], a manifest for another feature
    /// schema, an operator that is not supported, shapes or values that do not fit.
    pub fn load(onnx: &[u8], manifest: &[u8]) -> Result<Self, ModelError> {
        let manifest = Manifest::read(manifest)?;
        if onnx.len() > MAX_MODEL_BYTES {
            return Err(ModelError::TooLarge { bytes: onnx.len() });
        }
        let here = features::schema_hash();
        if manifest.schema_hash != here {
            return Err(ModelError::OtherSchema { model: manifest.schema_hash, here });
        }
        let plan = graph::plan(onnx, manifest.targets.len())?;
        let classifier = Classifier { manifest, plan };
        // The first run reveals what shapes alone do not, such as weights that are not numbers.
        classifier.scores(&Features::default()).map_err(ModelError::FirstRun)?;
        Ok(classifier)
    }

    /// What the model says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Scores a prompt: one probability in 0..=1 for each of [`Manifest::targets`].
    ///
    /// # Errors
    ///
    /// When the graph fails or gives something that is not a probability.
    pub fn scores(&self, features: &Features) -> Result<Vec<f32>, ScoreError> {
        let graph_error = |error: TractError| ScoreError::Graph(error.to_string());
        let scores = self.plan.run(features).map_err(graph_error)?;
        match scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
            Some(&score) => Err(ScoreError::NoProbability(score)),
            None => Ok(scores),
        }
    }
}

#[cfg(test)]
mod tests;
