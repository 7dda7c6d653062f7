//! Detection of a sudden change in what targets earn.

/// Two-sided cumulative sums of standardised residuals, one pair per target (Page 1954,
/// doi:10.2307/2333009).
///
/// A residual is reward minus prediction, less its own slow mean: a linear model of all requests
/// is off by a little on those that a policy sends to a target, which is not a change. With the
/// allowance of a quarter and the limit of 30 standard deviations, a false alarm is expected once
/// in some ten million samples, and a drop by half a standard deviation is found after some
/// hundred.
#[derive(Clone, Debug)]
pub struct ChangeDetector {
    arms: Vec<Sums>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    up: f64,
    down: f64,
    mean: f64,
    variance: f64,
    seen: u32,
}

/// How a target's rewards left the prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It earns more than before.
    Up,
    /// It earns less than before.
    Down,
}

const ALLOWANCE: f64 = 0.25;
const LIMIT: f64 = 30.0;
/// Weight of a new residual in the running variance.
const PACE: f64 = 0.005;
/// Weight of a new residual in the running mean: too slow to take up a change before it is found.
const MEAN_PACE: f64 = 0.0001;
/// Residuals that only feed mean and variance.
const WARM_UP: u32 = 200;

impl ChangeDetector {
    /// Nothing seen yet.
    pub fn new(targets: usize) -> Self {
        ChangeDetector { arms: vec![Sums::default(); targets] }
    }

    /// Forgets everything, as after a change.
    pub fn reset(&mut self) {
        self.arms.fill(Sums::default());
    }

    /// Takes in the residual of a target; reports a change once, when it is found.
    pub fn observe(&mut self, target: usize, residual: f64) -> Option<Change> {
        let sums = self.arms.get_mut(target).filter(|_| residual.is_finite())?;
        let share = 1.0 / (f64::from(sums.seen) + 1.0);
        sums.mean += MEAN_PACE.max(share) * (residual - sums.mean);
        let residual = residual - sums.mean;
        let pace = PACE.max(share);
        sums.variance += pace * (residual * residual - sums.variance);
        sums.seen = sums.seen.saturating_add(1);
        if sums.seen < WARM_UP {
            return None;
        }
        let z = residual / sums.variance.sqrt().max(0.02);
        sums.up = (sums.up + z - ALLOWANCE).max(0.0);
        sums.down = (sums.down - z - ALLOWANCE).max(0.0);
        let change = match (sums.up > LIMIT, sums.down > LIMIT) {
            (true, _) => Change::Up,
            (_, true) => Change::Down,
            _ => return None,
        };
        (sums.up, sums.down) = (0.0, 0.0);
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Residuals of a coin with `mean`, predicted as 0.7.
    fn run(
        detector: &mut ChangeDetector,
        rng: &mut SmallRng,
        mean: f64,
        n: u32,
    ) -> Option<(u32, Change)> {
        (0..n).find_map(|k| {
            let reward = f64::from(u8::from(rng.random_bool(mean)));
            detector.observe(0, reward - 0.7).map(|change| (k, change))
        })
    }

    #[test]
    fn steady_rewards_raise_no_alarm() {
        let mut rng = SmallRng::seed_from_u64(5);
        assert_eq!(run(&mut ChangeDetector::new(1), &mut rng, 0.7, 300_000), None);
    }

    #[test]
    fn a_constant_bias_of_the_prediction_is_not_a_change() {
        let mut rng = SmallRng::seed_from_u64(5);
        assert_eq!(run(&mut ChangeDetector::new(1), &mut rng, 0.5, 300_000), None);
    }

    #[test]
    fn a_drop_and_a_rise_are_found_within_two_hundred_samples() {
        for (mean, expected) in [(0.4, Change::Down), (0.97, Change::Up)] {
            let mut rng = SmallRng::seed_from_u64(6);
            let mut detector = ChangeDetector::new(1);
            assert_eq!(run(&mut detector, &mut rng, 0.7, 5000), None);
            let (delay, change) = run(&mut detector, &mut rng, mean, 5000).unwrap();
            assert_eq!(change, expected);
            assert!(delay < 200, "{delay}");
        }
    }
}
