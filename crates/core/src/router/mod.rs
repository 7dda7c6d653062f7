//! The stages strung together: body bytes to a decision.

use std::sync::Mutex;

use crate::acceptance::AcceptanceModel;
use crate::classifier::{Classifier, ModelError, NoveltyLimit};
use crate::config::Config;
use crate::decision::Decision;
use crate::features::{self, Features};
use crate::header;
use crate::policy::gates;
use crate::policy::sticky::{self, Key};
use crate::policy::{Evidence, RequestContext, StateOwner};
use crate::prompt::{ApiFormat, Prompt, PromptError};
use crate::reason::Reason;
use crate::target::{Target, TargetSet};

mod thresholds;
mod unread;

use thresholds::Scoring;

/// A configuration with its model: decides for one request at a time, any number of times.
#[derive(Debug)]
pub struct Router {
    config: Config,
    classifier: Classifier,
    /// By policy, then by target.
    thresholds: Vec<Vec<f32>>,
    /// A vector to fill again: a new one is 33 kB of zeros.
    spare: Mutex<Option<Features>>,
    scoring: Scoring,
}

/// Why a configuration cannot be put to work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RouterError {
    /// The embedded or the configured model does not load.
    #[error("policy.classifier.model: {0}")]
    Model(ModelError),
    /// A target's judge does not load.
    #[error("targets \"{target}\": escalate.judge: {error}")]
    Judge { target: String, error: ModelError },
    /// The model scores another number of targets than the configuration has.
    #[error(
        "targets = {config} targets: must be {expected}, because the model scores {model} in \
         addition to the strongest; a model with one score serves any number, and rules alone (policy.order: rules_only) decide among any number",
        expected = .model + 1
    )]
    Targets { model: usize, config: usize },
    /// A target that no score and no rule could choose.
    #[error(
        "targets \"{target}\"{}: threshold = {threshold}: must be below {lowest}, the threshold of a \
         cheaper target on the same score, or no request goes there",
        if .policy.is_empty() { String::new() } else { format!(", policies.{policy}") }
    )]
    NeverChosen { target: String, threshold: f32, policy: String, lowest: f32 },
    /// The control plane's key cannot sign.
    #[error("control.key: cannot sign")]
    ControlPlaneKey,
    /// A limit of novelty for a model that does not measure it.
    #[error("policy.classifier.novelty_limit: needs a model whose manifest has `novelty`")]
    NoNovelty,
}

impl Router {
    /// Loads the configured model, or the embedded one.
    ///
    /// # Errors
    ///
    /// When the model does not load or does not fit the targets.
    pub fn new(config: Config) -> Result<Self, RouterError> {
        let classifier = match &config.model {
            Some(model) => Classifier::load_for(&model.onnx, &model.manifest, config.objective),
            None => Classifier::embedded_for(config.objective),
        }
        .map_err(RouterError::Model)?;
        // Who holds the answers loads it again; what is wrong with it shows here, before.
        for target in &config.targets {
            let judge = target.escalate.as_ref().and_then(|escalate| escalate.judge.as_ref());
            let loaded = judge.map(|it| AcceptanceModel::load(&it.onnx, &it.manifest));
            if let Some(Err(error)) = loaded {
                return Err(RouterError::Judge { target: target.name.clone(), error });
            }
        }
        let scored = classifier.thresholds();
        let scoring = Scoring::of(scored.len(), &config)?;
        if matches!(config.novelty_limit, NoveltyLimit::At(_))
            && classifier.manifest().novelty.is_none()
        {
            return Err(RouterError::NoNovelty);
        }
        let thresholds: Vec<Vec<f32>> = config
            .policies
            .iter()
            .enumerate()
            .map(|(position, policy)| {
                thresholds::of_policy(&config, position, policy, scored, scoring)
            })
            .collect();
        if scoring == Scoring::Shared {
            thresholds::check_falling(&config, &thresholds)?;
        }
        Ok(Router { config, classifier, thresholds, spare: Mutex::default(), scoring })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The model.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Scores of the non-strongest targets, cheapest first; none when the model has none for them.
    pub fn scores(&self, features: &Features) -> Vec<f32> {
        match self.scoring {
            Scoring::None => Vec::new(),
            Scoring::EachTarget => self.classifier.scores(features).unwrap_or_default(),
            Scoring::Shared => {
                let scores = self.classifier.scores(features).unwrap_or_default();
                let count = self.config.targets.len().saturating_sub(1);
                scores.first().map(|score| vec![*score; count]).unwrap_or_default()
            }
        }
    }

    /// Thresholds of the non-strongest targets under a policy, cheapest first.
    pub fn thresholds(&self, policy: usize) -> &[f32] {
        self.thresholds.get(policy).map_or(&[], Vec::as_slice)
    }

    /// The target of a decision.
    pub fn target(&self, decision: &Decision) -> Option<&Target> {
        self.config.targets.get(decision.target)
    }

    /// The default target takes it, or the strongest that serves the request's API where the default
    /// one does not.
    fn fall_back(&self, reason: Reason, api: Option<ApiFormat>) -> Decision {
        let serves = |target: &Target| api.is_none_or(|api| target.serves(api));
        let target = self.default_or(|at| self.config.targets.get(*at).is_some_and(serves));
        Decision::fallback(target, reason)
    }

    /// The default target, or the strongest that may take its place where the default one may not.
    fn default_or(&self, may: impl Fn(&usize) -> bool) -> usize {
        let default = self.config.default;
        let stand_in = || (0..self.config.targets.len()).rev().find(&may);
        Some(default).filter(&may).or_else(stand_in).unwrap_or(default)
    }

    /// What the router keeps of a request body. `truncated` says that it is only the beginning.
    ///
    /// # Errors
    ///
    /// See [`PromptError`].
    pub fn read<'b>(
        &self,
        format: ApiFormat,
        body: &'b mut Vec<u8>,
        truncated: bool,
    ) -> Result<Prompt<'b>, PromptError> {
        Prompt::parse_with(format, body, truncated, &self.config.envelopes)
    }

    /// Decides on a request body, of which nothing else is known.
    pub fn decide(&self, format: ApiFormat, body: &mut Vec<u8>, truncated: bool) -> Decision {
        let facts = RequestContext::default();
        match self.read(format, body, truncated) {
            Ok(prompt) => self.decide_prompt(&prompt, &facts),
            Err(error) => self.decide_unread(format, error.into(), &facts),
        }
    }

    /// What the conversation of a prompt is known by; `None` when nothing tells it from others.
    pub fn conversation(&self, prompt: &Prompt, facts: &RequestContext) -> Option<Key> {
        Key::of(self.config.sticky.as_ref(), prompt, facts.identity, facts.history)
    }

    /// Where a request goes that builds on state at a provider, whatever else it says.
    pub fn follow(&self, owner: StateOwner, api: Option<ApiFormat>) -> Decision {
        match owner {
            StateOwner::Target(target) => Decision::fallback(target, Reason::ProviderState),
            StateOwner::Unknown => self.fall_back(Reason::UnknownState, api),
        }
    }

    /// Decides on a parsed prompt: state at a provider, then gates, override, conversation, rules
    /// and classifier.
    pub fn decide_prompt(&self, prompt: &Prompt, facts: &RequestContext) -> Decision {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.take());
        let mut features = spare.unwrap_or_default();
        features::extract_into(prompt, &mut features);
        let evidence = Evidence { prompt, features: &features, facts };
        let decision = self.decide_on(&evidence);
        let context = features.engineered().to_vec();
        if let Ok(mut spare) = self.spare.lock() {
            *spare = Some(features);
        }
        Decision { context, prompt_tokens_estimate: prompt.tokens_estimate(), ..decision }
    }

    fn decide_on(&self, evidence: &Evidence) -> Decision {
        let Evidence { prompt, facts, .. } = *evidence;
        if let Some(owner) = facts.state {
            return self.follow(owner, prompt.api);
        }
        let gates = gates::pass(&self.config.targets, prompt, facts.unavailable);
        let Some(strongest) = gates.eligible.strongest() else {
            return self.fall_back(Reason::NoEligibleTarget, prompt.api);
        };
        if let Some(target) = self.asked_for(facts).filter(|it| gates.eligible.contains(*it)) {
            return Decision::fallback(target, Reason::ClientHeader);
        }
        if let (1, Some(reason)) = (gates.eligible.len(), gates.reason) {
            return Decision::fallback(strongest, reason);
        }
        let fresh = self.apply_policies(evidence, gates.eligible);
        let before = facts.previous.filter(|it| gates.eligible.contains(*it));
        match before.and_then(|before| Some((before, self.stay(prompt, before, &fresh)?))) {
            Some((target, reason)) => Decision { target, reason, propensity: 1.0, ..fresh },
            // The conversation moves for a reason, which a draw would not know of.
            None if facts.previous.is_some() => Decision { open: TargetSet::default(), ..fresh },
            None => fresh,
        }
    }

    /// The target that the client's header names, if it may.
    fn asked_for(&self, facts: &RequestContext) -> Option<usize> {
        let client = &self.config.client;
        if client.targets.is_empty() {
            return None;
        }
        let asked = (facts.header)(header::TARGET)?;
        client.targets.iter().copied().find(|target| {
            self.config.targets.get(*target).is_some_and(|it| it.name.as_bytes() == asked)
        })
    }

    /// Why the conversation stays where it was; `None` when the fresh decision holds. A switch is
    /// made upwards, or when it saves more than it costs, and never in the middle of a tool loop.
    fn stay(&self, prompt: &Prompt, before: usize, fresh: &Decision) -> Option<Reason> {
        if prompt.in_tool_loop() {
            return Some(Reason::ToolLoop);
        }
        let targets = &self.config.targets;
        let worth = || {
            let (from, to) = (targets.get(before)?, targets.get(fresh.target)?);
            let sticky = self.config.sticky.as_ref()?;
            Some(sticky::is_worth_it(sticky, prompt, from, to))
        };
        (fresh.target <= before && !(fresh.target < before && worth() == Some(true)))
            .then_some(Reason::Conversation)
    }

    /// The route's policy, or the canary's for its share of conversations. The propensity is the
    /// probability, over that draw, of the target that was chosen.
    fn apply_policies(&self, evidence: &Evidence, eligible: TargetSet) -> Decision {
        let abstains = self.is_novel(evidence.features);
        let scores = if abstains { Vec::new() } else { self.scores(evidence.features) };
        let apply = |position: usize| {
            let policy = self.config.policies.get(position)?;
            let thresholds = self.thresholds.get(position)?;
            Some(policy.decide(evidence, &scores, thresholds, eligible, self.config.default))
        };
        let asked = evidence.facts.policy;
        let verdict = apply(asked);
        let canary = self.config.canary.filter(|_| asked == 0);
        // A request that belongs to no conversation is no part of the experiment.
        let canary = canary.zip(self.conversation(evidence.prompt, evidence.facts));
        let other = canary.and_then(|drawn| Some((drawn, apply(drawn.0.policy)?)));
        let Some(verdict) = verdict else {
            return self.fall_back(Reason::ModelError, evidence.prompt.api);
        };
        let (verdict, policy, propensity) = match other {
            None => (verdict, asked, 1.0),
            Some(((canary, key), other)) => {
                let drawn = key.draw() < f64::from(canary.share);
                let share = if drawn { canary.share } else { 1.0 - canary.share };
                let propensity = if other.target == verdict.target { 1.0 } else { share };
                if drawn { (other, canary.policy, propensity) } else { (verdict, 0, propensity) }
            }
        };
        let open = !abstains
            && canary.is_none()
            && eligible == TargetSet::first(self.config.targets.len());
        let reason = match verdict.reason {
            Reason::ModelError if abstains => Reason::NovelPrompt,
            reason => reason,
        };
        Decision {
            target: verdict.target,
            score: verdict.score.map(|(score, _)| score),
            threshold: verdict.score.map(|(_, threshold)| threshold),
            propensity,
            policy,
            // A draw among fewer targets, or along with another draw, would have a propensity that
            // estimates could not use.
            open: if open { eligible } else { TargetSet::default() },
            scores,
            ..Decision::fallback(self.config.default, reason)
        }
    }

    /// Whether a prompt is too unlike the training data for a score.
    fn is_novel(&self, features: &Features) -> bool {
        let novelty = self.classifier.manifest().novelty.as_ref();
        let limit = novelty.and_then(|it| it.limit_at(self.config.novelty_limit));
        novelty.zip(limit).is_some_and(|(novelty, limit)| novelty.of(features) > limit)
    }
}

#[cfg(test)]
mod tests;
