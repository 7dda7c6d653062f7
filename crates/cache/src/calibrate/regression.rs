//! Logistic regression of whether a pair is the same.

use crate::pair::FEATURES;

/// Logistic regression by Newton's method, with L2 regularisation of the weights.
/// Returns the weights and the bias.
pub(super) fn fit(rows: &[([f32; FEATURES], bool)]) -> ([f32; FEATURES], f32) {
    const SIZE: usize = FEATURES + 1;
    const RIDGE: f64 = 1.0;
    const STEPS: usize = 12;
    let mut weights = [0.0_f64; SIZE];
    for _ in 0..STEPS {
        let mut gradient = [0.0; SIZE];
        let mut curvature = [[0.0; SIZE]; SIZE];
        for (features, same) in rows {
            let x: [f64; SIZE] =
                std::array::from_fn(|k| features.get(k).map_or(1.0, |x| f64::from(*x)));
            let logit: f64 = weights.iter().zip(&x).map(|(w, x)| w * x).sum();
            let p = 1.0 / (1.0 + (-logit).exp());
            let error = f64::from(u8::from(*same)) - p;
            for i in 0..SIZE {
                gradient[i] += error * x[i];
                for j in 0..=i {
                    curvature[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        for k in 0..FEATURES {
            gradient[k] -= RIDGE * weights[k];
            curvature[k][k] += RIDGE;
        }
        // Rows that are separable leave no curvature in the bias.
        curvature[FEATURES][FEATURES] += 1e-6;
        let step = solve(&mut curvature, gradient);
        for (weight, step) in weights.iter_mut().zip(step) {
            *weight += step;
        }
    }
    (std::array::from_fn(|k| weights[k] as f32), weights[FEATURES] as f32)
}

/// Solves a symmetric positive definite system, of which the lower half is given (Cholesky).
fn solve<const N: usize>(matrix: &mut [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for i in 0..N {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            matrix[i][j] = if i == j {
                (matrix[i][i] - inner).max(1e-12).sqrt()
            } else {
                (matrix[i][j] - inner) / matrix[j][j]
            };
        }
    }
    for i in 0..N {
        let inner: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - inner) / matrix[i][i];
    }
    for i in (0..N).rev() {
        let inner: f64 = (i + 1..N).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - inner) / matrix[i][i];
    }
    right
}
