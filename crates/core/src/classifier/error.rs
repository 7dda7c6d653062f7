//! Why a model is refused, or did not answer.

use super::{MAX_MODEL_BYTES, MAX_NUMBERS};

/// Why a model cannot be loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// `manifest.json` is not the expected JSON.
    #[error("manifest.json: {0}")]
    Manifest(String),
    /// The manifest has a layout that this version does not know.
    #[error("manifest.json: format {found} is not supported, expected 1")]
    ManifestFormat { found: u32 },
    /// The model was trained on another feature schema.
    #[error(
        "the model was trained on feature schema {model}, this program computes {here}: retrain it"
    )]
    OtherSchema { model: String, here: String },
    /// The model was not trained for the objective that is asked for.
    #[error(
        "the model has no score for the objective {asked}, only for {known}: train one with \
         --objective {asked} or --gain-data, or leave policy.objective out"
    )]
    Objective { asked: &'static str, known: &'static str },
    /// The ONNX file is larger than [`MAX_MODEL_BYTES`].
    #[error("model.onnx has {bytes} bytes, at most {MAX_MODEL_BYTES} are accepted")]
    TooLarge { bytes: usize },
    /// A run would leave more numbers than [`MAX_NUMBERS`].
    #[error("model.onnx makes {numbers} numbers in one run, at most {MAX_NUMBERS} are accepted")]
    TooMuchMemory { numbers: usize },
    /// The manifest is another file's.
    #[error(
        "manifest.json is of the model {manifest}, model.onnx is {onnx}: its version must be the \
         first 12 hex digits of the file's SHA-256"
    )]
    OtherModel { manifest: String, onnx: String },
    /// The file is not an ONNX protobuf.
    #[error("model.onnx is not ONNX: {0}")]
    NotOnnx(String),
    /// The graph uses an operator that is not supported.
    #[error("model.onnx: operator \"{operator}\" (node \"{node}\") is not supported")]
    Operator { operator: String, node: String },
    /// A node's inputs, attributes or shapes do not fit.
    #[error("model.onnx: node \"{node}\": {problem}")]
    Node { node: String, problem: String },
    /// The graph as a whole does not fit: inputs, outputs, order of nodes.
    #[error("model.onnx: {0}")]
    Graph(String),
    /// The model failed on an empty prompt.
    #[error("model.onnx fails on an empty prompt: {0}")]
    FirstRun(ScoreError),
}

/// Why a model gave no score.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// The graph could not be run.
    #[error("{0}")]
    Graph(String),
    /// An output is not in 0..=1.
    #[error("the score {0} is not a probability")]
    NoProbability(f32),
}
