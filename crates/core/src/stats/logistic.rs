//! Logistic regression of a few inputs.

use super::cholesky::{factor, packed_len, solve};
use super::sigmoid;

/// Steps of Newton's method. It doubles the digits with each, so that these are enough from any
/// start.
const STEPS: usize = 25;
/// Keeps the Hessian positive definite where all rows are separable, and the offset
/// has no curvature left.
const LEAST_CURVATURE: f64 = 1e-9;

/// What is fitted: one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Inputs, as many as there are weights.
    pub inputs: Vec<f64>,
    /// Probability to predict, 0..=1.
    pub target: f64,
    /// How much the row counts; 1 for a plain row.
    pub weight: f64,
}

/// A fitted regression: `sigmoid(Σ weight · input + offset)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    pub weights: Vec<f64>,
    pub offset: f64,
}

/// Minimises the log loss plus `l2 / 2 · |weights - prior|²` by Newton's method. There are as many
/// weights as `prior` has; the offset is not penalised.
pub fn fit(examples: &[Example], prior: &[f64], l2: f64) -> Logistic {
    // From zero, where no row is saturated, Newton's steps are safe.
    let mut weights = vec![0.0; prior.len()];
    let mut offset = 0.0;
    let size = prior.len() + 1;
    let mut x = Vec::with_capacity(size);
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![0.0; packed_len(size)];
        for example in examples {
            x.clear();
            x.extend(example.inputs.iter().copied().chain([1.0]));
            let logit: f64 =
                weights.iter().chain([&offset]).zip(&x).map(|(theta, x)| theta * x).sum();
            let p = sigmoid(logit);
            let error = example.weight * (p - example.target);
            let mut cells = hessian.iter_mut();
            for (k, (slope, a)) in gradient.iter_mut().zip(&x).enumerate() {
                *slope += error * a;
                let scaled = example.weight * p * (1.0 - p) * a;
                for (cell, b) in cells.by_ref().take(k + 1).zip(&x) {
                    *cell += scaled * b;
                }
            }
        }
        for ((slope, weight), prior) in gradient.iter_mut().zip(&weights).zip(prior) {
            *slope += l2 * (weight - prior);
        }
        for k in 0..size {
            if let Some(cell) = hessian.get_mut(packed_len(k + 1) - 1) {
                *cell += if k < prior.len() { l2 } else { LEAST_CURVATURE };
            }
        }
        let Some(factor) = factor(hessian) else { break };
        let steps = solve(&factor, gradient);
        weights.iter_mut().chain([&mut offset]).zip(steps).for_each(|(theta, step)| *theta -= step);
    }
    Logistic { weights, offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(input: f64, target: f64) -> Example {
        Example { inputs: vec![input], target, weight: 1.0 }
    }

    #[test]
    fn log_odds_of_two_groups_are_recovered() {
        let rows: Vec<Example> =
            (0..1000).map(|i| if i < 500 { row(0.0, 0.25) } else { row(1.0, 0.9) }).collect();
        let fitted = fit(&rows, &[0.0], 1e-9);
        assert!((sigmoid(fitted.offset) - 0.25).abs() < 1e-6, "{fitted:?}");
        assert!((sigmoid(fitted.offset + fitted.weights[0]) - 0.9).abs() < 1e-6, "{fitted:?}");
    }

    #[test]
    fn a_weight_counts_as_repeated_rows() {
        let twice = [row(0.0, 0.0), row(1.0, 1.0), row(1.0, 1.0), row(1.0, 0.0)];
        let weighted = [row(0.0, 0.0), Example { weight: 2.0, ..row(1.0, 1.0) }, row(1.0, 0.0)];
        let (a, b) = (fit(&twice, &[0.0], 1.0), fit(&weighted, &[0.0], 1.0));
        assert!((a.weights[0] - b.weights[0]).abs() < 1e-12, "{a:?} {b:?}");
    }

    #[test]
    fn rows_that_are_told_apart_without_doubt_have_finite_weights() {
        let rows = [row(-1.0, 0.0), row(1.0, 1.0)];
        let fitted = fit(&rows, &[0.0], 1.0);
        assert!(fitted.weights[0].is_finite() && fitted.weights[0] > 0.0, "{fitted:?}");
        assert!(fitted.offset.abs() < 1e-9, "{fitted:?}");
    }

    #[test]
    fn without_rows_the_prior_stands() {
        assert_eq!(fit(&[], &[0.5, 2.0], 3.0), Logistic { weights: vec![0.5, 2.0], offset: 0.0 });
    }
}
