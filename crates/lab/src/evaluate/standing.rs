//! How policies compare on the same rows.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::{SEED, ScoredRow, Scorer};
use crate::learn::scores::{GainCurve, ScoredOutcome, by_score, weighted_auroc};
use crate::rules::HAND_RULES_THRESHOLD;
use pointsman_core::stats::{Bootstrap, percentile95};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// A value with its 95 % percentile bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub ci95: [f64; 2],
}

/// How a policy does on the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Share of rows that go to the strong model.
    pub strong_share: f64,
    /// Share of rows that go where the label says.
    pub accuracy: Estimate,
    /// Mean quality of the routed answers, 0..=1.
    pub quality: Estimate,
    /// For policies that rank requests; the positive class is "strong required".
    pub auroc: Option<Estimate>,
    pub apgr: Option<Estimate>,
    /// How much better the classifier does than this policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
}

/// The classifier's value minus a baseline's, both on the same resamples (paired bootstrap): an
/// interval above 0 is a gain that these rows prove.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gain {
    pub accuracy: Estimate,
    pub quality: Estimate,
    pub auroc: Option<Estimate>,
    pub apgr: Option<Estimate>,
}

/// A way to decide.
struct Policy {
    name: &'static str,
    /// Probability with which each row goes to the strong model.
    strong: Vec<f64>,
    /// What it ranks rows by, when it does.
    scores: Option<Vec<f32>>,
}

/// The classifier, and everything else by name.
pub(super) fn compare(
    rows: &[ScoredRow],
    threshold: f32,
    previous: Option<&Scorer>,
) -> (Standing, BTreeMap<&'static str, Standing>) {
    let policies = policies(rows, threshold, previous);
    let measured: Vec<Measured> =
        policies.iter().map(|policy| Measured::new(policy, rows)).collect();
    let samples = resample(&measured, rows.len());
    let mut standings =
        policies.iter().zip(&measured).zip(&samples).map(|((policy, own), drawn)| {
            let mut standing = standing(own, drawn);
            if policy.name != CLASSIFIER {
                standing.gain = Some(gain(&measured[0], own, &samples[0], drawn));
            }
            (policy.name, standing)
        });
    let classifier = standings.next().expect("the classifier comes first").1;
    (classifier, standings.collect())
}

const CLASSIFIER: &str = "classifier";

fn policies(rows: &[ScoredRow], threshold: f32, previous: Option<&Scorer>) -> Vec<Policy> {
    let ranked = |name, threshold: f32, score: &dyn Fn(&ScoredRow) -> f32| {
        let scores: Vec<f32> = rows.iter().map(score).collect();
        let strong = scores.iter().map(|s| f64::from(u8::from(*s < threshold))).collect();
        Policy { name, strong, scores: Some(scores) }
    };
    let constant =
        |name, share: f64| Policy { name, strong: vec![share; rows.len()], scores: None };
    let classifier = ranked(CLASSIFIER, threshold, &|row| row.score);
    let matched = classifier.strong.iter().sum::<f64>() / rows.len() as f64;
    // A fair coin ranks nothing: every row is tied.
    let random = Policy { scores: Some(vec![0.5; rows.len()]), ..constant("random", 0.5) };
    let mut policies = vec![
        classifier,
        constant("always_cheap", 0.0),
        constant("always_strong", 1.0),
        random,
        constant("cost_matched_shuffle", matched),
        ranked("hand_rules", HAND_RULES_THRESHOLD, &|row| row.rules),
        // The strong model where, and only where, it is better.
        ranked("oracle", 0.5, &|row| 0.5 + (row.cheap - row.strong) / 2.0),
    ];
    if let Some(previous) = previous
        && rows.iter().all(|row| row.previous.is_some())
    {
        let score = |row: &ScoredRow| row.previous.unwrap_or_default();
        policies.push(ranked("previous_model", previous.threshold, &score));
    }
    policies
}

/// What a policy gives row by row, ready to be summed up over any resample.
struct Measured {
    strong: Vec<f64>,
    accuracy: Vec<f64>,
    quality: Vec<f64>,
    ranking: Option<Ranking>,
}

struct Ranking {
    outcomes: Vec<ScoredOutcome>,
    order: Vec<usize>,
}

/// accuracy, quality, AUROC, APGR; not a number where a measure has no meaning.
type Values = [f64; 4];

impl Measured {
    fn new(policy: &Policy, rows: &[ScoredRow]) -> Self {
        let mix = |p: f64, strong: f64, cheap: f64| p * strong + (1.0 - p) * cheap;
        let with_share = || rows.iter().zip(&policy.strong);
        let ok = |row: &ScoredRow| f64::from(u8::from(row.cheap_ok));
        let ranking = policy.scores.as_ref().map(|scores| {
            let outcomes: Vec<ScoredOutcome> =
                rows.iter().zip(scores).map(|(row, score)| row.outcome_under(*score)).collect();
            Ranking { order: by_score(&outcomes), outcomes }
        });
        Measured {
            strong: policy.strong.clone(),
            accuracy: with_share().map(|(row, p)| mix(*p, 1.0 - ok(row), ok(row))).collect(),
            quality: with_share()
                .map(|(row, p)| mix(*p, f64::from(row.strong), f64::from(row.cheap)))
                .collect(),
            ranking,
        }
    }

    /// Over rows of which each counts `counts[i]` times.
    fn values(&self, counts: &[u32]) -> Values {
        let total = f64::from(counts.iter().sum::<u32>());
        let mean = |values: &[f64]| {
            values.iter().zip(counts).map(|(value, count)| value * f64::from(*count)).sum::<f64>()
                / total
        };
        let (auroc, apgr) = match &self.ranking {
            Some(Ranking { outcomes, order }) => (
                weighted_auroc(outcomes, order, |i| f64::from(counts[i])),
                GainCurve::weighted(outcomes, order, |i| f64::from(counts[i]))
                    .map(|curve| curve.apgr()),
            ),
            None => (None, None),
        };
        let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        [mean(&self.accuracy), mean(&self.quality), or_nan(auroc), or_nan(apgr)]
    }

    fn on_all_rows(&self) -> Values {
        self.values(&vec![1; self.accuracy.len()])
    }
}

/// Values of each policy on each resample; all policies see the same resamples.
fn resample(measured: &[Measured], rows: usize) -> Vec<Vec<Values>> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut bootstrap = Bootstrap::new(rows);
    let mut samples = vec![Vec::with_capacity(RESAMPLES); measured.len()];
    for _ in 0..RESAMPLES {
        let counts = bootstrap.draw(|rows| random.random_range(0..rows));
        for (policy, sample) in measured.iter().zip(&mut samples) {
            sample.push(policy.values(counts));
        }
    }
    samples
}

fn standing(own: &Measured, samples: &[Values]) -> Standing {
    let [accuracy, quality, auroc, apgr] = own.on_all_rows();
    let drawn = |k: usize| samples.iter().map(move |values| values[k]).collect::<Vec<f64>>();
    Standing {
        strong_share: own.strong.iter().sum::<f64>() / own.strong.len() as f64,
        accuracy: certain(accuracy, drawn(0)),
        quality: certain(quality, drawn(1)),
        auroc: estimate(auroc, drawn(2)),
        apgr: estimate(apgr, drawn(3)),
        gain: None,
    }
}

fn gain(model: &Measured, other: &Measured, samples: &[Values], others: &[Values]) -> Gain {
    let (a, b) = (model.on_all_rows(), other.on_all_rows());
    let drawn = |k: usize| samples.iter().zip(others).map(|(a, b)| a[k] - b[k]).collect();
    Gain {
        accuracy: certain(a[0] - b[0], drawn(0)),
        quality: certain(a[1] - b[1], drawn(1)),
        auroc: estimate(a[2] - b[2], drawn(2)),
        apgr: estimate(a[3] - b[3], drawn(3)),
    }
}

fn estimate(value: f64, samples: Vec<f64>) -> Option<Estimate> {
    (!value.is_nan()).then(|| certain(value, samples))
}

/// Of a value that always has a meaning on all rows; resamples where it has none are left out.
fn certain(value: f64, mut samples: Vec<f64>) -> Estimate {
    samples.retain(|sample| !sample.is_nan());
    Estimate { value, ci95: percentile95(&mut samples).unwrap_or([value; 2]) }
}
