//! What was decided, and why, in names that headers, metrics and records share.

/// Who made a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The classifier's score against the threshold.
    Classifier,
    /// A draw from the bandit's policy snapshot.
    Bandit,
    /// Nothing could decide: the default target.
    Default,
}

impl Source {
    /// The name in headers, metrics and records.
    pub fn name(self) -> &'static str {
        match self {
            Source::Classifier => "classifier",
            Source::Bandit => "bandit",
            Source::Default => "default",
        }
    }
}

/// Why a decision came out as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A target's score reached its threshold.
    ScoreReachedThreshold,
    /// No score reached its threshold: the strongest target.
    ScoreBelowThreshold,
    /// The bandit drew the target of the highest value.
    BanditBest,
    /// The bandit drew another target, to learn of it.
    BanditExplored,
    /// The `content-type` is not JSON.
    NotJson,
    /// The body has a `content-encoding`.
    ContentEncoded,
    /// There is no body.
    EmptyBody,
    /// The body is not JSON text.
    MalformedJson,
    /// The body nests deeper than [`crate::prompt::MAX_DEPTH`].
    TooDeep,
    /// JSON without a message that could be read.
    NoPrompt,
    /// The classifier gave no score.
    ModelError,
}

impl Reason {
    /// All reasons: the bounded set that metrics are defined for.
    pub const ALL: [Reason; 11] = [
        Reason::ScoreReachedThreshold,
        Reason::ScoreBelowThreshold,
        Reason::BanditBest,
        Reason::BanditExplored,
        Reason::NotJson,
        Reason::ContentEncoded,
        Reason::EmptyBody,
        Reason::MalformedJson,
        Reason::TooDeep,
        Reason::NoPrompt,
        Reason::ModelError,
    ];

    /// The name in headers, metrics and records.
    pub fn name(self) -> &'static str {
        match self {
            Reason::ScoreReachedThreshold => "score_reached_threshold",
            Reason::ScoreBelowThreshold => "score_below_threshold",
            Reason::BanditBest => "bandit_best",
            Reason::BanditExplored => "bandit_explored",
            Reason::NotJson => "not_json",
            Reason::ContentEncoded => "content_encoded",
            Reason::EmptyBody => "empty_body",
            Reason::MalformedJson => "malformed_json",
            Reason::TooDeep => "too_deep",
            Reason::NoPrompt => "no_prompt",
            Reason::ModelError => "model_error",
        }
    }

    /// Who decides for this reason.
    pub fn source(self) -> Source {
        match self {
            Reason::ScoreReachedThreshold | Reason::ScoreBelowThreshold => Source::Classifier,
            Reason::BanditBest | Reason::BanditExplored => Source::Bandit,
            _ => Source::Default,
        }
    }
}

impl From<crate::prompt::PromptError> for Reason {
    fn from(error: crate::prompt::PromptError) -> Self {
        use crate::prompt::PromptError;
        match error {
            PromptError::EmptyBody => Reason::EmptyBody,
            PromptError::MalformedJson => Reason::MalformedJson,
            PromptError::TooDeep => Reason::TooDeep,
            PromptError::NoPrompt => Reason::NoPrompt,
        }
    }
}

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
    /// The engineered features, the context of the decision; empty when none were computed.
    pub context: Vec<f32>,
    /// The classifier's scores, one per scored target; empty when it was not asked.
    pub scores: Vec<f32>,
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
            context: Vec::new(),
            scores: Vec::new(),
            prompt_tokens_estimate: 0,
        }
    }

    /// Who made it.
    pub fn source(&self) -> Source {
        self.reason.source()
    }
}
