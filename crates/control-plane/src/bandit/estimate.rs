//! What a policy would have earned, from the log of another one.
//!
//! `w` is the policy's probability of the logged target over its logged propensity. All intervals
//! are normal, from the standard deviation of the estimator's influence values.

use serde::Serialize;

use super::{Sample, triangle};
use pointsman_core::stats::cholesky::{self, packed_len};

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// How well the log covers the policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Samples that a log of the policy itself would need for the same precision: (Σ w)² / Σ w².
    pub effective_sample_size: f64,
    pub largest_weight: f64,
    /// Mean weight: 1 when the log covers all that the policy does, less when it does not.
    pub mean_weight: f64,
    /// Too little overlap to trust `ips`, `snips` and `dr`.
    pub poor: bool,
}

/// All estimators over one log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimates {
    pub n: usize,
    /// Inverse propensity score (Horvitz–Thompson): unbiased, but of high variance where
    /// propensities are small, and too low where the log never tries what the policy does.
    pub ips: Estimate,
    /// Self-normalised ips (Swaminathan and Joachims 2015): less variance for a bias that fades
    /// with n.
    pub snips: Estimate,
    /// Direct method: the mean of a linear reward model's predictions. Needs no propensities, but
    /// is wrong wherever the model is, which the interval does not know.
    pub dm: Estimate,
    /// Doubly robust (Dudík et al., arXiv 1103.4601), cross-fitted on two halves: right when
    /// either the propensities or the model are.
    pub dr: Estimate,
    pub overlap: Overlap,
}

/// Fewest samples that are estimated from.
pub const LEAST_SAMPLES: usize = 10;
/// Quantile of the normal distribution for 95 %.
const Z95: f64 = 1.959_964;
/// Precision of the reward model's prior: only there to keep the matrices invertible.
const RIDGE: f64 = 0.01;

/// Estimates the value of a policy that gives each sample's context a probability per target.
///
/// `None` for fewer than [`LEAST_SAMPLES`]. Rewards are as logged; subtract penalties before.
pub fn estimate(samples: &[Sample], policy: &dyn Fn(&Sample) -> Vec<f64>) -> Option<Estimates> {
    if samples.len() < LEAST_SAMPLES {
        return None;
    }
    let probabilities: Vec<Vec<f64>> = samples.iter().map(policy).collect();
    let targets = probabilities.iter().map(Vec::len).max()?;
    let weight = |(sample, p): (&Sample, &Vec<f64>)| {
        p.get(sample.target).copied().unwrap_or(0.0) / sample.propensity
    };
    let weights: Vec<f64> = samples.iter().zip(&probabilities).map(weight).collect();
    let n = samples.len() as f64;
    let rewards = || samples.iter().map(|sample| f64::from(sample.reward));
    let total: f64 = weights.iter().sum();

    let ips: Vec<f64> = weights.iter().zip(rewards()).map(|(w, r)| w * r).collect();
    let snips_value = if total > 0.0 { ips.iter().sum::<f64>() / total } else { 0.0 };
    let scale = if total > 0.0 { n / total } else { 0.0 };
    let snips: Vec<f64> = weights
        .iter()
        .zip(rewards())
        .map(|(w, r)| snips_value + scale * w * (r - snips_value))
        .collect();

    let log = Log { samples, probabilities: &probabilities, targets };
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let effective_sample_size = if squares > 0.0 { total * total / squares } else { 0.0 };
    let largest_weight = weights.iter().copied().fold(0.0, f64::max);
    Some(Estimates {
        n: samples.len(),
        ips: interval(&ips),
        snips: interval(&snips),
        dm: interval(&log.direct()?),
        dr: interval(&log.doubly_robust(&weights)?),
        overlap: Overlap {
            effective_sample_size,
            largest_weight,
            mean_weight: total / n,
            // A tenth of the log, or a hundred samples, or one sample that decides.
            poor: effective_sample_size < (0.1 * n).min(1000.0).max(100.0_f64.min(n))
                || largest_weight > 0.05 * total
                || (total / n - 1.0).abs() > 0.2,
        },
    })
}

/// Mean and interval of influence values.
fn interval(values: &[f64]) -> Estimate {
    let (value, error) = mean_and_error(values.iter().copied());
    Estimate { value, low: value - Z95 * error, high: value + Z95 * error }
}

/// The mean and its standard error.
pub(super) fn mean_and_error(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Samples with the policy's probabilities.
struct Log<'s> {
    samples: &'s [Sample],
    probabilities: &'s [Vec<f64>],
    targets: usize,
}

/// A linear reward model of one target.
struct Linear {
    weights: Vec<f64>,
    factor: Vec<f64>,
}

impl Linear {
    fn predict(&self, context: &[f32]) -> f64 {
        self.weights.iter().zip(context).map(|(w, x)| w * f64::from(*x)).sum()
    }
}

impl Log<'_> {
    /// Fits a model of each target on the samples whose position `part` accepts.
    fn fit(&self, part: &dyn Fn(usize) -> bool) -> Option<Vec<Linear>> {
        let dimensions = self.samples.first()?.context.len();
        let fit_target = |target: usize| {
            let mut gram = vec![0.0; packed_len(dimensions)];
            let mut moment = vec![0.0; dimensions];
            for (_, sample) in self
                .samples
                .iter()
                .enumerate()
                .filter(|(k, sample)| sample.target == target && part(*k))
            {
                triangle::add_outer(&mut gram, &sample.context, 1.0);
                for (sum, x) in moment.iter_mut().zip(&sample.context) {
                    *sum += f64::from(sample.reward) * f64::from(*x);
                }
            }
            for k in 0..dimensions {
                gram[packed_len(k + 1) - 1] += RIDGE;
            }
            let factor = cholesky::factor(gram)?;
            Some(Linear { weights: cholesky::solve(&factor, moment), factor })
        };
        (0..self.targets).map(fit_target).collect()
    }

    /// What the policy earns on a sample if the model is right.
    fn predicted(&self, k: usize, models: &[Linear]) -> f64 {
        let sample = &self.samples[k];
        let of = |(p, model): (&f64, &Linear)| {
            if *p > 0.0 { p * model.predict(&sample.context) } else { 0.0 }
        };
        self.probabilities[k].iter().zip(models).map(of).sum()
    }

    /// Influence values of the direct method: the prediction, plus what the sample's residual
    /// does to the model.
    fn direct(&self) -> Option<Vec<f64>> {
        let models = self.fit(&|_| true)?;
        let dimensions = self.samples.first()?.context.len();
        let mut directions = vec![vec![0.0; dimensions]; self.targets];
        for (sample, p) in self.samples.iter().zip(self.probabilities) {
            for (direction, p) in directions.iter_mut().zip(p) {
                for (sum, x) in direction.iter_mut().zip(&sample.context) {
                    *sum += p * f64::from(*x);
                }
            }
        }
        let directions: Vec<Vec<f64>> = directions
            .into_iter()
            .zip(&models)
            .map(|(direction, model)| cholesky::solve(&model.factor, direction))
            .collect();
        let value = |(k, sample): (usize, &Sample)| {
            let Some(model) = models.get(sample.target) else { return self.predicted(k, &models) };
            let residual = f64::from(sample.reward) - model.predict(&sample.context);
            let pull = directions[sample.target].iter().zip(&sample.context);
            let pull: f64 = pull.map(|(d, x)| d * f64::from(*x)).sum();
            self.predicted(k, &models) + pull * residual
        };
        Some(self.samples.iter().enumerate().map(value).collect())
    }

    /// Influence values of the doubly robust estimator; each half is evaluated with the other's model.
    fn doubly_robust(&self, weights: &[f64]) -> Option<Vec<f64>> {
        let halves = [self.fit(&|k| k % 2 == 1)?, self.fit(&|k| k % 2 == 0)?];
        let value = |(k, sample): (usize, &Sample)| {
            let models = &halves[k % 2];
            let expected = models.get(sample.target).map_or(0.0, |m| m.predict(&sample.context));
            self.predicted(k, models) + weights[k] * (f64::from(sample.reward) - expected)
        };
        Some(self.samples.iter().enumerate().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use pointsman_core::policy::bandit::{EVERYTHING, Explorer, Spread, draw};

    /// Expected reward of each target, linear in the context `[1, a, b]`.
    const TRUTH: [[f32; 3]; 3] = [[0.3, 0.4, 0.1], [0.5, -0.1, 0.2], [0.6, 0.1, -0.4]];

    fn mean(target: usize, context: &[f32]) -> f64 {
        TRUTH[target].iter().zip(context).map(|(w, x)| f64::from(w * x)).sum()
    }

    fn context(rng: &mut SmallRng) -> Vec<f32> {
        vec![1.0, rng.random(), rng.random()]
    }

    /// A log of `n` samples, explored by softmax on a poor guess of the rewards.
    fn log(rng: &mut SmallRng, n: usize) -> Vec<Sample> {
        let explorer = Explorer::Softmax { temperature: 0.5 };
        (0..n)
            .map(|_| {
                let context = context(rng);
                let guess = [0.4, 0.5 + 0.3 * f64::from(context[1]), 0.3];
                let guess = guess.map(|value| Spread { value, error: 0.0 });
                let probabilities = explorer.probabilities(&guess, &[true; 3]);
                let target = draw(&probabilities, rng.random()).unwrap();
                let reward = f32::from(u8::from(rng.random_bool(mean(target, &context))));
                Sample {
                    propensity: probabilities[target],
                    context,
                    target,
                    reward,
                    segment: EVERYTHING,
                }
            })
            .collect()
    }

    /// A policy that mostly plays what is best.
    fn policy(context: &[f32]) -> Vec<f64> {
        let values: Vec<Spread> =
            (0..3).map(|target| Spread { value: mean(target, context), error: 0.0 }).collect();
        Explorer::EpsilonGreedy { epsilon: 0.2 }.probabilities(&values, &[true; 3])
    }

    fn truth() -> f64 {
        let mut rng = SmallRng::seed_from_u64(99);
        const DRAWS: u32 = 1_000_000;
        let value = |_| {
            let context = context(&mut rng);
            policy(&context).iter().enumerate().map(|(t, p)| p * mean(t, &context)).sum::<f64>()
        };
        (0..DRAWS).map(value).sum::<f64>() / f64::from(DRAWS)
    }

    #[test]
    fn every_interval_covers_the_truth_in_93_to_97_of_100_logs() {
        let truth = truth();
        let mut rng = SmallRng::seed_from_u64(2024);
        let mut covered = [0_u32; 4];
        const RUNS: u32 = 1000;
        for _ in 0..RUNS {
            let log = log(&mut rng, 1000);
            let e = estimate(&log, &|sample| policy(&sample.context)).unwrap();
            assert!(!e.overlap.poor, "{:?}", e.overlap);
            for (count, e) in covered.iter_mut().zip([e.ips, e.snips, e.dm, e.dr]) {
                *count += u32::from((e.low..=e.high).contains(&truth));
            }
        }
        for (count, name) in covered.iter().zip(["ips", "snips", "dm", "dr"]) {
            assert!((930..=970).contains(count), "{name}: {count} of {RUNS}");
        }
    }

    #[test]
    fn the_doubly_robust_interval_is_the_narrowest_of_the_unbiased() {
        let mut rng = SmallRng::seed_from_u64(1);
        let e = estimate(&log(&mut rng, 5000), &|sample| policy(&sample.context)).unwrap();
        let width = |e: Estimate| e.high - e.low;
        assert!(width(e.dr) < width(e.snips) && width(e.snips) < width(e.ips), "{e:?}");
    }

    #[test]
    fn a_policy_that_the_log_never_played_is_called_poorly_covered() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut log = log(&mut rng, 2000);
        log.retain(|sample| sample.target != 2);
        let e = estimate(&log, &|_| vec![0.0, 0.1, 0.9]).unwrap();
        assert!(e.overlap.poor, "{:?}", e.overlap);
    }

    #[test]
    fn a_handful_of_samples_gives_no_estimate() {
        let mut rng = SmallRng::seed_from_u64(1);
        assert_eq!(estimate(&log(&mut rng, 9), &|_| vec![1.0]), None);
    }
}
