//! What was decided.

use crate::reason::{Reason, Source};
use crate::target::TargetSet;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Position in [`crate::config::Config::targets`].
    pub target: usize,
    pub reason: Reason,
    /// The score that decided: the chosen target's, or the best non-strongest one's when none
    /// reached its threshold. `None` when the classifier was not asked.
    pub score: Option<f32>,
    /// The threshold that the score was held against.
    pub threshold: Option<f32>,
    /// Probability with which this target was chosen; 1 for a deterministic policy.
    pub propensity: f32,
    /// The policy that decided: position in [`crate::config::Config::policies`].
    pub policy: usize,
    /// The engineered features, the context of the decision; empty when none were computed.
    pub context: Vec<f32>,
    /// The classifier's scores, one per scored target; empty when it was not asked.
    pub scores: Vec<f32>,
    /// What the bandit may draw among; empty where it may not draw.
    pub open: TargetSet,
    /// Rough size of the prompt: four bytes of text a token.
    pub prompt_tokens_estimate: usize,
}

impl Decision {
    /// The default target takes it.
    pub fn fallback(target: usize, reason: Reason) -> Self {
        Decision {
            target,
            reason,
            score: None,
            threshold: None,
            propensity: 1.0,
            policy: 0,
            context: Vec::new(),
            scores: Vec::new(),
            open: TargetSet::default(),
            prompt_tokens_estimate: 0,
        }
    }

    /// Whether the bandit decides in the classifier's place, when there is one.
    pub fn is_drawable(&self) -> bool {
        self.source() == Source::Classifier && !self.open.is_empty()
    }

    /// Who made it.
    pub fn source(&self) -> Source {
        self.reason.source()
    }
}
