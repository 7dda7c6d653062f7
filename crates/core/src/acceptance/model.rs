//! A loaded model of answers.

use serde::{Deserialize, Serialize};
use tract_core::prelude::TractError;

use super::{ANSWER_LEN, LogProbabilities, answer_schema_hash, extract};
use crate::classifier::{
    Input, MAX_MODEL_BYTES, ModelError, Plan, ScoreError, check_version, plan_of,
};
use crate::prompt::{Prompt, Role};

/// Where a model of answers comes from and what it expects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptanceManifest {
    /// Version of this file's layout: 1.
    pub format: u32,
    /// First 12 hex digits of the SHA-256 of `model.onnx`.
    pub version: String,
    /// [`answer_schema_hash`] of the code that trained it.
    pub schema_hash: String,
    /// [`ANSWER_LEN`] of the code that trained it.
    pub features: usize,
    /// An answer whose probability is lower is asked for again, of the strong model; 0..=1.
    pub accept_below: f32,
    /// What only people read: data digests, measures.
    #[serde(default)]
    pub training: serde_json::Value,
}

impl AcceptanceManifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// [`ModelError::Manifest`], [`ModelError::ManifestFormat`] and [`ModelError::OtherSchema`].
    pub fn read(json: &[u8]) -> Result<Self, ModelError> {
        let manifest: AcceptanceManifest = serde_json::from_slice(json)
            .map_err(|error| ModelError::Manifest(error.to_string()))?;
        if manifest.format != 1 {
            return Err(ModelError::ManifestFormat { found: manifest.format });
        }
        if !(0.0..=1.0).contains(&manifest.accept_below) {
            let below = manifest.accept_below;
            return Err(ModelError::Manifest(format!(
                "accept_below = {below}: must be from 0 to 1"
            )));
        }
        let here = answer_schema_hash();
        if manifest.schema_hash != here || manifest.features != ANSWER_LEN {
            return Err(ModelError::OtherSchema { model: manifest.schema_hash, here });
        }
        Ok(manifest)
    }
}

/// Marks of all positions of the vector.
const OCCUPIED: [u64; ANSWER_LEN.div_ceil(64)] = {
    let mut words = [u64::MAX; ANSWER_LEN.div_ceil(64)];
    if let Some(last) = words.last_mut()
        && !ANSWER_LEN.is_multiple_of(64)
    {
        *last = (1 << (ANSWER_LEN % 64)) - 1;
    }
    words
};

/// A judge of answers.
pub struct AcceptanceModel {
    manifest: AcceptanceManifest,
    plan: Plan,
}

impl std::fmt::Debug for AcceptanceModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("AcceptanceModel").field("version", &self.manifest.version).finish()
    }
}

impl AcceptanceModel {
    /// Loads a model: `model.onnx` and `manifest.json`, as `pointsman train --accept` writes them.
    ///
    /// # Errors
    ///
    /// Names what is refused, as [`crate::classifier::Classifier::load`] does.
    pub fn load(onnx: &[u8], manifest: &[u8]) -> Result<Self, ModelError> {
        let manifest = AcceptanceManifest::read(manifest)?;
        if onnx.len() > MAX_MODEL_BYTES {
            return Err(ModelError::TooLarge { bytes: onnx.len() });
        }
        check_version(onnx, &manifest.version)?;
        let plan = plan_of(onnx, ANSWER_LEN, 1, false)?;
        let model = AcceptanceModel { manifest, plan };
        model.judge(&[0.0; ANSWER_LEN]).map_err(ModelError::FirstRun)?;
        Ok(model)
    }

    /// What the model says about itself.
    pub fn manifest(&self) -> &AcceptanceManifest {
        &self.manifest
    }

    /// The probability below which an answer is asked for again, unless configured otherwise.
    pub fn accept_below(&self) -> f32 {
        self.manifest.accept_below
    }

    /// How likely an answer is good enough, 0..=1, from what [`extract`] gives.
    ///
    /// # Errors
    ///
    /// When the graph fails or gives something that is not a probability.
    pub fn judge(&self, features: &[f32; ANSWER_LEN]) -> Result<f32, ScoreError> {
        let graph_error = |error: TractError| ScoreError::Graph(error.to_string());
        let input = Input { values: features, occupied: &OCCUPIED };
        let scores = self.plan.run(input).map_err(graph_error)?;
        match scores.first().copied() {
            Some(score) if (0.0..=1.0).contains(&score) => Ok(score),
            score => Err(ScoreError::NoProbability(score.unwrap_or(f32::NAN))),
        }
    }

    /// How likely the answer to a prompt is good enough, 0..=1: `prompt` is what [`asked`] gives,
    /// `answer` the whole text of the answer.
    ///
    /// # Errors
    ///
    /// As [`AcceptanceModel::judge`].
    pub fn probability(
        &self,
        prompt: &str,
        answer: &str,
        log_probabilities: Option<LogProbabilities>,
    ) -> Result<f32, ScoreError> {
        self.judge(&extract(prompt, answer, log_probabilities))
    }
}

/// The text that an answer is judged against: that of the last user turn, or of the last turn where
/// there is none.
pub fn asked<'p>(prompt: &'p Prompt) -> &'p str {
    let user = prompt.turns.iter().rev().find(|turn| turn.role == Role::User);
    user.or(prompt.turns.last()).map_or("", |turn| &turn.text)
}
