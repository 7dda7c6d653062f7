//! A goal for quality or cost to both thresholds: that of routing and that of acceptance.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::super::SEED;
use super::JudgedRow;
use super::spending::Forecast;
use crate::learn::calibrate::Prices;
use pointsman_core::stats::{Bootstrap, percentile95};

/// What the two thresholds should achieve on the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JointGoal {
    /// At least this share of the strong model's mean quality, as cheaply as possible.
    Quality(f64),
    /// At most this mean cost of a request, with the best quality.
    Budget(f64),
}

/// Two thresholds and what they do on the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct JointWay {
    /// Prompts with a lower score of the routing model go straight to the strong model; 0 for none.
    pub threshold: f32,
    /// Cheap answers with a lower probability are asked for again; 0 for none.
    pub accept_below: f32,
    /// Mean cost of a request, with the cheap answers that were thrown away.
    pub cost: f64,
    /// Mean quality, 0..=1.
    pub quality: f64,
    /// Shares of requests that go straight to the strong model, and whose cheap answer is refused.
    pub straight_share: f64,
    pub refused_share: f64,
}

/// What joint calibration found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JointCalibration {
    /// What to configure: the joint way where it pays, else routing alone.
    pub chosen: JointWay,
    /// Whether judging answers pays on these rows: the interval of the gain lies above 0.
    pub pays: bool,
    pub router_alone: JointWay,
    /// The best with both thresholds, whether it pays or not.
    pub joint: JointWay,
    /// Mean cost of a request that the joint way saves, and mean quality that it adds, over routing
    /// alone, with 95 % intervals: the same rows were resampled for both.
    pub saved: f64,
    pub saved_ci95: [f64; 2],
    pub quality_gain: f64,
    pub quality_gain_ci95: [f64; 2],
    pub always_cheap_quality: f64,
    pub always_strong_quality: f64,
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 500;
/// Thresholds of each kind that are tried, at the quantiles of the scores.
const STEPS: usize = 100;

/// Chooses both thresholds for a goal; `None` without rows.
///
/// Both are chosen on one half of the rows and compared on the other, and the other way round, so
/// that a choice among many is not praised for its luck.
pub fn calibrate_jointly(
    rows: &[JudgedRow],
    goal: JointGoal,
    prices: Prices,
) -> Option<JointCalibration> {
    let all: Vec<&JudgedRow> = rows.iter().collect();
    let router_alone = search(&all, goal, prices, Search::Router)?;
    let joint = search(&all, goal, prices, Search::Joint)?;
    // (saved, quality gained) of each row, by thresholds that were chosen without it.
    let mut gains = Vec::with_capacity(rows.len());
    for half in 0..2 {
        let (held, kept): (Vec<(usize, &JudgedRow)>, Vec<_>) =
            rows.iter().enumerate().partition(|(i, _)| i % 2 == half);
        let kept: Vec<&JudgedRow> = kept.into_iter().map(|(_, row)| row).collect();
        let alone = search(&kept, goal, prices, Search::Router).unwrap_or(router_alone);
        let both = search(&kept, goal, prices, Search::Joint).unwrap_or(joint);
        for (_, row) in held {
            let (alone, both) = (decide(row, &alone, prices), decide(row, &both, prices));
            gains.push((alone.cost - both.cost, both.quality - alone.quality));
        }
    }
    let (saved, saved_ci95) = mean_interval(&gains, |gain| gain.0)?;
    let (quality_gain, quality_gain_ci95) = mean_interval(&gains, |gain| gain.1)?;
    let pays = match goal {
        JointGoal::Quality(_) => saved_ci95[0] > 0.0 && quality_gain_ci95[1] >= 0.0,
        JointGoal::Budget(_) => quality_gain_ci95[0] > 0.0,
    };
    let mean = |quality: fn(&JudgedRow) -> f32| {
        rows.iter().map(|row| f64::from(quality(row))).sum::<f64>() / rows.len() as f64
    };
    Some(JointCalibration {
        chosen: if pays { joint } else { router_alone },
        pays,
        router_alone,
        joint,
        saved,
        saved_ci95,
        quality_gain,
        quality_gain_ci95,
        always_cheap_quality: mean(|row| row.cheap),
        always_strong_quality: mean(|row| row.strong),
    })
}

fn mean_interval(gains: &[(f64, f64)], value: fn(&(f64, f64)) -> f64) -> Option<(f64, [f64; 2])> {
    let n = gains.len() as f64;
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut bootstrap = Bootstrap::new(gains.len());
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let counts = bootstrap.draw(|rows| random.random_range(0..rows));
            gains.iter().zip(counts).map(|(gain, n)| value(gain) * f64::from(*n)).sum::<f64>() / n
        })
        .collect();
    Some((gains.iter().map(value).sum::<f64>() / n, percentile95(&mut means)?))
}

/// What a row costs and gives.
struct Decided {
    cost: f64,
    quality: f64,
    straight: bool,
    refused: bool,
}

fn decide(row: &JudgedRow, way: &JointWay, prices: Prices) -> Decided {
    let straight = row.router < way.threshold;
    let refused = !straight && row.judged < way.accept_below;
    let (cheap, strong) =
        (f64::from(u8::from(!straight)), f64::from(u8::from(straight || refused)));
    Decided {
        cost: cheap * prices.cheap + strong * prices.strong,
        quality: f64::from(if straight || refused { row.strong } else { row.cheap }),
        straight,
        refused,
    }
}

fn measure(rows: &[&JudgedRow], threshold: f32, accept_below: f32, prices: Prices) -> JointWay {
    let mut way = JointWay {
        threshold,
        accept_below,
        cost: 0.0,
        quality: 0.0,
        straight_share: 0.0,
        refused_share: 0.0,
    };
    let n = rows.len() as f64;
    let probe = way;
    for row in rows {
        let decided = decide(row, &probe, prices);
        way.cost += decided.cost / n;
        way.quality += decided.quality / n;
        way.straight_share += f64::from(u8::from(decided.straight)) / n;
        way.refused_share += f64::from(u8::from(decided.refused)) / n;
    }
    way
}

#[derive(Clone, Copy, PartialEq)]
enum Search {
    Router,
    Joint,
}

/// The best way for the goal. Jointly, the routing threshold follows from the acceptance threshold:
/// straight goes what would most likely be refused anyway. So each search has one number to choose,
/// and the joint one has no routing threshold to fit to the rows.
fn search(rows: &[&JudgedRow], goal: JointGoal, prices: Prices, kind: Search) -> Option<JointWay> {
    let score = |row: &&JudgedRow| if kind == Search::Router { row.router } else { row.judged };
    let mut scores: Vec<f32> = rows.iter().map(score).collect();
    scores.sort_by(f32::total_cmp);
    let last = *scores.last()?;
    let quantile = |k: usize| scores[(scores.len() - 1) * k / STEPS];
    let mut steps: Vec<f32> = (1..=STEPS).map(quantile).collect();
    steps.push(last.next_up().min(1.0));
    steps.insert(0, 0.0);
    let forecast = Forecast::of(rows, prices.cheap / prices.strong);
    let way = |step: f32| match (kind, forecast) {
        (Search::Router, _) => measure(rows, step, 0.0, prices),
        (Search::Joint, Some(forecast)) if step > 0.0 => {
            measure(rows, forecast.route_below(step), step, prices)
        }
        (Search::Joint, _) => measure(rows, 0.0, step, prices),
    };
    let mut ways: Vec<JointWay> = steps.into_iter().map(way).collect();
    // Everything to the strong model is open to both.
    ways.push(measure(rows, 1.0_f32.next_up(), 0.0, prices));
    let strong = rows.iter().map(|row| f64::from(row.strong)).sum::<f64>() / rows.len() as f64;
    let reached = |way: &&JointWay| match goal {
        JointGoal::Quality(share) => way.quality >= share * strong - 1e-12,
        JointGoal::Budget(budget) => way.cost <= budget + 1e-12,
    };
    let better = |a: &JointWay, b: &JointWay| match goal {
        JointGoal::Quality(_) => b.cost.total_cmp(&a.cost),
        JointGoal::Budget(_) => a.quality.total_cmp(&b.quality).then(b.cost.total_cmp(&a.cost)),
    };
    let best = ways.iter().filter(reached).max_by(|a, b| better(a, b)).copied();
    // A goal out of reach: as near to it as there is.
    best.or_else(|| {
        ways.iter()
            .max_by(|a, b| match goal {
                JointGoal::Quality(_) => a.quality.total_cmp(&b.quality),
                JointGoal::Budget(_) => b.cost.total_cmp(&a.cost),
            })
            .copied()
    })
    .map(|way| JointWay { threshold: way.threshold.min(1.0), ..way })
}
