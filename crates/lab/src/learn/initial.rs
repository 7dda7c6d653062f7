//! An existing model as the start of a new one, for logs too small to learn from alone.

use tract_onnx::pb;

use super::export::{GAIN_PREFIX, SCORES};
use super::sparse::SparseFeatures;
use pointsman_core::classifier::{Classifier, GAIN, ModelError};
use pointsman_core::features::Features;

/// Put before the names of the initial model's tensors.
const PREFIX: &str = "initial_";

/// A model whose logit becomes one input of the new model's head.
pub struct Initial {
    classifier: Classifier,
    graph: pb::GraphProto,
}

/// Why a model cannot be started from.
#[derive(Debug, thiserror::Error)]
pub enum InitialError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("model {version} {problem}")]
    Unsuitable { version: String, problem: &'static str },
}

impl Initial {
    /// Loads a model that `pointsman train` wrote.
    ///
    /// # Errors
    ///
    /// When the model does not load, scores several targets, or was itself started from another:
    /// each start would make decisions slower.
    pub fn load(onnx: &[u8], manifest: &[u8]) -> Result<Initial, InitialError> {
        let classifier = Classifier::load(onnx, manifest)?;
        let version = classifier.manifest().version.clone();
        let refuse = |problem| InitialError::Unsuitable { version: version.clone(), problem };
        if classifier.manifest().targets.len() != 1 {
            return Err(refuse("scores several targets; start from a model of one"));
        }
        let proto: pb::ModelProto =
            prost::Message::decode(onnx).map_err(|e| ModelError::NotOnnx(e.to_string()))?;
        let mut graph = proto.graph.ok_or(refuse("has no graph"))?;
        if graph.node.iter().any(|node| node.name.starts_with(PREFIX)) {
            return Err(refuse("was started from another model; start from that one"));
        }
        let input = graph.input.first().map(|input| input.name.clone()).unwrap_or_default();
        // What answers another question is no part of the start.
        let of_gain = |name: &str| name == GAIN || name.starts_with(GAIN_PREFIX);
        graph.node.retain(|node| !of_gain(&node.name));
        graph.initializer.retain(|tensor| !of_gain(&tensor.name));
        let output = graph.node.pop_if(|node| node.op_type == "Sigmoid" && node.name == SCORES);
        if output.is_none() || graph.node.is_empty() || input != "features" {
            return Err(refuse("was not written by pointsman train"));
        }
        let prefix = |name: &mut String| {
            if *name != input {
                *name = format!("{PREFIX}{name}");
            }
        };
        for node in &mut graph.node {
            node.input.iter_mut().chain(&mut node.output).chain([&mut node.name]).for_each(prefix);
        }
        graph.initializer.iter_mut().for_each(|tensor| prefix(&mut tensor.name));
        Ok(Initial { classifier, graph })
    }

    /// The model's version, from its manifest.
    pub fn version(&self) -> &str {
        &self.classifier.manifest().version
    }

    /// The model's logit for some features.
    pub(super) fn logit(&self, features: &SparseFeatures) -> f32 {
        /// Scores of exactly 0 or 1 have no logit.
        const EDGE: f32 = 1e-6;
        let scores = self.classifier.scores(&Features::from(features));
        let score = scores.ok().and_then(|scores| scores.first().copied()).unwrap_or(0.5);
        let score = score.clamp(EDGE, 1.0 - EDGE);
        (score / (1.0 - score)).ln()
    }

    /// The model's graph up to its logit, and the logit's name. No name collides with one of a new
    /// graph.
    pub(super) fn graph(&self) -> (&pb::GraphProto, &str) {
        let logit = self.graph.node.last().map_or("", |node| node.name.as_str());
        (&self.graph, logit)
    }
}

impl std::fmt::Debug for Initial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_tuple("Initial").field(&self.version()).finish()
    }
}

impl PartialEq for Initial {
    fn eq(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}
