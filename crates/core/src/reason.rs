//! Who decides and why, in names that headers, metrics and records share.

use crate::names::names;
use crate::prompt::PromptError;
use crate::target::Need;

names! {
    /// Who made a decision.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Source {
        /// The client asked for the target, and may.
        Override = "override",
        /// Only one target can serve the request.
        Gate = "gate",
        /// The conversation stays where it is.
        Sticky = "sticky",
        /// A rule of the configuration.
        Rule = "rule",
        /// The classifier's score against the threshold.
        Classifier = "classifier",
        /// A draw from the bandit's policy snapshot.
        Bandit = "bandit",
        /// Nothing could decide: the default target.
        Default = "default",
    }
}

names! {
    /// Why the classifier decides although the bandit should.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FallbackReason {
        /// None has come yet.
        NoSnapshot = "no_snapshot",
        /// It was not confirmed for too long.
        StaleSnapshot = "stale_snapshot",
    }
}

/// Declares the reasons once: the variant, its name and who decides for it.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal, $source:ident;)*) => {
        /// Why a decision came out as it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
            /// A rule matched: its position in [`crate::config::Config::rule_names`], which holds
            /// the reason's name.
            Rule(u16),
        }

        impl Reason {
            /// All reasons but the rules: with those of a configuration, the bounded set that
            /// metrics are defined for.
            pub const ALL: [Reason; [$($name),*].len()] = [$(Reason::$reason),*];

            /// The name in headers, metrics and records; a rule's own name is the configuration's
            /// to give ([`crate::config::Config::reason_name`]).
            pub fn name(self) -> &'static str {
                match self {
                    $(Reason::$reason => $name,)*
                    Reason::Rule(_) => "rule",
                }
            }

            /// Who decides for this reason.
            pub fn source(self) -> Source {
                match self {
                    $(Reason::$reason => Source::$source,)*
                    Reason::Rule(_) => Source::Rule,
                }
            }
        }
    };
}

reasons! {
    /// A target's score reached its threshold.
    ScoreReachedThreshold = "score_reached_threshold", Classifier;
    /// No score reached its threshold: the strongest target.
    ScoreBelowThreshold = "score_below_threshold", Classifier;
    /// The bandit drew the target of the highest value.
    BanditBest = "bandit_best", Bandit;
    /// The bandit drew another target, to learn of it.
    BanditExplored = "bandit_explored", Bandit;
    /// The client's header names the target.
    ClientHeader = "client_header", Override;
    /// The conversation went there before, and nothing is worth a switch.
    Conversation = "conversation", Sticky;
    /// The model waits for a tool's result: no switch in between.
    ToolLoop = "tool_loop", Sticky;
    /// The request builds on state that this target's provider keeps: no other can answer it.
    ProviderState = "provider_state", Sticky;
    /// The prompt and the wanted answer fit into one target's window only.
    ContextWindow = "context_window", Gate;
    /// Only one target serves the API that was called.
    Api = "api", Gate;
    /// Only one target takes images.
    Images = "images", Gate;
    /// Only one target takes audio.
    Audio = "audio", Gate;
    /// Only one target takes documents and other files.
    Files = "files", Gate;
    /// Only one target takes video.
    Video = "video", Gate;
    /// Only one target takes whatever input there is.
    UnknownInput = "unknown_input", Gate;
    /// The body was not read to its end, and only one target takes whatever stands there.
    BodyCut = "body_cut", Gate;
    /// Only one target takes tools.
    Tools = "tools", Gate;
    /// Only one target answers in the wanted format.
    ResponseFormat = "response_format", Gate;
    /// Only one target is up.
    Health = "health", Gate;
    /// No target can serve the request.
    NoEligibleTarget = "no_eligible_target", Default;
    /// The request builds on state at a provider, and nobody remembers whose.
    UnknownState = "unknown_state", Default;
    /// Rules alone decide, and none matched.
    NoRuleMatched = "no_rule_matched", Default;
    /// The `content-type` is not JSON.
    NotJson = "not_json", Default;
    /// The body has a `content-encoding`.
    ContentEncoded = "content_encoded", Default;
    /// There is no body.
    EmptyBody = "empty_body", Default;
    /// The body is not JSON text.
    MalformedJson = "malformed_json", Default;
    /// The body nests deeper than [`crate::prompt::MAX_DEPTH`].
    TooDeep = "too_deep", Default;
    /// JSON without a message that could be read.
    NoPrompt = "no_prompt", Default;
    /// The prompt is too unlike the training data for the classifier to judge.
    NovelPrompt = "novel_prompt", Default;
    /// The classifier gave no score.
    ModelError = "model_error", Default;
}

impl From<Need> for Reason {
    fn from(need: Need) -> Self {
        match need {
            Need::Images => Reason::Images,
            Need::Audio => Reason::Audio,
            Need::Files => Reason::Files,
            Need::Video => Reason::Video,
            Need::UnknownInput => Reason::UnknownInput,
            Need::Tools => Reason::Tools,
            Need::ResponseFormat => Reason::ResponseFormat,
        }
    }
}

impl From<PromptError> for Reason {
    fn from(error: PromptError) -> Self {
        match error {
            PromptError::EmptyBody => Reason::EmptyBody,
            PromptError::MalformedJson => Reason::MalformedJson,
            PromptError::TooDeep => Reason::TooDeep,
            PromptError::NoPrompt => Reason::NoPrompt,
        }
    }
}
