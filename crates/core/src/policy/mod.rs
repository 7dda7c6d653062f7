//! Features, rules and scores to a choice of target, among those that the gates let through.

use crate::features::Features;
use crate::identity::Identity;
use crate::prompt::Prompt;
use crate::reason::Reason;
use crate::target::TargetSet;

pub mod bandit;
mod beginning;
pub mod gates;
pub mod health;
mod preset;
pub mod rules;
pub mod sticky;

pub use gates::Gates;
pub use preset::{Preset, step};
use rules::Rule;

/// How rules and classifier combine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Order {
    /// The first rule that matches, else the classifier.
    #[default]
    RulesFirst,
    /// Rules are not asked.
    ClassifierOnly,
    /// The classifier, but the rules where its score is no further than `band` from the threshold.
    RulesWhenUncertain { band: f32 },
    /// The classifier is not asked.
    RulesOnly,
}

/// One way to choose.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The name that route metadata and the canary choose it by; empty for the main one.
    pub name: String,
    pub order: Order,
    pub rules: Vec<Rule>,
    /// Thresholds by what they mean, where no number is given.
    pub preset: Option<Preset>,
    /// Thresholds of its own by target, where the target's do not hold.
    pub thresholds: Vec<Option<f32>>,
}

/// Whose state a request builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOwner {
    /// The target at this position made it.
    Target(usize),
    /// Nobody remembers.
    Unknown,
}

/// What a host knows of a request in addition to its body.
#[derive(Clone, Copy)]
pub struct RequestContext<'f> {
    /// The value of a request header by its lower-case name; the path is `:path`.
    pub header: &'f dyn Fn(&str) -> Option<Vec<u8>>,
    /// The policy that the route asks for: position in [`crate::config::Config::policies`].
    pub policy: usize,
    /// Who asks, and in which session.
    pub identity: Identity,
    /// What was said before is with the provider, and not in the body.
    pub history: bool,
    /// State at a provider that the request builds on.
    pub state: Option<StateOwner>,
    /// Where the conversation went last.
    pub previous: Option<usize>,
    /// Targets that are down.
    pub unavailable: TargetSet,
}

impl Default for RequestContext<'_> {
    fn default() -> Self {
        RequestContext {
            header: &|_| None,
            policy: 0,
            identity: Identity::default(),
            history: false,
            state: None,
            previous: None,
            unavailable: TargetSet::default(),
        }
    }
}

/// What a rule may look at.
#[derive(Clone, Copy)]
pub struct Evidence<'e> {
    pub prompt: &'e Prompt<'e>,
    pub features: &'e Features,
    pub facts: &'e RequestContext<'e>,
}

/// A choice among targets by their scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Position of the chosen target.
    pub target: usize,
    /// The score that decided.
    pub score: f32,
    /// The threshold it was held against.
    pub threshold: f32,
    /// Whether the score reached the threshold.
    pub reached: bool,
}

/// Chooses the cheapest eligible target whose score reaches its threshold, otherwise the strongest
/// eligible one.
///
/// `scores` and `thresholds` run over the non-strongest targets, cheapest first, as targets do;
/// the strongest target follows them. `None` when no eligible target has a score.
pub fn choose(scores: &[f32], thresholds: &[f32], eligible: TargetSet) -> Option<Choice> {
    let strongest = eligible.strongest()?;
    let mut nearest: Option<Choice> = None;
    for (target, (&score, &threshold)) in scores.iter().zip(thresholds).enumerate() {
        if !eligible.contains(target) {
            continue;
        }
        if score >= threshold {
            return Some(Choice { target, score, threshold, reached: true });
        }
        let miss = Choice { target: strongest, score, threshold, reached: false };
        if nearest.is_none_or(|near| score - threshold > near.score - near.threshold) {
            nearest = Some(miss);
        }
    }
    nearest
}

/// What a policy came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub target: usize,
    pub reason: Reason,
    /// Score and threshold, when the classifier was asked.
    pub score: Option<(f32, f32)>,
}

impl Policy {
    /// Applies rules and scores in this policy's order. `scores` is empty when the classifier
    /// gave none. The `default` takes what nothing decides.
    pub fn decide(
        &self,
        evidence: &Evidence,
        scores: &[f32],
        thresholds: &[f32],
        eligible: TargetSet,
        default: usize,
    ) -> Verdict {
        let by_rule = || {
            let rule = self
                .rules
                .iter()
                .find(|rule| eligible.contains(rule.target) && rule.matches(evidence))?;
            Some(Verdict { target: rule.target, reason: Reason::Rule(rule.name), score: None })
        };
        let by_score = || {
            let choice = choose(scores, thresholds, eligible)?;
            let reason = if choice.reached {
                Reason::ScoreReachedThreshold
            } else {
                Reason::ScoreBelowThreshold
            };
            let score = Some((choice.score, choice.threshold));
            Some(Verdict { target: choice.target, reason, score })
        };
        let verdict = match self.order {
            Order::RulesFirst => by_rule().or_else(by_score),
            Order::ClassifierOnly => by_score(),
            Order::RulesOnly => by_rule(),
            Order::RulesWhenUncertain { band } => match by_score() {
                Some(Verdict { score: Some((score, threshold)), .. })
                    if (score - threshold).abs() > band =>
                {
                    by_score()
                }
                uncertain => by_rule()
                    .map(|rule| Verdict {
                        score: uncertain.and_then(|verdict| verdict.score),
                        ..rule
                    })
                    .or(uncertain),
            },
        };
        verdict.unwrap_or_else(|| {
            let stand_in = eligible.strongest().unwrap_or(default);
            let target = if eligible.contains(default) { default } else { stand_in };
            let reason = match self.order {
                Order::RulesOnly => Reason::NoRuleMatched,
                _ => Reason::ModelError,
            };
            Verdict { target, reason, score: None }
        })
    }
}

#[cfg(test)]
mod tests;
