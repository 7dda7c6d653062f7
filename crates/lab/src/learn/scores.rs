//! How good a router is, from scores and outcomes.
//!
//! A score is the probability that the cheap answer is good enough. The positive class of AUROC is
//! "strong required"; scores are ranked the other way round, so a perfect router has 1. APGR and
//! CPT follow RouteLLM (arXiv 2406.18665).

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use pointsman_core::stats::{Bootstrap, percentile95};

/// One scored row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredOutcome {
    /// Probability that the cheap answer is good enough, 0..=1.
    pub score: f32,
    /// Was it?
    pub cheap_ok: bool,
    /// Quality of the cheap answer, 0..=1.
    pub cheap: f32,
    /// Quality of the strong answer, 0..=1.
    pub strong: f32,
}

/// Measures of a router over some rows. `None` where a measure has no meaning: AUROC with one
/// class, APGR and CPT where the strong model is no better than the cheap one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    pub n: usize,
    /// Accuracy of always giving the more frequent label.
    pub majority_accuracy: f64,
    pub accuracy: f64,
    /// Mean of the two classes' recall.
    pub balanced_accuracy: Option<f64>,
    pub auroc: Option<f64>,
    /// 95 % percentile bootstrap interval.
    pub auroc_ci95: Option<[f64; 2]>,
    /// Mean share of the quality gap that is recovered; random is 0.5.
    pub apgr: Option<f64>,
    /// Share of strong calls that recovers half of the quality gap.
    pub cpt50: Option<f64>,
    pub cpt80: Option<f64>,
    /// Mean squared error of the probability.
    pub brier: f64,
    /// Expected calibration error, ten bins of equal width.
    pub ece: f64,
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;
/// Bins of the calibration error.
const BINS: usize = 10;

/// All measures; a score that reaches `threshold` is a prediction of `cheap_ok`.
pub fn measure(outcomes: &[ScoredOutcome], threshold: f32, seed: u64) -> Metrics {
    let n = outcomes.len();
    let ok = outcomes.iter().filter(|o| o.cheap_ok).count();
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let right = |class: bool| {
        outcomes.iter().filter(|o| o.cheap_ok == class && (o.score >= threshold) == class).count()
    };
    let (right_ok, right_not) = (right(true), right(false));
    let curve = GainCurve::new(outcomes);
    Metrics {
        n,
        majority_accuracy: share(ok.max(n - ok), n),
        accuracy: share(right_ok + right_not, n),
        balanced_accuracy: (ok > 0 && ok < n)
            .then(|| (share(right_ok, ok) + share(right_not, n - ok)) / 2.0),
        auroc: auroc(outcomes),
        auroc_ci95: auroc_interval(outcomes, seed),
        apgr: curve.as_ref().map(GainCurve::apgr),
        cpt50: curve.as_ref().and_then(|c| c.strong_share_for(0.5)),
        cpt80: curve.as_ref().and_then(|c| c.strong_share_for(0.8)),
        brier: brier(outcomes),
        ece: ece(outcomes),
    }
}

/// Area under the ROC curve; ties count half.
pub fn auroc(outcomes: &[ScoredOutcome]) -> Option<f64> {
    let order = by_score(outcomes);
    weighted_auroc(outcomes, &order, |_| 1.0)
}

/// Mean share of the quality gap that is recovered: trapezoid over 0, 10, …, 100 % strong calls.
/// `None` when the strong model gains nothing over the cheap one.
pub fn apgr(outcomes: &[ScoredOutcome]) -> Option<f64> {
    GainCurve::new(outcomes).as_ref().map(GainCurve::apgr)
}

/// Row indices, lowest score (strong first) to highest.
pub(crate) fn by_score(outcomes: &[ScoredOutcome]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|&a, &b| outcomes[a].score.total_cmp(&outcomes[b].score));
    order
}

/// Runs of equal score in an order.
fn ties<'a>(
    outcomes: &'a [ScoredOutcome],
    order: &'a [usize],
) -> impl Iterator<Item = &'a [usize]> {
    order.chunk_by(|&a, &b| outcomes[a].score == outcomes[b].score)
}

/// [`auroc`] of rows that count more or less than once; `order` is by score.
pub(crate) fn weighted_auroc(
    outcomes: &[ScoredOutcome],
    order: &[usize],
    weight: impl Fn(usize) -> f64,
) -> Option<f64> {
    let (mut positives, mut negatives, mut area) = (0.0, 0.0, 0.0);
    for group in ties(outcomes, order) {
        let (mut p, mut n) = (0.0, 0.0);
        for &i in group {
            *(if outcomes[i].cheap_ok { &mut n } else { &mut p }) += weight(i);
        }
        area += n * (positives + p / 2.0);
        positives += p;
        negatives += n;
    }
    (positives > 0.0 && negatives > 0.0).then(|| area / (positives * negatives))
}

/// 95 % percentile interval of AUROC over resamples of the rows.
fn auroc_interval(outcomes: &[ScoredOutcome], seed: u64) -> Option<[f64; 2]> {
    auroc(outcomes)?;
    let order = by_score(outcomes);
    let mut random = SmallRng::seed_from_u64(seed);
    let mut bootstrap = Bootstrap::new(outcomes.len());
    let mut areas: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let counts = bootstrap.draw(|rows| random.random_range(0..rows));
            weighted_auroc(outcomes, &order, |i| f64::from(counts[i]))
        })
        .collect();
    percentile95(&mut areas)
}

/// Share of the quality gap that is recovered, by share of strong calls.
///
/// The rows of lowest score go to the strong model first. Inside a run of equal scores the order
/// is unknown, so the curve is straight there: what a random order gives on average.
pub(crate) struct GainCurve {
    /// (share of strong calls, share of the gap), from (0, 0) to (1, 1).
    points: Vec<(f64, f64)>,
}

impl GainCurve {
    /// `None` when the strong model gains nothing over the cheap one.
    fn new(outcomes: &[ScoredOutcome]) -> Option<GainCurve> {
        GainCurve::weighted(outcomes, &by_score(outcomes), |_| 1.0)
    }

    /// Of rows that count more or less than once; `order` is by score.
    pub(crate) fn weighted(
        outcomes: &[ScoredOutcome],
        order: &[usize],
        weight: impl Fn(usize) -> f64,
    ) -> Option<GainCurve> {
        let gain =
            |i: usize| weight(i) * (f64::from(outcomes[i].strong) - f64::from(outcomes[i].cheap));
        let rows = 0..outcomes.len();
        let gap: f64 = rows.clone().map(gain).sum();
        let total: f64 = rows.map(&weight).sum();
        if gap <= 0.0 {
            return None;
        }
        let (mut calls, mut recovered) = (0.0, 0.0);
        let mut points = vec![(0.0, 0.0)];
        for group in ties(outcomes, order) {
            let weight: f64 = group.iter().map(|&i| weight(i)).sum();
            if weight > 0.0 {
                calls += weight;
                recovered += group.iter().map(|&i| gain(i)).sum::<f64>();
                points.push((calls / total, recovered / gap));
            }
        }
        Some(GainCurve { points })
    }

    /// Share of the gap at a share of strong calls.
    fn at(&self, share: f64) -> f64 {
        let next = self.points.partition_point(|p| p.0 < share);
        let Some(&(x1, y1)) = self.points.get(next) else { return 1.0 };
        if next == 0 {
            return y1;
        }
        let (x0, y0) = self.points[next - 1];
        y0 + (y1 - y0) * (share - x0) / (x1 - x0)
    }

    /// Trapezoid over 0, 10, …, 100 % strong calls.
    pub(crate) fn apgr(&self) -> f64 {
        let at = |i: u32| self.at(f64::from(i) / 10.0);
        (0..10).map(|i| (at(i) + at(i + 1)) / 2.0).sum::<f64>() / 10.0
    }

    /// Smallest share of strong calls that recovers a share of the gap.
    fn strong_share_for(&self, gap: f64) -> Option<f64> {
        self.points.windows(2).find(|w| w[1].1 >= gap).map(|w| {
            let ((x0, y0), (x1, y1)) = (w[0], w[1]);
            x0 + (x1 - x0) * (gap - y0) / (y1 - y0)
        })
    }
}

fn brier(outcomes: &[ScoredOutcome]) -> f64 {
    let error = |o: &ScoredOutcome| (f64::from(o.score) - f64::from(u8::from(o.cheap_ok))).powi(2);
    outcomes.iter().map(error).sum::<f64>() / outcomes.len().max(1) as f64
}

fn ece(outcomes: &[ScoredOutcome]) -> f64 {
    let mut bins = [(0.0_f64, 0.0_f64); BINS];
    for o in outcomes {
        let bin = ((o.score * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += f64::from(o.score);
        bins[bin].1 += f64::from(u8::from(o.cheap_ok));
    }
    bins.iter().map(|(score, ok)| (score - ok).abs()).sum::<f64>() / outcomes.len().max(1) as f64
}

/// The threshold of highest accuracy; of equally good ones, the middle of the longest run of
/// scores, which moves least from sample to sample. 0.5 for no rows.
pub fn best_threshold(outcomes: &[ScoredOutcome]) -> f32 {
    let order = by_score(outcomes);
    // Right answers when everything goes to the cheap model, then one group after the other to
    // the strong one.
    let mut right = outcomes.iter().filter(|o| o.cheap_ok).count() as i64;
    let scores: Vec<f32> = ties(outcomes, &order).map(|g| outcomes[g[0]].score).collect();
    let mut best: (i64, f32, f32) = (i64::MIN, 0.0, 0.5);
    for (k, group) in ties(outcomes, &order).enumerate() {
        let below = if k == 0 { 0.0 } else { scores[k - 1] };
        let width = scores[k] - below;
        if right > best.0 || (right == best.0 && width > best.1) {
            best = (right, width, below + width / 2.0);
        }
        right += group.iter().map(|&i| if outcomes[i].cheap_ok { -1 } else { 1 }).sum::<i64>();
    }
    if right > best.0
        && let Some(last) = scores.last()
    {
        return last + (1.0 - last) / 2.0;
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (score, cheap_ok) with the strong answer always right.
    fn rows(rows: &[(f32, bool)]) -> Vec<ScoredOutcome> {
        rows.iter()
            .map(|&(score, cheap_ok)| ScoredOutcome {
                score,
                cheap_ok,
                cheap: f32::from(u8::from(cheap_ok)),
                strong: 1.0,
            })
            .collect()
    }

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }

    #[test]
    fn auroc_counts_ordered_pairs_and_half_of_ties() {
        // Pairs (required, not required): .2<.5 right, .2<.9 right, .5=.5 half, .5<.9 right.
        near(
            auroc(&rows(&[(0.2, false), (0.5, false), (0.5, true), (0.9, true)])).unwrap(),
            3.5 / 4.0,
        );
        near(auroc(&rows(&[(0.9, false), (0.1, true)])).unwrap(), 0.0);
        assert_eq!(auroc(&rows(&[(0.9, true)])), None);
    }

    #[test]
    fn constant_scores_are_as_good_as_chance() {
        let all = rows(&[(0.7, true), (0.7, false), (0.7, true), (0.7, true)]);
        let m = measure(&all, 0.5, 1);
        near(m.auroc.unwrap(), 0.5);
        near(m.apgr.unwrap(), 0.5);
        near(m.cpt50.unwrap(), 0.5);
        near(m.cpt80.unwrap(), 0.8);
        near(m.majority_accuracy, 0.75);
        near(m.balanced_accuracy.unwrap(), 0.5);
    }

    #[test]
    fn perfect_router_recovers_the_gap_with_the_required_calls() {
        let mut all = vec![(0.1, false); 2];
        all.extend([(0.9, true); 8]);
        let m = measure(&rows(&all), 0.5, 1);
        near(m.accuracy, 1.0);
        near(m.auroc.unwrap(), 1.0);
        near(m.cpt50.unwrap(), 0.1);
        near(m.cpt80.unwrap(), 0.16);
        // Gap shares 0, .5, 1, 1, …: (0+.5)/2 + (.5+1)/2 + 8 ones, over ten steps.
        near(m.apgr.unwrap(), 0.9);
    }

    #[test]
    fn apgr_follows_quality_and_not_the_label() {
        // The strong answer is worse on the first row: routing it there costs quality.
        let outcomes = [
            ScoredOutcome { score: 0.1, cheap_ok: true, cheap: 1.0, strong: 0.5 },
            ScoredOutcome { score: 0.9, cheap_ok: false, cheap: 0.0, strong: 1.0 },
        ];
        let curve = GainCurve::new(&outcomes).unwrap();
        near(curve.at(0.5), -1.0);
        near(curve.at(0.75), 0.0);
        near(curve.strong_share_for(0.5).unwrap(), 0.875);
        assert!(GainCurve::new(&outcomes[..1]).is_none());
    }

    #[test]
    fn brier_and_calibration_error_match_hand_computation() {
        let all = rows(&[(0.8, true), (0.8, false), (0.2, false)]);
        near(brier(&all), (0.04 + 0.64 + 0.04) / 3.0);
        // Bin of 0.8: |1.6 - 1|, bin of 0.2: |0.2 - 0|.
        near(ece(&all), (0.6 + 0.2) / 3.0);
    }

    #[test]
    fn interval_holds_the_estimate_and_repeats_by_seed() {
        let all: Vec<_> = (0..200).map(|i| (i as f32 / 200.0, i % 3 != 0 || i > 120)).collect();
        let all = rows(&all);
        let [low, high] = auroc_interval(&all, 7).unwrap();
        let area = auroc(&all).unwrap();
        assert!(low < area && area < high, "{low} {area} {high}");
        assert_eq!(auroc_interval(&all, 7), Some([low, high]));
    }

    #[test]
    fn threshold_sits_between_the_classes() {
        let t = best_threshold(&rows(&[(0.1, false), (0.3, false), (0.7, true), (0.8, true)]));
        assert!((0.3..=0.7).contains(&t), "{t}");
    }

    #[test]
    fn threshold_for_one_class_always_gives_it() {
        assert!(best_threshold(&rows(&[(0.4, true), (0.6, true)])) <= 0.4);
        assert!(best_threshold(&rows(&[(0.4, false), (0.6, false)])) > 0.6);
        assert_eq!(best_threshold(&[]), 0.5);
    }
}
