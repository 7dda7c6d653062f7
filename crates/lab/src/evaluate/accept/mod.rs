//! Judging answers against routing prompts, at equal spending.
//!
//! Three ways to decide who answers: *router*, by the prompt alone; *net*, where the cheap model
//! answers first and the strong one is asked again when the judge refuses the answer; and *both*,
//! where the router sends straight to the strong model what the net would most likely refuse anyway.
//! The net pays for cheap answers that it throws away, so the three are compared by what they spend
//! and not by their number of strong calls.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Estimate, SEED};
use crate::learn::scores::{ScoredOutcome, by_score, weighted_auroc};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use pointsman_core::stats::{Bootstrap, percentile95};

pub mod joint;
mod page;
mod spending;
#[cfg(test)]
mod tests;

pub use joint::{JointCalibration, JointGoal, JointWay, calibrate_jointly};
use spending::{ROUTES, paths};

/// Mean cost of a cheap request as a share of that of a strong one, where nothing else is said: the
/// list prices of gpt-4o-mini and gpt-4o, 0.15/0.60 and 2.50/10 USD per million tokens.
pub const CHEAP_SHARE: f64 = 0.06;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// A row with an answer, scored by router and judge.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRow {
    /// Name of the cheap model.
    pub pair: String,
    /// The judge's probability that the cheap answer is good enough.
    pub judged: f32,
    /// The routing model's, from the prompt alone.
    pub router: f32,
    /// Qualities of the two answers, 0..=1.
    pub cheap: f32,
    pub strong: f32,
}

impl JudgedRow {
    fn outcome(&self) -> ScoredOutcome {
        let cheap_ok = self.cheap >= 0.5;
        ScoredOutcome { score: self.judged, cheap_ok, cheap: self.cheap, strong: self.strong }
    }
}

/// What `pointsman evaluate --accept --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct AcceptEvaluation {
    #[serde(flatten)]
    pub all: Comparison,
    /// The same for each cheap model; rows without one are `unnamed`.
    pub by_pair: BTreeMap<String, Comparison>,
    /// Mean cost of a cheap request as a share of that of a strong one.
    pub cheap_share: f64,
    /// The judge's threshold.
    pub accept_below: f32,
}

/// The three ways on the same rows.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub n: usize,
    /// Of "the cheap answer is wrong", by the judge; `None` with one class only.
    pub auroc: Option<Estimate>,
    /// Mean quality when every request goes to one model.
    pub always_cheap: f64,
    pub always_strong: f64,
    pub router: RouteStanding,
    pub net: RouteStanding,
    pub both: RouteStanding,
}

/// How a way does.
#[derive(Clone, Debug, Serialize)]
pub struct RouteStanding {
    /// Of "the cheap answer is wrong".
    pub auroc: Option<Estimate>,
    /// Mean share of the quality gap that is recovered over all spendings from always cheap to always
    /// strong; `None` where the strong model gains nothing.
    pub apgr: Option<Estimate>,
    /// APGR minus the router's, on the same resamples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Estimate>,
    /// Mean quality at 0, 10, …, 100 % of the way from always-cheap to always-strong spending.
    pub quality: Vec<f64>,
}

/// Compares the three ways; `cheap_share` is the mean cost of a cheap request as a share of that of a
/// strong one. `None` without rows.
pub fn evaluate_accept(
    rows: &[JudgedRow],
    cheap_share: f64,
    accept_below: f32,
) -> Option<AcceptEvaluation> {
    let mut pairs: BTreeMap<&str, Vec<&JudgedRow>> = BTreeMap::new();
    for row in rows {
        let pair = if row.pair.is_empty() { super::UNNAMED } else { &row.pair };
        pairs.entry(pair).or_default().push(row);
    }
    let all = compare(&rows.iter().collect::<Vec<_>>(), cheap_share)?;
    let by_pair = pairs
        .into_iter()
        .filter_map(|(pair, rows)| Some((pair.to_owned(), compare(&rows, cheap_share)?)));
    Some(AcceptEvaluation { all, by_pair: by_pair.collect(), cheap_share, accept_below })
}

/// Measures of one resample: AUROC and APGR of each way; not a number where one has no meaning.
type Values = [[f64; 2]; ROUTES];

fn compare(rows: &[&JudgedRow], cheap_share: f64) -> Option<Comparison> {
    if rows.is_empty() {
        return None;
    }
    let paths = paths(rows, cheap_share);
    let judged: Vec<ScoredOutcome> = rows.iter().map(|row| row.outcome()).collect();
    let routed: Vec<ScoredOutcome> =
        rows.iter().map(|row| ScoredOutcome { score: row.router, ..row.outcome() }).collect();
    let rankings = [(&routed, by_score(&routed)), (&judged, by_score(&judged))];
    let values = |counts: &[u32]| -> Values {
        let auroc = rankings.each_ref().map(|(outcomes, order)| {
            weighted_auroc(outcomes, order, |i| f64::from(counts[i])).unwrap_or(f64::NAN)
        });
        let apgr = paths.each_ref().map(|path| path.apgr(rows, counts).unwrap_or(f64::NAN));
        [[auroc[0], apgr[0]], [auroc[1], apgr[1]], [auroc[1], apgr[2]]]
    };
    let ones = vec![1; rows.len()];
    let own = values(&ones);
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut bootstrap = Bootstrap::new(rows.len());
    let samples: Vec<Values> = (0..RESAMPLES)
        .map(|_| values(bootstrap.draw(|rows| random.random_range(0..rows))))
        .collect();
    let standing = |route: usize| RouteStanding {
        auroc: estimate(own[route][0], samples.iter().map(|sample| sample[route][0])),
        apgr: estimate(own[route][1], samples.iter().map(|sample| sample[route][1])),
        gain: (route > 0)
            .then(|| {
                let gains = samples.iter().map(|sample| sample[route][1] - sample[0][1]);
                estimate(own[route][1] - own[0][1], gains)
            })
            .flatten(),
        quality: paths[route].at_tenths(rows, &ones).to_vec(),
    };
    let mean = |quality: fn(&JudgedRow) -> f32| {
        rows.iter().map(|row| f64::from(quality(row))).sum::<f64>() / rows.len() as f64
    };
    Some(Comparison {
        n: rows.len(),
        auroc: estimate(own[1][0], samples.iter().map(|sample| sample[1][0])),
        always_cheap: mean(|row| row.cheap),
        always_strong: mean(|row| row.strong),
        router: standing(0),
        net: standing(1),
        both: standing(2),
    })
}

/// A value with its interval, over the resamples where it has a meaning.
fn estimate(value: f64, samples: impl Iterator<Item = f64>) -> Option<Estimate> {
    let mut samples: Vec<f64> = samples.filter(|sample| !sample.is_nan()).collect();
    let ci95 = percentile95(&mut samples).unwrap_or([value; 2]);
    (!value.is_nan()).then_some(Estimate { value, ci95 })
}
