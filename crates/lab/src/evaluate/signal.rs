//! How much each feature contributes, and what it costs to compute.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::{SEED, ScoredRow};
use crate::learn::scores::{ScoredOutcome, auroc};
use pointsman_core::classifier::{Classifier, ScoreError};
use pointsman_core::features::cost::{self, Group};
use pointsman_core::features::{Features, SCHEMA};
use pointsman_core::prompt::{ApiFormat, Prompt};

/// Rows that the groups' gain and cost are measured on, at most.
pub const SAMPLE: usize = 800;

/// An engineered feature by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureSignal {
    pub name: &'static str,
    pub group: &'static str,
    /// AUROC of the bare value for "strong required": below 0.5 when small values ask for the
    /// strong model.
    pub auroc: f64,
    /// Of its group.
    pub nanoseconds: f64,
}

/// A group of features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupSignal {
    pub name: &'static str,
    /// Mean time to compute it for one prompt.
    pub nanoseconds: f64,
    /// What the model's AUROC loses when the group is zero.
    pub auroc_gain: f64,
}

/// Signal against cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Signal {
    /// Strongest first.
    pub features: Vec<FeatureSignal>,
    pub groups: Vec<GroupSignal>,
}

/// A request body in its format.
type Body = (ApiFormat, Vec<u8>);

/// Collects what [`Signal`] is made from, row by row.
pub struct SignalReader {
    random: SmallRng,
    engineered: Vec<Vec<f32>>,
    /// Body, features and position of the rows drawn so far (reservoir sampling).
    sample: Vec<(Body, Features, usize)>,
}

impl Default for SignalReader {
    fn default() -> Self {
        let random = SmallRng::seed_from_u64(SEED);
        SignalReader { random, engineered: Vec::new(), sample: Vec::new() }
    }
}

impl SignalReader {
    /// Takes a row's features, and its body if it is drawn.
    pub fn add(&mut self, features: &Features, body: impl FnOnce() -> Option<Body>) {
        let row = self.engineered.len();
        self.engineered.push(features.engineered().to_vec());
        let place = self.random.random_range(0..=row);
        if place >= SAMPLE {
            return;
        }
        let Some(body) = body() else { return };
        let drawn = (body, features.clone(), row);
        if self.sample.len() < SAMPLE {
            self.sample.push(drawn);
        } else {
            self.sample[place] = drawn;
        }
    }

    /// Measures; `rows` are the rows that were added. `None` when both classes are not there, or
    /// no prompt could be timed.
    ///
    /// # Errors
    ///
    /// The model gives no score.
    pub fn finish(
        mut self,
        rows: &[ScoredRow],
        classifier: &Classifier,
    ) -> Result<Option<Signal>, ScoreError> {
        let prompts: Vec<Prompt> = self
            .sample
            .iter_mut()
            .filter_map(|((format, body), ..)| Prompt::parse(*format, body, false).ok())
            .collect();
        let Some(costs) = cost::measure(&prompts) else { return Ok(None) };
        drop(prompts);
        let cost_of = |group: Group| {
            Group::ALL.iter().zip(costs).find(|(g, _)| **g == group).map_or(0.0, |(_, cost)| cost)
        };
        let mut signal = Signal::default();
        for (position, feature) in SCHEMA.iter().enumerate() {
            // A score speaks for the cheap model, so the value is turned round.
            let outcomes: Vec<ScoredOutcome> = rows
                .iter()
                .zip(&self.engineered)
                .map(|(row, values)| row.outcome_under(-values[position]))
                .collect();
            let Some(auroc) = auroc(&outcomes) else { return Ok(None) };
            let group = Group::of(position);
            let nanoseconds = cost_of(group);
            let name = feature.name;
            signal.features.push(FeatureSignal { name, group: group.name(), auroc, nanoseconds });
        }
        let strength = |feature: &FeatureSignal| (feature.auroc - 0.5).abs();
        signal.features.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        for group in Group::ALL {
            let auroc_gain = self.gain(group, rows, classifier)?;
            let nanoseconds = cost_of(group);
            signal.groups.push(GroupSignal { name: group.name(), nanoseconds, auroc_gain });
        }
        Ok(Some(signal))
    }

    fn gain(
        &self,
        group: Group,
        rows: &[ScoredRow],
        classifier: &Classifier,
    ) -> Result<f64, ScoreError> {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let positions: Vec<usize> = group.positions().collect();
        for (_, features, row) in &self.sample {
            let bare = features.without(positions.iter().copied());
            let score = classifier.scores(&bare)?.first().copied().unwrap_or_default();
            with.push(rows[*row].outcome());
            without.push(rows[*row].outcome_under(score));
        }
        Ok(auroc(&with).zip(auroc(&without)).map_or(0.0, |(with, without)| with - without))
    }
}
