//! Standardisation of the dense features. It becomes the first nodes of the graph.

use super::row::Row;
use pointsman_core::features::DENSE;

/// Scaled values are clipped here, so that a prompt far outside the training data cannot push
/// the score further than the most extreme training prompts could.
pub const CLIP: f32 = 5.0;

/// `clip((x - mean) * inverse_deviation, -CLIP, CLIP)`, per dense feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// `f32[DENSE]`.
    pub mean: Vec<f32>,
    /// `f32[DENSE]`; 0 for a feature that was constant, which so takes no part.
    pub inverse_deviation: Vec<f32>,
}

impl Scaler {
    /// Mean and deviation over some rows.
    pub fn fit(rows: &[Row], indices: &[usize]) -> Scaler {
        let n = indices.len().max(1) as f64;
        let mut sums = vec![(0.0_f64, 0.0_f64); DENSE];
        for &i in indices {
            for (sum, value) in sums.iter_mut().zip(&rows[i].features.dense) {
                let value = f64::from(*value);
                sum.0 += value;
                sum.1 += value * value;
            }
        }
        let mean = sums.iter().map(|s| (s.0 / n) as f32).collect();
        let inverse = |s: &(f64, f64)| {
            let variance = s.1 / n - (s.0 / n).powi(2);
            if variance > 1e-9 { (1.0 / variance.sqrt()) as f32 } else { 0.0 }
        };
        Scaler { mean, inverse_deviation: sums.iter().map(inverse).collect() }
    }

    /// Scaled values of one row, appended to `out`.
    pub fn apply(&self, dense: &[f32], out: &mut Vec<f32>) {
        let scale = self.mean.iter().zip(&self.inverse_deviation);
        out.extend(dense.iter().zip(scale).map(|(x, (m, s))| ((x - m) * s).clamp(-CLIP, CLIP)));
    }
}
