//! Values of targets to probabilities, and probabilities to one target.
//!
//! Every explorer gives the probability of each target first, and [`draw`] picks by exactly
//! these: a propensity is the number that was drawn with, never an estimate of it.

use serde::{Deserialize, Serialize};

/// How values of targets become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Explorer {
    /// The best target, and with probability ε any target.
    EpsilonGreedy { epsilon: f64 },
    /// Probabilities in proportion to exp(value / temperature).
    Softmax { temperature: f64 },
    /// Inverse gap weighting: 1 / (K + γ · gap) for all but the best, which gets the rest
    /// (SquareCB, arXiv 2002.04926).
    SquareCb { gamma: f64 },
    /// The probability that a target's value is the largest, if values are independent normal
    /// variables with `scale` times their standard error (linear Thompson sampling, arXiv
    /// 1209.3352), mixed with ε of any target. The draw uses these probabilities and not a
    /// sample of the values, so that the propensity is known.
    Thompson { scale: f64, epsilon: f64 },
    /// The target with the largest value plus α standard errors (LinUCB, arXiv 1003.0146), and
    /// with probability ε any target: without it the choice would be certain, and nothing could
    /// be estimated about another policy.
    LinUcb { alpha: f64, epsilon: f64 },
}

impl Explorer {
    /// What is wrong with the parameters, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let share = |epsilon: f64| (0.0..=1.0).contains(&epsilon);
        let positive = |number: f64| number > 0.0 && number.is_finite();
        match *self {
            Explorer::EpsilonGreedy { epsilon } if !share(epsilon) => Some("epsilon: 0 to 1"),
            Explorer::Softmax { temperature } if !positive(temperature) => {
                Some("temperature: a positive number")
            }
            Explorer::SquareCb { gamma } if !positive(gamma) => Some("gamma: a positive number"),
            Explorer::Thompson { scale, epsilon } if !(positive(scale) && share(epsilon)) => {
                Some("scale: a positive number; epsilon: 0 to 1")
            }
            Explorer::LinUcb { alpha, epsilon } if !(positive(alpha) && share(epsilon)) => {
                Some("alpha: a positive number; epsilon: 0 to 1")
            }
            _ => None,
        }
    }

    /// The least probability of a target that is drawn, among `targets` whose values differ by `gap`
    /// at most; 0 when there is no such bound.
    pub fn least_propensity(&self, targets: usize, gap: f64) -> f64 {
        let count = targets as f64;
        match *self {
            // The best target alone is ever drawn.
            Explorer::EpsilonGreedy { epsilon: 0.0 } | Explorer::LinUcb { epsilon: 0.0, .. } => 1.0,
            Explorer::EpsilonGreedy { epsilon }
            | Explorer::LinUcb { epsilon, .. }
            | Explorer::Thompson { epsilon, .. } => epsilon / count,
            Explorer::Softmax { temperature } => libm::exp(-gap / temperature) / count,
            Explorer::SquareCb { gamma } => 1.0 / (count + gamma * gap),
        }
    }

    /// Whether it needs the values' standard errors.
    pub fn needs_spread(&self) -> bool {
        matches!(self, Explorer::Thompson { .. } | Explorer::LinUcb { .. })
    }

    /// The probability of each target, 0 for those that are not eligible; sums to 1. Empty when
    /// no target is eligible.
    ///
    /// `values` are rewards less penalties; among equal values the first, cheapest target is best.
    pub fn probabilities(&self, values: &[Spread], eligible: &[bool]) -> Vec<f64> {
        let may = |target: usize| eligible.get(target).copied().unwrap_or(false);
        let count = (0..values.len()).filter(|&target| may(target)).count();
        if count == 0 {
            return Vec::new();
        }
        let each = |f: &dyn Fn(&Spread) -> f64| -> Vec<f64> {
            let of = |(target, value)| if may(target) { f(value) } else { 0.0 };
            values.iter().enumerate().map(of).collect()
        };
        let mixed = |greedy: Vec<f64>, epsilon: f64| -> Vec<f64> {
            let floor = epsilon / count as f64;
            let of = |(target, p)| if may(target) { (1.0 - epsilon) * p + floor } else { 0.0 };
            greedy.into_iter().enumerate().map(of).collect()
        };
        match *self {
            Explorer::EpsilonGreedy { epsilon } => mixed(on_best(values, eligible, 0.0), epsilon),
            Explorer::LinUcb { alpha, epsilon } => mixed(on_best(values, eligible, alpha), epsilon),
            Explorer::Softmax { temperature } => {
                let top = top(values, eligible, 0.0).map_or(0.0, |(_, value)| value);
                normalised(each(&|value| libm::exp((value.value - top) / temperature)))
            }
            Explorer::SquareCb { gamma } => {
                let Some((best, top)) = top(values, eligible, 0.0) else { return Vec::new() };
                let mut shares =
                    each(&|value| 1.0 / (count as f64 + gamma * (top - value.value).max(0.0)));
                let others: f64 = shares.iter().sum::<f64>() - shares.get(best).unwrap_or(&0.0);
                if let Some(share) = shares.get_mut(best) {
                    *share = 1.0 - others;
                }
                shares
            }
            Explorer::Thompson { scale, epsilon } => {
                mixed(normalised(largest(values, eligible, scale)), epsilon)
            }
        }
    }
}

/// A target's predicted value and the standard error of the prediction (0 when not known).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub value: f64,
    pub error: f64,
}

/// The eligible target with the largest value plus `alpha` standard errors.
fn top(values: &[Spread], eligible: &[bool], alpha: f64) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for (target, (value, _)) in values.iter().zip(eligible).enumerate().filter(|(_, (_, e))| **e) {
        let bound = value.value + alpha * value.error;
        if best.is_none_or(|(_, largest)| bound > largest) {
            best = Some((target, bound));
        }
    }
    best
}

fn on_best(values: &[Spread], eligible: &[bool], alpha: f64) -> Vec<f64> {
    let best = top(values, eligible, alpha).map(|(target, _)| target);
    (0..values.len()).map(|target| f64::from(u8::from(Some(target) == best))).collect()
}

fn normalised(mut shares: Vec<f64>) -> Vec<f64> {
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

/// For each target the probability that it is the largest of independent normal variables: of two
/// in closed form, of more by the trapezoid rule over ±8 standard deviations; normalised by the
/// caller, so that what the rule leaves over does not matter.
fn largest(values: &[Spread], eligible: &[bool], scale: f64) -> Vec<f64> {
    const STEPS: i32 = 96;
    const REACH: f64 = 8.0;
    /// A standard error of zero would make the integrand a spike between two steps.
    const SMALLEST: f64 = 1e-6;
    /// An infinite one times zero deviations is not a number.
    const LARGEST: f64 = 1e100;
    let error = |spread: &Spread| (scale * spread.error).clamp(SMALLEST, LARGEST);
    let may = |target: usize| eligible.get(target).copied().unwrap_or(false);
    let mut shares = vec![0.0; values.len()];
    let mut candidates = values.iter().enumerate().filter(|(target, _)| may(*target));
    if let (Some((_, a)), Some((_, b)), None) =
        (candidates.next(), candidates.next(), candidates.next())
    {
        let z = (a.value - b.value) / libm::hypot(error(a), error(b));
        let mut both = [normal_below(z), normal_below(-z)].into_iter();
        for (_, share) in shares.iter_mut().enumerate().filter(|(target, _)| may(*target)) {
            *share = both.next().unwrap_or_default();
        }
        return shares;
    }
    for (target, share) in shares.iter_mut().enumerate().filter(|(target, _)| may(*target)) {
        let Some(own) = values.get(target) else { continue };
        for step in -STEPS..=STEPS {
            let z = REACH * f64::from(step) / f64::from(STEPS);
            let at = own.value + z * error(own);
            let below: f64 = values
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != target && may(*other))
                .map(|(_, other)| normal_below((at - other.value) / error(other)))
                .product();
            *share += libm::exp(-0.5 * z * z) * below;
        }
    }
    shares
}

/// The standard normal distribution function.
fn normal_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Picks a target by probabilities that sum to 1; `uniform` is in 0..1. `None` when all are zero.
pub fn draw(probabilities: &[f64], uniform: f64) -> Option<usize> {
    let mut left = uniform;
    let mut last = None;
    for (target, &probability) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        if left < probability {
            return Some(target);
        }
        left -= probability;
        // What rounding leaves over belongs to the last one.
        last = Some(target);
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const ALL: [Explorer; 5] = [
        Explorer::EpsilonGreedy { epsilon: 0.1 },
        Explorer::Softmax { temperature: 0.05 },
        Explorer::SquareCb { gamma: 50.0 },
        Explorer::Thompson { scale: 1.0, epsilon: 0.01 },
        Explorer::LinUcb { alpha: 1.0, epsilon: 0.05 },
    ];

    fn spreads(values: &[f64]) -> Vec<Spread> {
        values.iter().map(|&value| Spread { value, error: 0.1 }).collect()
    }

    fn near(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
    }

    #[test]
    fn probabilities_match_hand_computation() {
        let values = spreads(&[0.5, 0.7, 0.6]);
        let all = [true; 3];
        let greedy = Explorer::EpsilonGreedy { epsilon: 0.3 };
        near(&greedy.probabilities(&values, &all), &[0.1, 0.8, 0.1]);
        let gaps = Explorer::SquareCb { gamma: 10.0 };
        near(&gaps.probabilities(&values, &all), &[0.2, 0.55, 0.25]);
        let soft = Explorer::Softmax { temperature: 0.1 };
        let parts = [(-2.0_f64).exp(), 1.0, (-1.0_f64).exp()];
        let sum: f64 = parts.iter().sum();
        near(&soft.probabilities(&values, &all), &parts.map(|part| part / sum));
    }

    proptest! {
        #[test]
        fn what_is_drawn_has_at_least_the_least_propensity(
            values in prop::collection::vec(0.0_f64..1.0, 2..5),
            uniform in 0.0_f64..1.0,
        ) {
            let greedy = Explorer::EpsilonGreedy { epsilon: 0.0 };
            for explorer in ALL.into_iter().chain([greedy]) {
                let shares = explorer.probabilities(&spreads(&values), &vec![true; values.len()]);
                let drawn = draw(&shares, uniform).unwrap();
                let least = explorer.least_propensity(values.len(), 1.0);
                prop_assert!(least > 0.0 && shares[drawn] >= least - 1e-12, "{explorer:?}");
            }
        }
    }

    #[test]
    fn thompson_gives_the_normal_probability_of_being_the_larger_of_two() {
        let values = [Spread { value: 0.6, error: 0.03 }, Spread { value: 0.5, error: 0.04 }];
        let explorer = Explorer::Thompson { scale: 2.0, epsilon: 0.0 };
        // The difference is normal with standard deviation 2 · 0.05, so z = 1.
        let expected = 0.841_344_746;
        near(&explorer.probabilities(&values, &[true; 2]), &[expected, 1.0 - expected]);
    }

    #[test]
    fn thompson_draws_among_three_however_wide_its_scale_is() {
        let explorer = Explorer::Thompson { scale: f64::MAX, epsilon: 0.0 };
        let values = [1.0, 0.5, 0.0].map(|value| Spread { value, error: 20.0 });
        near(&explorer.probabilities(&values, &[true; 3]), &[1.0 / 3.0; 3]);
    }

    #[test]
    fn thompson_among_two_of_three_is_as_if_there_were_two_and_a_hopeless_third_changes_little() {
        let mut values = vec![
            Spread { value: 0.6, error: 0.03 },
            Spread { value: 0.5, error: 0.04 },
            Spread { value: -9.0, error: 0.05 },
        ];
        let explorer = Explorer::Thompson { scale: 2.0, epsilon: 0.0 };
        let two = explorer.probabilities(&values, &[true, true, false]);
        let three = explorer.probabilities(&values, &[true; 3]);
        near(&two, &[0.841_344_746, 1.0 - 0.841_344_746, 0.0]);
        near(&three, &two);
        values.swap(0, 1);
        near(&explorer.probabilities(&values, &[true, true, false])[..1], &two[1..2]);
    }

    #[test]
    fn linucb_prefers_what_is_less_known() {
        let values = [Spread { value: 0.6, error: 0.0 }, Spread { value: 0.5, error: 0.2 }];
        let explorer = Explorer::LinUcb { alpha: 1.0, epsilon: 0.0 };
        assert_eq!(explorer.probabilities(&values, &[true; 2]), [0.0, 1.0]);
    }

    #[test]
    fn the_cheapest_of_equal_targets_is_best() {
        let greedy = Explorer::EpsilonGreedy { epsilon: 0.0 };
        assert_eq!(greedy.probabilities(&spreads(&[0.5, 0.5]), &[true; 2]), [1.0, 0.0]);
    }

    #[test]
    fn no_eligible_target_is_no_distribution() {
        for explorer in ALL {
            assert!(explorer.probabilities(&spreads(&[0.1, 0.2]), &[false; 2]).is_empty());
        }
    }

    #[test]
    fn targets_are_drawn_as_often_as_their_propensity_says() {
        let mut rng = SmallRng::seed_from_u64(7);
        let values = spreads(&[0.55, 0.6, 0.4]);
        for explorer in ALL {
            let probabilities = explorer.probabilities(&values, &[true; 3]);
            let mut counts = [0_u32; 3];
            const DRAWS: u32 = 200_000;
            for _ in 0..DRAWS {
                counts[draw(&probabilities, rng.random()).unwrap()] += 1;
            }
            for (count, p) in counts.iter().zip(&probabilities) {
                let expected = f64::from(DRAWS) * p;
                let deviation = (expected * (1.0 - p)).sqrt().max(1.0);
                let off = (f64::from(*count) - expected).abs() / deviation;
                assert!(off < 4.5, "{explorer:?}: {count} draws, {expected} expected");
            }
        }
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_stay_off_what_is_not_eligible(
            values in prop::collection::vec((-2.0..2.0, 0.0..1.0), 1..16),
            mask in any::<u16>(),
        ) {
            let values: Vec<Spread> =
                values.into_iter().map(|(value, error)| Spread { value, error }).collect();
            let eligible: Vec<bool> = (0..values.len()).map(|k| mask >> k & 1 == 1).collect();
            for explorer in ALL {
                let probabilities = explorer.probabilities(&values, &eligible);
                if !eligible.contains(&true) {
                    prop_assert!(probabilities.is_empty());
                    continue;
                }
                let sum: f64 = probabilities.iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-9, "{explorer:?}: {sum}");
                for (p, eligible) in probabilities.iter().zip(&eligible) {
                    prop_assert!((0.0..=1.0 + 1e-12).contains(p), "{explorer:?}: {p}");
                    prop_assert!(*eligible || *p == 0.0, "{explorer:?}: {p}");
                }
            }
        }
    }
}
