//! The stages strung together: body bytes to a decision.

use std::fmt;

use crate::classifier::{Classifier, ModelError};
use crate::config::{Config, Target};
use crate::decision::{Decision, Reason};
use crate::features::{self, Features};
use crate::policy;
use crate::prompt::{ApiFormat, Prompt};

/// A configuration with its model: decides for one request at a time, any number of times.
#[derive(Debug)]
pub struct Router {
    config: Config,
    classifier: Classifier,
    thresholds: Vec<f32>,
}

/// Why a configuration cannot be put to work.
#[derive(Clone, Debug, PartialEq)]
pub enum RouterError {
    /// The embedded or the configured model does not load.
    Model(ModelError),
    /// The model scores another number of targets than the configuration has.
    Targets { model: usize, config: usize },
}

impl fmt::Display for RouterError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            RouterError::Model(error) => write!(formatter, "policy.classifier.model: {error}"),
            RouterError::Targets { model, config } => write!(
                formatter,
                "targets = {config} targets: must be {}, because the model scores {model} beside the strongest",
                model + 1
            ),
        }
    }
}

impl std::error::Error for RouterError {}

impl Router {
    /// Loads the configured model, or the embedded one.
    ///
    /// # Errors
    ///
    /// When the model does not load or does not fit the targets.
    pub fn new(config: Config) -> Result<Self, RouterError> {
        let classifier = match &config.model {
            Some(model) => Classifier::load(&model.onnx, &model.manifest),
            None => Classifier::embedded(),
        }
        .map_err(RouterError::Model)?;
        let scored = &classifier.manifest().targets;
        if scored.len() + 1 != config.targets.len() {
            return Err(RouterError::Targets { model: scored.len(), config: config.targets.len() });
        }
        let thresholds = config
            .targets
            .iter()
            .zip(scored)
            .map(|(target, scored)| target.threshold.unwrap_or(scored.threshold))
            .collect();
        Ok(Router { config, classifier, thresholds })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The model.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The target of a decision.
    pub fn target(&self, decision: &Decision) -> Option<&Target> {
        self.config.targets.get(decision.target)
    }

    /// The default target takes it, for a reason the host found.
    pub fn fall_back(&self, reason: Reason) -> Decision {
        Decision::fallback(self.config.default, reason)
    }

    /// Decides on a request body. `truncated` says that it is only the beginning.
    pub fn decide(&self, format: ApiFormat, body: &mut Vec<u8>, truncated: bool) -> Decision {
        match Prompt::parse(format, body, truncated) {
            Ok(prompt) => self.decide_prompt(&prompt),
            Err(error) => self.fall_back(error.into()),
        }
    }

    /// Decides on a parsed prompt.
    pub fn decide_prompt(&self, prompt: &Prompt) -> Decision {
        let features = features::extract(prompt);
        let decision = self.decide_features(&features);
        Decision { prompt_tokens_estimate: prompt.tokens_estimate(), ..decision }
    }

    fn decide_features(&self, features: &Features) -> Decision {
        let context = features.engineered().to_vec();
        let scores = self.classifier.scores(features).unwrap_or_default();
        let choice = policy::choose(&scores, &self.thresholds);
        let Some(choice) = choice else {
            return Decision { context, ..self.fall_back(Reason::ModelError) };
        };
        let reason = if choice.reached {
            Reason::ScoreReachedThreshold
        } else {
            Reason::ScoreBelowThreshold
        };
        Decision {
            target: choice.target,
            score: Some(choice.score),
            threshold: Some(choice.threshold),
            context,
            scores,
            ..self.fall_back(reason)
        }
    }
}
