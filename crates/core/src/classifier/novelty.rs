//! How unlike the training data a prompt is.

use serde::{Deserialize, Serialize};

use super::ModelError;
use crate::features::{ENGINEERED, Features};

/// Deviations beyond which a feature counts as no stranger: one wild count must not decide alone.
const CLIP: f32 = 8.0;

/// Above which novelty a score says too little to decide by it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NoveltyLimit {
    /// The model's own limit, where its manifest has one.
    #[default]
    OfModel,
    At(f32),
    /// Every prompt is scored.
    Off,
}

/// Where the training data lies. A score says nothing about prompts far away from it, and a policy
/// may leave those to the default target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// Of each engineered feature over the train rows, `f32[ENGINEERED]`.
    pub mean: Vec<f32>,
    /// 1 over the standard deviation; 1 for a feature that never varied.
    pub inverse_deviation: Vec<f32>,
    /// Novelty that one validation row in a hundred exceeds.
    pub limit: f32,
}

impl Novelty {
    /// Root mean square of the engineered features' deviations from their means, in standard
    /// deviations: about 1 for a prompt like those trained on.
    pub fn of(&self, features: &Features) -> f32 {
        self.of_engineered(features.engineered())
    }

    /// As [`Novelty::of`], from `f32[ENGINEERED]`.
    pub fn of_engineered(&self, engineered: &[f32]) -> f32 {
        let places = self.mean.iter().zip(&self.inverse_deviation);
        let sum: f32 = engineered
            .iter()
            .zip(places)
            .map(|(value, (mean, inverse))| {
                let deviation = ((value - mean) * inverse).clamp(-CLIP, CLIP);
                deviation * deviation
            })
            .sum();
        libm::sqrtf(sum / ENGINEERED as f32)
    }

    /// The limit as a number; none where every prompt is scored.
    pub fn limit_at(&self, limit: NoveltyLimit) -> Option<f32> {
        match limit {
            NoveltyLimit::OfModel => Some(self.limit),
            NoveltyLimit::At(limit) => Some(limit),
            NoveltyLimit::Off => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        let right = |values: &[f32]| {
            values.len() == ENGINEERED && values.iter().all(|value| value.is_finite())
        };
        if right(&self.mean) && right(&self.inverse_deviation) && self.limit > 0.0 {
            return Ok(());
        }
        Err(ModelError::Manifest(format!(
            "novelty: mean and inverse_deviation need {ENGINEERED} finite numbers, limit a positive one"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn novelty() -> Novelty {
        Novelty {
            mean: vec![1.0; ENGINEERED],
            inverse_deviation: vec![2.0; ENGINEERED],
            limit: 1.5,
        }
    }

    #[test]
    fn novelty_grows_with_the_distance_from_the_training_data() {
        let near = novelty().of_engineered(&[1.0; ENGINEERED]);
        let far = novelty().of_engineered(&[1.5; ENGINEERED]);
        assert_eq!((near, far), (0.0, 1.0));
    }

    #[test]
    fn one_wild_feature_does_not_decide_alone() {
        let mut engineered = [1.0; ENGINEERED];
        engineered[3] = 1e9;
        assert!(novelty().of_engineered(&engineered) < 1.0);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(novelty().check().is_ok());
        for broken in [
            Novelty { mean: vec![0.0], ..novelty() },
            Novelty { inverse_deviation: vec![f32::NAN; ENGINEERED], ..novelty() },
            Novelty { limit: 0.0, ..novelty() },
        ] {
            assert!(broken.check().is_err());
        }
    }
}
