//! Linear reward models, one per target, as additive sufficient statistics.
//!
//! An update only adds to sums; the weights are solved for by Cholesky when a candidate is
//! needed. So rounding errors do not accumulate as in a running inverse, statistics of several
//! learners can be added, and forgetting is a factor.

use super::{Sample, triangle};
use pointsman_core::policy::bandit::{Component, Context};
use pointsman_core::stats::cholesky::{self, packed_len};

/// Expected reward of the strongest target.
const LEVEL: f64 = 0.75;
/// Expected difference in reward between a classifier's score of 0 and of 1.
const SLOPE: f64 = 1.0;
/// Samples that the warm prior is worth.
const WARM_PRECISION: f64 = 30.0;
/// Samples that the cold prior is worth: enough to solve with.
const COLD_PRECISION: f64 = 1.0;

/// What is assumed before there is data.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    /// Weights of each target.
    pub mean: Vec<Vec<f64>>,
    /// Samples that the prior is worth, in each dimension.
    pub precision: f64,
}

impl Prior {
    /// Nothing is known: every target's reward is 0.5.
    pub fn cold(targets: usize) -> Self {
        let mut weights = vec![0.0; Context::new(targets).dimensions()];
        weights[0] = 0.5;
        Prior { mean: vec![weights; targets], precision: COLD_PRECISION }
    }

    /// What the classifier knows: the value of a scored target exceeds the strongest one's by
    /// [`SLOPE`] times the distance of its score from the threshold. With two targets the greedy
    /// policy of this prior is the classifier's.
    ///
    /// `thresholds` has one entry per scored target, `penalties` one per target.
    pub fn warm(thresholds: &[f32], penalties: &[f32]) -> Self {
        let targets = penalties.len();
        let dimensions = Context::new(targets).dimensions();
        let strongest = penalties.last().copied().map_or(0.0, f64::from);
        let weights = |target: usize| {
            let mut weights = vec![0.0; dimensions];
            weights[0] = LEVEL;
            if let Some(&threshold) = thresholds.get(target) {
                let saved = strongest - f64::from(penalties[target]);
                weights[0] = LEVEL - saved - SLOPE * f64::from(threshold);
                weights[Context::score_position(target)] = SLOPE;
            }
            weights
        };
        Prior { mean: (0..targets).map(weights).collect(), precision: WARM_PRECISION }
    }

    /// The prior as a policy, without any data.
    pub fn component(&self, version: &str) -> Component {
        let row = |weights: &Vec<f64>| weights.iter().map(|weight| *weight as f32).collect();
        Component {
            version: version.to_owned(),
            share: 1.0,
            weights: self.mean.iter().map(row).collect(),
            factors: Vec::new(),
        }
    }
}

/// Sums over samples: additive, and all that linear models need.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    dimensions: usize,
    arms: Vec<Arm>,
}

#[derive(Clone, Debug, PartialEq)]
struct Arm {
    /// Σ w x xᵀ, packed; w is the sample's weight. Contexts begin with 1, so that this begins with
    /// Σ w.
    gram: Vec<f64>,
    /// Σ w x r.
    moment: Vec<f64>,
    /// Σ w r².
    squares: f64,
    /// Σ 1.
    count: f64,
}

impl Arm {
    fn numbers(&mut self) -> impl Iterator<Item = &mut f64> {
        let sums = [&mut self.squares, &mut self.count];
        self.gram.iter_mut().chain(&mut self.moment).chain(sums)
    }
}

impl Statistics {
    /// No samples.
    pub fn new(targets: usize, dimensions: usize) -> Self {
        let arm = Arm {
            gram: vec![0.0; packed_len(dimensions)],
            moment: vec![0.0; dimensions],
            squares: 0.0,
            count: 0.0,
        };
        Statistics { dimensions, arms: vec![arm; targets] }
    }

    /// Adds a sample `times` times; -1 removes it. Samples of another shape or with numbers that
    /// are not finite are left out.
    pub fn add(&mut self, sample: &Sample, times: f64) {
        let finite = sample.context.iter().all(|value| value.is_finite());
        if sample.context.len() != self.dimensions || !finite || !sample.reward.is_finite() {
            return;
        }
        let Some(arm) = self.arms.get_mut(sample.target) else { return };
        let reward = f64::from(sample.reward);
        let weight = times * sample.weight();
        triangle::add_outer(&mut arm.gram, &sample.context, weight);
        for (sum, x) in arm.moment.iter_mut().zip(&sample.context) {
            *sum += weight * reward * f64::from(*x);
        }
        arm.squares += weight * reward * reward;
        arm.count += times;
    }

    /// Replaces the reward of a sample that was added.
    pub fn correct(&mut self, old: &Sample, reward: f32) {
        self.add(old, -1.0);
        self.add(&Sample { reward, ..old.clone() }, 1.0);
    }

    /// Multiplies every sum by `factor`: old samples count for less.
    pub fn forget(&mut self, factor: f64) {
        self.arms.iter_mut().flat_map(Arm::numbers).for_each(|number| *number *= factor);
    }

    /// Adds the sums of another learner.
    pub fn absorb(&mut self, mut other: Statistics) {
        let own = self.arms.iter_mut().flat_map(Arm::numbers);
        own.zip(other.arms.iter_mut().flat_map(Arm::numbers)).for_each(|(sum, add)| *sum += *add);
    }

    /// Length of the contexts.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Samples of a target, forgotten ones counting for less.
    pub fn count(&self, target: usize) -> f64 {
        self.arms.get(target).map_or(0.0, |arm| arm.count)
    }

    /// Solves for the weights of every target and, with `factors`, for the factors of their
    /// covariances.
    ///
    /// `None` when a matrix is not positive definite, or a number larger than a snapshot may have:
    /// a positive prior precision rules both out for samples that can be.
    pub fn fit(&self, prior: &Prior, version: &str, factors: bool) -> Option<Component> {
        let mut component = Component {
            version: version.to_owned(),
            share: 1.0,
            weights: Vec::new(),
            factors: Vec::new(),
        };
        for (arm, mean) in self.arms.iter().zip(&prior.mean) {
            // Weights change what each sample counts for, but there are not more samples.
            let scale = if arm.weight() > 0.0 { arm.count / arm.weight() } else { 1.0 };
            let scaled =
                |sums: &[f64]| -> Vec<f64> { sums.iter().map(|sum| scale * sum).collect() };
            let (mut gram, mut moment) = (scaled(&arm.gram), scaled(&arm.moment));
            for k in 0..self.dimensions {
                gram[packed_len(k + 1) - 1] += prior.precision;
                moment[k] += prior.precision * mean[k];
            }
            let factor = cholesky::factor(gram)?;
            let weights = cholesky::solve(&factor, moment);
            if factors {
                let variance = arm.noise(&weights);
                let mut covariance = triangle::inverse(&factor, self.dimensions);
                covariance.iter_mut().for_each(|value| *value *= variance);
                let root = cholesky::factor(covariance)?;
                component.factors.push(root.into_iter().map(|value| value as f32).collect());
            }
            component.weights.push(weights.into_iter().map(|weight| weight as f32).collect());
        }
        component.wild_number().is_none().then_some(component)
    }

    /// The sums as little-endian `f64`: the layout of the stores.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut copy = self.clone();
        copy.arms
            .iter_mut()
            .flat_map(Arm::numbers)
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    /// The inverse of [`Statistics::to_bytes`]; `None` for bytes of another shape or with numbers
    /// that are not finite.
    pub fn from_bytes(bytes: &[u8], targets: usize, dimensions: usize) -> Option<Self> {
        let mut statistics = Statistics::new(targets, dimensions);
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let numbers = statistics.arms.iter_mut().flat_map(Arm::numbers);
        let mut read = 0;
        for (number, word) in numbers.zip(words) {
            *number = f64::from_le_bytes(*word);
            read += usize::from(number.is_finite());
        }
        let expected = targets * (packed_len(dimensions) + dimensions + 2);
        (read == expected && words.len() == expected).then_some(statistics)
    }
}

impl Arm {
    /// Σ w.
    fn weight(&self) -> f64 {
        self.gram.first().copied().unwrap_or_default()
    }

    /// Variance of rewards around the prediction, at most that of a fair coin.
    fn noise(&self, weights: &[f64]) -> f64 {
        const LARGEST: f64 = 0.25;
        if self.count < 30.0 {
            return LARGEST;
        }
        let explained: f64 = weights.iter().zip(&self.moment).map(|(w, m)| w * m).sum();
        let fitted = triangle::quadratic(&self.gram, weights);
        ((self.squares - 2.0 * explained + fitted) / self.weight()).clamp(1e-4, LARGEST)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use pointsman_core::policy::bandit::EVERYTHING;

    fn sample(context: Vec<f32>, target: usize, reward: f32) -> Sample {
        Sample { context, target, propensity: 1.0, reward, segment: EVERYTHING }
    }

    fn prior(targets: usize, dimensions: usize) -> Prior {
        Prior { mean: vec![vec![0.0; dimensions]; targets], precision: 1.0 }
    }

    #[test]
    fn weights_converge_to_the_rewards_behind_the_samples() {
        let truth = [[0.3, 0.4, -0.2], [0.6, -0.1, 0.1]];
        let mut statistics = Statistics::new(2, 3);
        let mut rng = SmallRng::seed_from_u64(3);
        for _ in 0..40_000 {
            let context = vec![1.0, rng.random(), rng.random()];
            let target = usize::from(rng.random_bool(0.3));
            let mean: f32 = truth[target].iter().zip(&context).map(|(w, x)| w * x).sum();
            let reward = f32::from(u8::from(rng.random_bool(f64::from(mean))));
            statistics.add(&sample(context, target, reward), 1.0);
        }
        let fitted = statistics.fit(&prior(2, 3), "1", true).unwrap();
        for (weights, truth) in fitted.weights.iter().zip(&truth) {
            for (weight, truth) in weights.iter().zip(truth) {
                assert!((weight - truth).abs() < 0.03, "{weights:?}");
            }
        }
    }

    #[test]
    fn weights_are_those_of_all_requests_though_a_target_is_seen_where_it_is_preferred() {
        // The reward of the one target is not linear, and it is mostly drawn where x is large.
        let reward = |x: f32| if x < 0.5 { 0.2 } else { 0.9 };
        let fit = |propensity: fn(f32) -> f64| {
            let mut statistics = Statistics::new(1, 2);
            let mut rng = SmallRng::seed_from_u64(7);
            for _ in 0..100_000 {
                let x = rng.random();
                let propensity = propensity(x);
                if rng.random_bool(propensity) {
                    let sample = sample(vec![1.0, x], 0, reward(x));
                    statistics.add(&Sample { propensity, ..sample }, 1.0);
                }
            }
            (statistics.count(0), statistics.fit(&prior(1, 2), "", false).unwrap().weights.concat())
        };
        let (_, everywhere) = fit(|_| 1.0);
        let (count, preferred) = fit(|x| if x < 0.5 { 0.02 } else { 0.98 });
        for (a, b) in everywhere.iter().zip(&preferred) {
            assert!((a - b).abs() < 0.02, "{everywhere:?} and {preferred:?}");
        }
        assert!((45_000.0..55_000.0).contains(&count), "samples are not multiplied: {count}");
    }

    #[test]
    fn the_warm_start_decides_as_the_classifier() {
        use pointsman_core::policy::bandit::{Explorer, Snapshot};
        let (threshold, penalties) = (0.53, vec![0.008, 0.2]);
        let warm = Prior::warm(&[threshold], &penalties);
        let snapshot = Snapshot {
            version: "1".into(),
            context_hash: String::new(),
            targets: vec!["cheap".into(), "strong".into()],
            penalties,
            explorer: Explorer::EpsilonGreedy { epsilon: 0.0 },
            components: vec![warm.component("1")],
            segments: Vec::new(),
        };
        for step in 0..=1000_u16 {
            let score = f32::from(step) / 1000.0;
            if (score - threshold).abs() < 1e-4 {
                continue;
            }
            let context = Context::new(2).of_engineered(&[], &[score]);
            let draw = snapshot.choose(EVERYTHING, &context, &[true; 2], 0.5).unwrap();
            assert_eq!(draw.target, usize::from(score < threshold), "{score}");
        }
    }

    #[test]
    fn learners_that_share_the_samples_add_up_to_one_that_saw_them_all() {
        let mut all = Statistics::new(2, 2);
        let mut parts = [Statistics::new(2, 2), Statistics::new(2, 2)];
        for k in 0..100_u8 {
            let sample =
                sample(vec![1.0, f32::from(k) / 50.0], usize::from(k % 2), f32::from(k % 3) / 2.0);
            all.add(&sample, 1.0);
            parts[usize::from(k % 5 == 0)].add(&sample, 1.0);
        }
        let [mut sum, rest] = parts;
        sum.absorb(rest);
        let (a, b) = (all.fit(&prior(2, 2), "", false), sum.fit(&prior(2, 2), "", false));
        for (a, b) in a.unwrap().weights.concat().iter().zip(b.unwrap().weights.concat()) {
            assert!((a - b).abs() < 1e-6);
        }
        let bytes = all.to_bytes();
        assert_eq!(Statistics::from_bytes(&bytes, 2, 2), Some(all));
        assert_eq!(Statistics::from_bytes(&bytes[8..], 2, 2), None);
        assert_eq!(Statistics::from_bytes(&bytes, 2, 3), None);
    }

    #[test]
    fn a_sample_can_be_removed() {
        let mut statistics = Statistics::new(2, 2);
        let keep = sample(vec![1.0, 0.5], 0, 1.0);
        let drop = sample(vec![1.0, -3.0], 0, 0.25);
        statistics.add(&keep, 1.0);
        let before = statistics.clone();
        statistics.add(&drop, 1.0);
        statistics.add(&drop, -1.0);
        assert_eq!(statistics, before);
    }

    #[test]
    fn invalid_samples_are_left_out() {
        let mut statistics = Statistics::new(2, 2);
        for odd in [
            sample(vec![1.0], 0, 1.0),
            sample(vec![1.0, f32::NAN], 0, 1.0),
            sample(vec![1.0, 0.0], 0, f32::INFINITY),
            sample(vec![1.0, 0.0], 9, 1.0),
        ] {
            statistics.add(&odd, 1.0);
        }
        assert_eq!(statistics, Statistics::new(2, 2));
    }

    #[test]
    fn ten_million_updates_leave_the_weights_sound() {
        updates_leave_the_weights_sound(10_000_000);
    }

    #[test]
    #[ignore = "half a minute, for what ten million updates show already"]
    fn a_hundred_million_updates_leave_the_weights_sound() {
        updates_leave_the_weights_sound(100_000_000);
    }

    fn updates_leave_the_weights_sound(updates: u32) {
        // Two of the dimensions are all but the same, which is what ruins a running inverse.
        const BLOCK: u32 = 10_000;
        let truth = [0.2_f32, 0.5, -0.3, 0.1];
        let mut statistics = Statistics::new(1, 4);
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1_u32 << 24) as f32
        };
        let mut sample = sample(vec![1.0; 4], 0, 0.0);
        for _ in 0..updates / BLOCK {
            for _ in 0..BLOCK {
                let a = noise();
                sample.context[1] = a;
                sample.context[2] = a + 1e-3 * noise();
                sample.context[3] = noise();
                let mean: f32 = truth.iter().zip(&sample.context).map(|(w, x)| w * x).sum();
                sample.reward = mean + 0.1 * (noise() - 0.5);
                statistics.add(&sample, 1.0);
            }
            statistics.forget(0.999_9);
        }
        let fitted = statistics.fit(&prior(1, 4), "1", true).unwrap();
        let weights = &fitted.weights[0];
        let predict = |x: [f32; 4]| -> f32 { weights.iter().zip(x).map(|(w, x)| w * x).sum() };
        assert!((predict([1.0, 0.5, 0.5005, 0.5]) - 0.35).abs() < 2e-3, "{weights:?}");
        assert!((weights[3] - truth[3]).abs() < 2e-3, "{weights:?}");
        assert!(fitted.factors[0].iter().all(|value| value.is_finite()));
    }
}
