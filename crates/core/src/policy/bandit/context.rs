//! The compact vector that the bandit is linear in.
//!
//! A bias, each scored target's probability and its log-odds, and the engineered features of
//! [`COLUMNS`], centred and scaled by fixed numbers so that a context means the same on every
//! host and forever. On public routing rows, these few features next to the score earned more
//! than all hundred, and more than the classifier's hidden layer (docs/bandit.md).

use crate::features::{self, Features, SCHEMA};

/// Most dimensions of a context.
pub const MAX_DIMENSIONS: usize = 64;

/// Bound of a scaled feature: one odd prompt must not outweigh a thousand.
const CLIP: f32 = 4.0;
/// Log-odds are taken of probabilities within this distance from 0 and 1.
const EDGE: f32 = 0.02;
/// What compilers may make of the same sum in different ways.
const ROUNDING: f32 = 1e-4;
/// Raised whenever the same features and scores give another context.
const VERSION: u32 = 1;

/// Engineered features of the context: name, centre, factor.
///
/// The first sixteen were picked by forward selection on train rows; the others do not vary there
/// but distinguish agents, images and conversations from single questions in real traffic.
const COLUMNS: [(&str, f32, f32); 22] = [
    ("opens_with_write", 0.0, 2.0),
    ("words_per_sentence", 2.4, 1.5),
    ("opens_with_persona", 0.0, 2.0),
    ("punctuation", 0.05, 15.0),
    ("blank_fill", 0.0, 2.0),
    ("format_terms", 0.0, 2.0),
    ("text_bytes", 5.8, 1.0),
    ("how_many", 0.0, 2.0),
    ("choice_bytes", 0.35, 3.0),
    ("choice_lines", 1.4, 1.0),
    ("first_person", 0.35, 1.5),
    ("decimals", 0.3, 1.0),
    ("indented_lines", 0.0, 4.0),
    ("language_names", 0.0, 2.0),
    ("opens_with_explain", 0.0, 2.0),
    ("code_fences", 0.0, 2.0),
    ("turns", 0.7, 1.0),
    ("tools", 0.0, 1.0),
    ("images", 0.0, 1.5),
    ("tool_calls", 0.0, 1.0),
    ("json_output", 0.0, 2.0),
    ("history_bytes", 0.0, 0.25),
];

/// Builds contexts for a number of targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Position in the feature vector, centre, factor.
    columns: Vec<(usize, f32, f32)>,
    scored: usize,
}

impl Context {
    /// For `targets` targets, of which all but the strongest are scored.
    pub fn new(targets: usize) -> Self {
        let position = |name: &str| SCHEMA.iter().position(|spec| spec.name == name);
        let columns = COLUMNS
            .iter()
            .filter_map(|&(name, centre, factor)| Some((position(name)?, centre, factor)))
            .collect();
        Context { columns, scored: targets.saturating_sub(1) }
    }

    /// Length of a context: at most [`MAX_DIMENSIONS`] for the 16 targets of a configuration.
    pub fn dimensions(&self) -> usize {
        1 + 2 * self.scored + self.columns.len()
    }

    /// Where the probability of scored target `target` stands.
    pub fn score_position(target: usize) -> usize {
        1 + 2 * target
    }

    /// Digest of everything that gives a context its meaning, as 16 hex digits. A snapshot for
    /// another context is refused.
    pub fn hash(&self) -> String {
        let text = format!("{} {VERSION} {} {COLUMNS:?}", features::schema_hash(), self.scored);
        features::digest_of(text.as_bytes())
    }

    /// Whether [`Context::of`] could have computed these numbers: their count, the bias, scores that
    /// are probabilities, the log-odds of just these scores, features within the clipping bound.
    pub fn admits(&self, context: &[f32]) -> bool {
        let Some((&bias, rest)) = context.split_first() else { return false };
        let Some((scores, features)) = rest.split_at_checked(2 * self.scored) else { return false };
        let (pairs, _) = scores.as_chunks::<2>();
        let of_a_score = |[score, log_odds]: &[f32; 2]| {
            (0.0..=1.0).contains(score) && (log_odds - half_log_odds(*score)).abs() <= ROUNDING
        };
        bias == 1.0
            && features.len() == self.columns.len()
            && pairs.iter().all(of_a_score)
            && features.iter().all(|value| value.abs() <= CLIP)
    }

    /// The context of a prompt: `f32[dimensions]`. `scores` has one probability per scored target.
    pub fn of(&self, features: &Features, scores: &[f32]) -> Vec<f32> {
        self.of_engineered(features.engineered(), scores)
    }

    /// As [`Context::of`], from the engineered block alone, as decision records carry it.
    pub fn of_engineered(&self, engineered: &[f32], scores: &[f32]) -> Vec<f32> {
        let mut context = Vec::with_capacity(self.dimensions());
        context.push(1.0);
        for target in 0..self.scored {
            let score = scores.get(target).copied().unwrap_or(0.5);
            context.push(score);
            context.push(half_log_odds(score));
        }
        for &(position, centre, factor) in &self.columns {
            let value = engineered.get(position).copied().unwrap_or_default();
            context.push(((value - centre) * factor).clamp(-CLIP, CLIP));
        }
        context
    }
}

fn half_log_odds(score: f32) -> f32 {
    let inner = score.clamp(EDGE, 1.0 - EDGE);
    0.5 * libm::logf(inner / (1.0 - inner))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::TARGETS;

    proptest! {
        #[test]
        fn what_is_computed_is_admitted_and_one_impossible_number_is_not(
            engineered in prop::collection::vec(-50.0_f32..50.0, 0..features::ENGINEERED),
            scores in prop::collection::vec(0.0_f32..=1.0, 1..4),
            place in any::<prop::sample::Index>(),
        ) {
            let context = Context::new(scores.len() + 1);
            let mut values = context.of_engineered(&engineered, &scores);
            prop_assert!(context.admits(&values));
            prop_assert!(!Context::new(scores.len() + 2).admits(&values));
            prop_assert!(!context.admits(&values[1..]));
            let place = place.index(values.len());
            for wrong in [f32::NAN, f32::INFINITY, 1000.0, -4.001, 4.001] {
                values[place] = wrong;
                prop_assert!(!context.admits(&values), "{place}: {wrong}");
            }
        }
    }

    #[test]
    fn a_bias_a_score_and_its_log_odds_belong_together() {
        let context = Context::new(2);
        let possible = context.of_engineered(&[], &[0.75]);
        for (place, wrong) in [(0, 0.0), (0, 1.001), (1, -0.1), (1, 0.5), (2, 0.0), (2, 1.9)] {
            let mut values = possible.clone();
            values[place] = wrong;
            assert!(!context.admits(&values), "{place}: {wrong}");
        }
        assert!(!context.admits(&[]));
    }

    #[test]
    fn every_column_is_a_feature_and_the_context_stays_compact() {
        for targets in TARGETS {
            let context = Context::new(targets);
            assert_eq!(context.columns.len(), COLUMNS.len());
            assert!(context.dimensions() <= MAX_DIMENSIONS);
            let scores = vec![0.3; targets - 1];
            assert_eq!(context.of(&Features::default(), &scores).len(), context.dimensions());
        }
    }

    #[test]
    fn contexts_for_other_numbers_of_targets_differ_in_hash() {
        assert_ne!(Context::new(2).hash(), Context::new(3).hash());
        assert_eq!(Context::new(2).hash(), Context::new(2).hash());
    }

    #[test]
    fn values_are_bounded_whatever_the_prompt() {
        let context = Context::new(2);
        let engineered = vec![17.0; features::ENGINEERED];
        for score in [0.0, 1.0] {
            let values = context.of_engineered(&engineered, &[score]);
            assert!(values.iter().all(|value| value.abs() <= CLIP), "{values:?}");
        }
    }
}
