//! A goal for quality or cost to the threshold that reaches it.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::scores::{ScoredOutcome, by_score};
use pointsman_core::stats::{Bootstrap, percentile95};

/// What a threshold should achieve on the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At least this share of the strong model's mean quality, with as few strong calls as
    /// possible.
    Quality(f64),
    /// At most this share of requests to the strong model.
    StrongShare(f64),
    /// At most this mean cost of a request, at the prices given.
    Budget(f64),
}

/// Mean cost of one request to each model, in any currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    pub cheap: f64,
    pub strong: f64,
}

/// A threshold and what it does on the rows it was found on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    pub threshold: f32,
    /// 95 % percentile bootstrap interval of the threshold.
    pub threshold_ci95: [f32; 2],
    /// Share of requests that go to the strong model.
    pub strong_share: f64,
    /// What `threshold` gives on resamples of the rows.
    pub strong_share_ci95: [f64; 2],
    /// Mean quality of the routed answers, 0..=1.
    pub quality: f64,
    pub quality_ci95: [f64; 2],
    pub always_cheap_quality: f64,
    /// Mean quality when every request goes to the strong model.
    pub always_strong_quality: f64,
    /// Mean cost of a request; `None` without prices.
    pub cost: Option<f64>,
    pub always_strong_cost: Option<f64>,
    /// Saved against always-strong, 0..=1; `None` without prices.
    pub savings: Option<f64>,
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 500;

/// Finds the threshold for a goal. `None` when there are no rows, or a budget without prices.
pub fn calibrate(
    outcomes: &[ScoredOutcome],
    goal: Goal,
    prices: Option<Prices>,
    seed: u64,
) -> Option<Calibration> {
    let order = by_score(outcomes);
    let sorted: Vec<ScoredOutcome> = order.iter().map(|&i| outcomes[i]).collect();
    let threshold = find(&sorted, goal, prices)?;
    let mut random = SmallRng::seed_from_u64(seed);
    let mut bootstrap = Bootstrap::new(outcomes.len());
    let (mut thresholds, mut shares, mut qualities) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RESAMPLES {
        let counts = bootstrap.draw(|rows| random.random_range(0..rows));
        let repeat = |&i: &usize| std::iter::repeat_n(outcomes[i], counts[i] as usize);
        let resample: Vec<ScoredOutcome> = order.iter().flat_map(repeat).collect();
        thresholds.push(f64::from(find(&resample, goal, prices)?));
        let routed = Routed::at(threshold, &resample);
        shares.push(routed.strong_share);
        qualities.push(routed.quality);
    }
    let [low, high] = percentile95(&mut thresholds)?;
    let routed = Routed::at(threshold, outcomes);
    let cost = prices.map(|p| p.cheap + routed.strong_share * (p.strong - p.cheap));
    Some(Calibration {
        threshold,
        threshold_ci95: [low as f32, high as f32],
        strong_share: routed.strong_share,
        strong_share_ci95: percentile95(&mut shares)?,
        quality: routed.quality,
        quality_ci95: percentile95(&mut qualities)?,
        always_cheap_quality: mean(outcomes, |o| f64::from(o.cheap)),
        always_strong_quality: mean(outcomes, |o| f64::from(o.strong)),
        cost,
        always_strong_cost: prices.map(|prices| prices.strong),
        savings: cost.zip(prices).map(|(cost, prices)| 1.0 - cost / prices.strong),
    })
}

/// What a threshold does.
struct Routed {
    strong_share: f64,
    quality: f64,
}

impl Routed {
    fn at(threshold: f32, outcomes: &[ScoredOutcome]) -> Self {
        let is_strong = |outcome: &ScoredOutcome| outcome.score < threshold;
        Routed {
            strong_share: mean(outcomes, |o| f64::from(u8::from(is_strong(o)))),
            quality: mean(outcomes, |o| f64::from(if is_strong(o) { o.strong } else { o.cheap })),
        }
    }
}

fn mean(outcomes: &[ScoredOutcome], value: impl Fn(&ScoredOutcome) -> f64) -> f64 {
    outcomes.iter().map(value).sum::<f64>() / outcomes.len() as f64
}

/// The lowest threshold that reaches a wanted quality, or the highest that keeps a limit; the
/// outcomes are sorted by score.
fn find(sorted: &[ScoredOutcome], goal: Goal, prices: Option<Prices>) -> Option<f32> {
    let n = sorted.len() as f64;
    let highest = sorted.last()?.score;
    let most_strong = match goal {
        Goal::Quality(share) => {
            let strong: f64 = sorted.iter().map(|o| f64::from(o.strong)).sum();
            return Some(lowest_for_quality(sorted, share * strong));
        }
        Goal::StrongShare(share) => share,
        Goal::Budget(budget) => {
            let prices = prices?;
            (budget - prices.cheap) / (prices.strong - prices.cheap)
        }
    };
    // Requests strictly below the threshold are strong: the score of the first one that must
    // not be is the highest threshold within the limit.
    let strong_calls = (most_strong.clamp(0.0, 1.0) * n + 1e-9).floor() as usize;
    Some(sorted.get(strong_calls).map_or_else(|| above(highest), |outcome| outcome.score))
}

/// Raises the threshold over the sorted rows until the summed quality reaches `wanted`.
fn lowest_for_quality(sorted: &[ScoredOutcome], wanted: f64) -> f32 {
    let mut quality: f64 = sorted.iter().map(|o| f64::from(o.cheap)).sum();
    let mut threshold = 0.0;
    for group in sorted.chunk_by(|a, b| a.score == b.score) {
        if quality >= wanted {
            return threshold;
        }
        quality += group.iter().map(|o| f64::from(o.strong) - f64::from(o.cheap)).sum::<f64>();
        threshold = group.first().map_or(threshold, |outcome| above(outcome.score));
    }
    threshold
}

/// The smallest threshold that a score does not reach, within 0..=1.
fn above(score: f32) -> f32 {
    score.next_up().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten rows: the cheap answer is good where the score is 0.5 or more.
    fn rows() -> Vec<ScoredOutcome> {
        (0..10)
            .map(|k| {
                let good = k >= 5;
                ScoredOutcome {
                    score: k as f32 / 10.0,
                    cheap_ok: good,
                    cheap: f32::from(u8::from(good)),
                    strong: 1.0,
                }
            })
            .collect()
    }

    fn calibrated(goal: Goal) -> Calibration {
        calibrate(&rows(), goal, Some(Prices { cheap: 1.0, strong: 11.0 }), 1).unwrap()
    }

    #[test]
    fn quality_takes_as_few_strong_calls_as_it_needs() {
        let all = calibrated(Goal::Quality(1.0));
        assert_eq!((all.strong_share, all.quality), (0.5, 1.0));
        let most = calibrated(Goal::Quality(0.8));
        assert_eq!((most.strong_share, most.quality), (0.3, 0.8));
    }

    #[test]
    fn a_strong_share_is_not_exceeded() {
        assert_eq!(calibrated(Goal::StrongShare(0.3)).strong_share, 0.3);
        assert_eq!(calibrated(Goal::StrongShare(0.35)).strong_share, 0.3);
        assert_eq!(calibrated(Goal::StrongShare(0.0)).strong_share, 0.0);
        assert_eq!(calibrated(Goal::StrongShare(1.0)).strong_share, 1.0);
    }

    #[test]
    fn a_budget_buys_strong_calls() {
        let calibration = calibrated(Goal::Budget(5.0));
        assert_eq!(calibration.strong_share, 0.4);
        assert_eq!(calibration.cost, Some(5.0));
        assert!((calibration.savings.unwrap() - 6.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_holds_the_threshold() {
        let calibration = calibrated(Goal::StrongShare(0.5));
        let [low, high] = calibration.threshold_ci95;
        assert!(low <= calibration.threshold && calibration.threshold <= high);
        assert!(low < high);
        let [low, high] = calibration.strong_share_ci95;
        assert!(low < 0.5 && 0.5 < high);
        let [low, high] = calibration.quality_ci95;
        assert!(low <= calibration.quality && calibration.quality <= high);
    }

    #[test]
    fn without_rows_or_prices_there_is_no_threshold() {
        assert_eq!(calibrate(&[], Goal::Quality(0.9), None, 1), None);
        assert_eq!(calibrate(&rows(), Goal::Budget(1.0), None, 1), None);
    }
}
