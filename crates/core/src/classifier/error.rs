//! Why a model is refused, or did not answer.

use std::fmt;

use super::MAX_MODEL_BYTES;

/// Why a model cannot be loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelError {
    /// `manifest.json` is not the expected JSON.
    Manifest(String),
    /// The manifest has a layout that this version does not know.
    ManifestFormat { found: u32 },
    /// The model was trained on another feature schema.
    OtherSchema { model: String, here: String },
    /// The ONNX file is larger than [`MAX_MODEL_BYTES`].
    TooLarge { bytes: usize },
    /// The file is no ONNX protobuf.
    NotOnnx(String),
    /// The graph uses an operator that is not supported.
    Operator { operator: String, node: String },
    /// A node's inputs, attributes or shapes do not fit.
    Node { node: String, problem: String },
    /// The graph as a whole does not fit: inputs, outputs, order of nodes.
    Graph(String),
    /// The model failed on an empty prompt.
    FirstRun(ScoreError),
}

impl fmt::Display for ModelError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ModelError::Manifest(problem) => write!(formatter, "manifest.json: {problem}"),
            ModelError::ManifestFormat { found } => {
                write!(formatter, "manifest.json: format {found} is not supported, expected 1")
            }
            ModelError::OtherSchema { model, here } => write!(
                formatter,
                "the model was trained on feature schema {model}, this program computes {here}: retrain it"
            ),
            ModelError::TooLarge { bytes } => write!(
                formatter,
                "model.onnx has {bytes} bytes, at most {MAX_MODEL_BYTES} are accepted"
            ),
            ModelError::NotOnnx(problem) => write!(formatter, "model.onnx is not ONNX: {problem}"),
            ModelError::Operator { operator, node } => write!(
                formatter,
                "model.onnx: operator \"{operator}\" (node \"{node}\") is not supported"
            ),
            ModelError::Node { node, problem } => {
                write!(formatter, "model.onnx: node \"{node}\": {problem}")
            }
            ModelError::Graph(problem) => write!(formatter, "model.onnx: {problem}"),
            ModelError::FirstRun(error) => {
                write!(formatter, "model.onnx fails on an empty prompt: {error}")
            }
        }
    }
}

impl std::error::Error for ModelError {}

/// Why a model gave no score.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreError {
    /// The graph could not be run.
    Graph(String),
    /// An output is not in 0..=1.
    NoProbability(f32),
}

impl fmt::Display for ScoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ScoreError::Graph(problem) => formatter.write_str(problem),
            ScoreError::NoProbability(score) => {
                write!(formatter, "the score {score} is not a probability")
            }
        }
    }
}

impl std::error::Error for ScoreError {}
