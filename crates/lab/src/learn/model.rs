//! A fitted model: parts whose logits are combined into one calibrated probability.

use std::sync::Arc;

use super::initial::Initial;
use super::network::Network;
use super::objective::Objective;
use super::row::{Row, SparseFeatures};
use super::scaler::Scaler;
use super::trees::Trees;

/// A model of one non-strongest target, before export.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub scaler: Scaler,
    pub parts: Vec<Part>,
    /// Combination and calibration.
    pub head: Head,
}

/// One fitted function of the features.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Network(Network),
    Trees(Trees),
    /// The model that this one was started from.
    Initial(Arc<Initial>),
}

impl Part {
    /// The part's logit for a row.
    pub(super) fn logit(&self, features: &SparseFeatures, scaler: &Scaler) -> f32 {
        match self {
            Part::Network(network) => {
                let mut scaled = Vec::with_capacity(features.engineered.len());
                scaler.apply(&features.engineered, &mut scaled);
                network.logit(&scaled, &features.buckets)
            }
            Part::Trees(trees) => trees.logit(&features.engineered, &features.buckets),
            Part::Initial(initial) => initial.logit(features),
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

    /// Probability that the cheap answer is good enough, as the exported graph gives it within
    /// 1e-5.
    pub fn score(&self, features: &SparseFeatures) -> f32 {
        self.head.score(&self.logits(features))
    }
}

impl Head {
    /// Probability from the parts' logits.
    pub fn score(&self, logits: &[f32]) -> f32 {
        1.0 / (1.0 + (-self.logit(logits)).exp())
    }

    /// Log-odds from the parts' logits.
    pub(super) fn logit(&self, logits: &[f32]) -> f32 {
        self.weights.iter().zip(logits).map(|(w, l)| w * l).sum::<f32>() + self.offset
    }

    /// Fits weights and offset by Newton's method on the log loss of the targets of
    /// `rows[indices[k]]` given `logits[k]`, with a slight pull of the weights towards `prior`, one
    /// per part: few rows must not turn a part upside down.
    pub fn fit(
        rows: &[Row],
        indices: &[usize],
        logits: &[Vec<f32>],
        prior: &[f32],
        objective: Objective,
    ) -> Head {
        const PULL: f64 = 3.0;
        let parts = prior.len();
        // From zero, where no row is saturated, Newton's steps are safe.
        let mut theta = vec![0.0; parts + 1];
        for _ in 0..25 {
            let size = parts + 1;
            let mut gradient = vec![0.0; size];
            let mut hessian = vec![vec![0.0; size]; size];
            for (&i, logits) in indices.iter().zip(logits) {
                let x: Vec<f64> =
                    logits.iter().map(|l| f64::from(*l)).chain(std::iter::once(1.0)).collect();
                let z: f64 = theta.iter().zip(&x).map(|(t, x)| t * x).sum();
                let p = 1.0 / (1.0 + (-z).exp());
                let weight = f64::from(rows[i].weight);
                let error = weight * (p - f64::from(objective.target(&rows[i])));
                for a in 0..size {
                    gradient[a] += error * x[a];
                    for b in 0..size {
                        hessian[a][b] += weight * p * (1.0 - p) * x[a] * x[b];
                    }
                }
            }
            for a in 0..parts {
                gradient[a] += PULL * (theta[a] - f64::from(prior[a]));
                hessian[a][a] += PULL;
            }
            hessian[parts][parts] += 1e-9;
            for (t, step) in theta.iter_mut().zip(solve(hessian, gradient)) {
                *t -= step;
            }
        }
        let offset = theta.pop().unwrap_or_default() as f32;
        Head { weights: theta.iter().map(|t| *t as f32).collect(), offset }
    }
}

/// Solves a small symmetric positive definite system by Gaussian elimination.
pub(super) fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let (above, below) = a.split_at_mut(k + 1);
        for (i, row) in (k + 1..n).zip(below) {
            let factor = row[k] / above[k][k];
            row.iter_mut().zip(&above[k]).for_each(|(x, pivot)| *x -= factor * pivot);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
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

    #[test]
    fn a_diagonal_system_is_solved() {
        assert_eq!(solve(vec![vec![2.0, 0.0], vec![0.0, 4.0]], vec![2.0, 2.0]), vec![1.0, 0.5]);
    }
}
