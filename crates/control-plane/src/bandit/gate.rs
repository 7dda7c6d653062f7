//! Whether one policy is better than another, from samples of both.

use super::Sample;
use super::estimate::mean_and_error;
use pointsman_core::policy::bandit::{Component, Snapshot};

/// Doubly robust estimate of the gain of one policy over another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub n: usize,
    /// Samples that show where the challenger differs: it prefers another target than the champion,
    /// and that one was drawn.
    pub differing: usize,
    pub mean: f64,
    /// Standard error of `mean`.
    pub error: f64,
}

impl Difference {
    /// The bound `z` standard errors below.
    pub fn lower(&self, z: f64) -> f64 {
        self.mean - z * self.error
    }

    /// The bound `z` standard errors above.
    pub fn upper(&self, z: f64) -> f64 {
        self.mean + z * self.error
    }
}

/// Compares two components under the snapshot's explorer and penalties, sample by sample, so that
/// what both would do alike cancels out.
///
/// `model` predicts rewards; where it is wrong, the propensities correct it.
pub fn difference<'s>(
    samples: impl Iterator<Item = &'s Sample>,
    snapshot: &Snapshot,
    challenger: &Component,
    champion: &Component,
    model: &Component,
) -> Difference {
    let eligible = vec![true; snapshot.targets.len()];
    let best = |probabilities: &[f64]| {
        (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
    };
    let mut differing = 0;
    let gains: Vec<f64> = samples
        .map(|sample| {
            let predicted = snapshot.values(model, &sample.context);
            let play = |component: &Component| {
                let values = snapshot.values(component, &sample.context);
                snapshot.explorer.probabilities(&values, &eligible)
            };
            let (new, old) = (play(challenger), play(champion));
            let preferred = best(&new);
            differing += usize::from(preferred == Some(sample.target) && preferred != best(&old));
            let penalty = f64::from(snapshot.penalties[sample.target]);
            let residual = f64::from(sample.reward) - penalty - predicted[sample.target].value;
            // Bounded as in fitting: one improbable draw must not hold up, or push, a policy.
            let weight = (new[sample.target] - old[sample.target]) * sample.weight();
            let shift: f64 =
                new.iter().zip(&old).zip(&predicted).map(|((n, o), q)| (n - o) * q.value).sum();
            shift + weight * residual
        })
        .collect();
    if gains.len() < 2 {
        return Difference { n: gains.len(), differing, mean: 0.0, error: f64::INFINITY };
    }
    let (mean, error) = mean_and_error(gains.iter().copied());
    Difference { n: gains.len(), differing, mean, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandit::{ControllerOptions, Learners, Prior};
    use pointsman_core::policy::bandit::{Context, EVERYTHING};

    #[test]
    fn one_improbable_draw_neither_holds_up_nor_pushes_a_policy() {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        let learners = Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &[]);
        let snapshot = learners.snapshot();
        let champion = &snapshot.components[0];
        let mut challenger = champion.clone();
        challenger.weights.swap(0, 1);
        let sample = |k: u16, reward: f32| Sample {
            context: Context::new(2).of_engineered(&[], &[f32::from(k % 100) / 100.0]),
            target: usize::from(k.is_multiple_of(2)),
            propensity: 0.5,
            reward,
            segment: EVERYTHING,
        };
        let mut samples: Vec<Sample> =
            (0..4000).map(|k| sample(k, f32::from(u8::from(k % 3 == 0)))).collect();
        let of = |samples: &[Sample]| {
            difference(samples.iter(), snapshot, &challenger, champion, champion)
        };
        let before = of(&samples);
        for (target, reward) in [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)] {
            samples.push(Sample { target, propensity: 1e-30, ..sample(0, reward) });
            let after = of(&samples);
            samples.pop();
            assert!((after.mean - before.mean).abs() < 0.05, "{before:?} {after:?}");
            assert!(after.error < 3.0 * before.error, "{before:?} {after:?}");
        }
    }
}
