//! A fitted model: parts whose logits are combined into one calibrated probability.

use std::sync::Arc;

use super::initial::Initial;
use super::network::Network;
use super::objective::Objective;
use super::row::Row;
use super::scaler::Scaler;
use super::sparse::SparseFeatures;
use super::trees::Trees;
use half::f16;
use pointsman_core::stats::logistic::{self, Example};
use pointsman_core::stats::sigmoid_f32;

/// A model of one non-strongest target, before export.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub scaler: Scaler,
    pub parts: Vec<ModelPart>,
    /// Combination and calibration.
    pub head: Head,
}

/// One fitted function of the features.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelPart {
    Network(Network),
    Trees(Trees),
    /// The model that this one was started from.
    Initial(Arc<Initial>),
}

impl ModelPart {
    /// The part's logit for a row.
    pub(super) fn logit(&self, features: &SparseFeatures, scaler: &Scaler) -> f32 {
        match self {
            ModelPart::Network(network) => {
                let mut scaled = Vec::with_capacity(features.dense.len());
                scaler.apply(&features.dense, &mut scaled);
                network.logit(&scaled, &features.buckets)
            }
            ModelPart::Trees(trees) => trees.logit(&features.dense, &features.buckets),
            ModelPart::Initial(initial) => initial.logit(features),
        }
    }
}

/// `sigmoid(Σ weight · logit + offset)`: Platt scaling, of one part or of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// One per part.
    pub weights: Vec<f32>,
    pub offset: f32,
}

impl Model {
    /// Logit of every part.
    pub fn logits(&self, features: &SparseFeatures) -> Vec<f32> {
        self.parts.iter().map(|part| part.logit(features, &self.scaler)).collect()
    }

    /// Puts the head's weights into the parts where that costs nothing, and rounds what a file
    /// keeps as half floats, so that this model scores exactly as the file does.
    pub(super) fn round(&mut self) {
        for (part, weight) in self.parts.iter_mut().zip(&mut self.head.weights) {
            match part {
                ModelPart::Network(network) => {
                    if network.rest.is_empty() {
                        network.scale(std::mem::replace(weight, 1.0));
                    }
                    network.hashed.values.iter_mut().for_each(half);
                }
                ModelPart::Trees(trees) => {
                    trees.scale(std::mem::replace(weight, 1.0));
                    trees.trees.iter_mut().flat_map(|tree| &mut tree.leaves).for_each(half);
                }
                ModelPart::Initial(_) => {}
            }
        }
    }

    /// Probability that the cheap answer is good enough, as the exported graph gives it within
    /// 1e-5.
    pub fn score(&self, features: &SparseFeatures) -> f32 {
        self.head.score(&self.logits(features))
    }
}

/// Rounds to the nearest half float.
pub(super) fn half(value: &mut f32) {
    *value = f16::from_f32(*value).to_f32();
}

impl Head {
    /// Probability from the parts' logits.
    pub fn score(&self, logits: &[f32]) -> f32 {
        sigmoid_f32(self.logit(logits))
    }

    /// Log-odds from the parts' logits.
    pub(super) fn logit(&self, logits: &[f32]) -> f32 {
        self.weights.iter().zip(logits).map(|(w, l)| w * l).sum::<f32>() + self.offset
    }

    /// Fits weights and offset on the log loss of the targets of `rows[indices[k]]` given
    /// `logits[k]`, with a small L2 penalty on the weights' distance from `prior`, one per part:
    /// few rows must not turn a part upside down.
    pub fn fit(
        rows: &[Row],
        indices: &[usize],
        logits: &[Vec<f32>],
        prior: &[f32],
        objective: Objective,
    ) -> Head {
        /// Penalty of the weights' distance from the prior.
        const L2: f64 = 3.0;
        let example = |(&i, logits): (&usize, &Vec<f32>)| Example {
            inputs: logits.iter().map(|logit| f64::from(*logit)).collect(),
            target: f64::from(objective.target(&rows[i])),
            weight: f64::from(rows[i].weight),
        };
        let examples: Vec<Example> = indices.iter().zip(logits).map(example).collect();
        let prior: Vec<f64> = prior.iter().map(|weight| f64::from(*weight)).collect();
        let fitted = logistic::fit(&examples, &prior, L2);
        Head {
            weights: fitted.weights.iter().map(|weight| *weight as f32).collect(),
            offset: fitted.offset as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fixture::rows;

    #[test]
    fn the_head_weighs_the_informative_part_and_calibrates_it() {
        let rows = rows(3000, |signal, _| signal);
        let all: Vec<usize> = (0..rows.len()).collect();
        // The first part is right on 9 of 10 rows and far too sure of it, the second is noise.
        let logits: Vec<Vec<f32>> = all
            .iter()
            .map(|&i| {
                let right = rows[i].cheap_ok == (i / 2 % 10 != 0);
                vec![if right { 9.0 } else { -9.0 }, if i / 2 % 7 < 3 { 1.0 } else { -1.0 }]
            })
            .collect();
        let head = Head::fit(&rows, &all, &logits, &[0.5, 0.5], Objective::Sufficient);
        assert!(head.weights[0] > 0.0 && head.weights[1].abs() < 0.1, "{head:?}");
        assert!((head.score(&[9.0, 0.0]) - 0.9).abs() < 0.02, "{head:?}");
    }
}
