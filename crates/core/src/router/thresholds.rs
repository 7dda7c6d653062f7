//! Which score each target must reach, by policy.

use super::RouterError;
use crate::config::Config;
use crate::policy::{Order, Policy, Preset, step};
use crate::target::Target;

/// How a model's scores belong to the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scoring {
    /// Not at all: rules alone decide.
    None,
    /// One score for each non-strongest target.
    EachTarget,
    /// One score for all of them, the probability that a small model's answer is good enough, on
    /// which their thresholds fall from the cheapest on.
    Shared,
}

impl Scoring {
    /// How a model with `scores` scores serves a configuration.
    ///
    /// # Errors
    ///
    /// When it does not, though a policy asks for scores.
    pub(super) fn of(scores: usize, config: &Config) -> Result<Self, RouterError> {
        let targets = config.targets.len();
        let rules_alone = config.policies.iter().all(|policy| policy.order == Order::RulesOnly);
        match scores {
            _ if scores + 1 == targets => Ok(Scoring::EachTarget),
            _ if rules_alone => Ok(Scoring::None),
            1 => Ok(Scoring::Shared),
            _ => Err(RouterError::Targets { model: scores, config: targets }),
        }
    }
}

/// Thresholds of the non-strongest targets under a policy, cheapest first. What is nearest to the
/// policy wins: its own threshold, its own preset, the target's threshold, the main policy's
/// preset, the model's threshold.
pub(super) fn of_policy(
    config: &Config,
    position: usize,
    policy: &Policy,
    scored: &[f32],
    scoring: Scoring,
) -> Vec<f32> {
    let count = config.targets.len() - 1;
    let shared = scoring == Scoring::Shared;
    let step = |top: f32, place: usize| if shared { step(top, place, count) } else { top };
    let own = policy.preset.filter(|_| position > 0);
    let main = config.policies.first().and_then(|main| main.preset);
    let of = |(place, target): (usize, &Target)| {
        let explicit = policy.thresholds.get(place).copied().flatten();
        let preset = |preset: Option<Preset>| Some(step(preset?.threshold(), place));
        let model = scored.get(if shared { 0 } else { place });
        let model = model.map_or(f32::INFINITY, |threshold| step(*threshold, place));
        explicit.or(preset(own)).or(target.threshold).or(preset(main)).unwrap_or(model)
    };
    config.targets.iter().take(count).enumerate().map(of).collect()
}

/// Refuses a target that no request could go to: its threshold is no lower than a cheaper target's
/// on the same score, and no rule names it.
pub(super) fn check_falling(config: &Config, thresholds: &[Vec<f32>]) -> Result<(), RouterError> {
    for (policy, thresholds) in config.policies.iter().zip(thresholds) {
        if policy.order == Order::RulesOnly {
            continue;
        }
        let mut lowest = f32::INFINITY;
        for (place, &threshold) in thresholds.iter().enumerate() {
            let ruled = policy.order != Order::ClassifierOnly
                && policy.rules.iter().any(|rule| rule.target == place);
            if threshold >= lowest && !ruled {
                let target = config.targets.get(place);
                return Err(RouterError::NeverChosen {
                    target: target.map(|target| target.name.clone()).unwrap_or_default(),
                    threshold,
                    policy: policy.name.clone(),
                    lowest,
                });
            }
            lowest = lowest.min(threshold);
        }
    }
    Ok(())
}
