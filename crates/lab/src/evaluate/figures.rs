//! The numbers behind the plots.

use serde::{Deserialize, Serialize};

use super::{Evaluation, ScoredRow};
use crate::learn::scores::{ScoredOutcome, by_score};
use crate::rules::HAND_RULES_THRESHOLD;

/// A line of (share of strong calls, mean quality) points.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<[f64; 2]>,
}

/// Quality by share of strong calls: every policy that ranks requests as a line.
pub fn cost_quality(rows: &[ScoredRow], evaluation: &Evaluation) -> Vec<Curve> {
    let under = |score: &dyn Fn(&ScoredRow) -> f32| {
        quality_curve(&rows.iter().map(|row| row.outcome_under(score(row))).collect::<Vec<_>>())
    };
    let curve = |name, points| Curve { name, points };
    let mut curves = vec![
        curve("random", under(&|_| 0.5)),
        curve("hand rules", under(&|row| row.rules / HAND_RULES_THRESHOLD)),
    ];
    if evaluation.baselines.contains_key("previous_model") {
        curves.push(curve("previous model", under(&|row| row.previous.unwrap_or_default())));
    }
    curves.push(curve("this model", under(&|row| row.score)));
    curves.push(curve("oracle", under(&|row| 0.5 + (row.cheap - row.strong) / 2.0)));
    curves
}

/// Quality at 0, 1, …, 100 % strong calls, lowest scores to the strong model first; straight
/// inside runs of equal scores.
fn quality_curve(outcomes: &[ScoredOutcome]) -> Vec<[f64; 2]> {
    let total = outcomes.len().max(1) as f64;
    let mut quality: f64 = outcomes.iter().map(|o| f64::from(o.cheap)).sum();
    let order = by_score(outcomes);
    let (mut calls, mut corners) = (0, vec![[0.0, quality / total]]);
    for tied in order.chunk_by(|&a, &b| outcomes[a].score == outcomes[b].score) {
        calls += tied.len();
        quality += tied
            .iter()
            .map(|&i| f64::from(outcomes[i].strong) - f64::from(outcomes[i].cheap))
            .sum::<f64>();
        corners.push([calls as f64 / total, quality / total]);
    }
    (0..=100)
        .map(|percent| {
            let share = f64::from(percent) / 100.0;
            let next = corners.partition_point(|c| c[0] < share).clamp(1, corners.len() - 1);
            let ([x0, y0], [x1, y1]) = (corners[next - 1], corners[next]);
            [share, y0 + (y1 - y0) * (share - x0) / (x1 - x0)]
        })
        .collect()
}

/// Rows of a range of scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub rows: usize,
    pub cheap_ok: usize,
    pub mean_score: f64,
}

/// Scores in `count` bins of equal width.
pub fn bins(rows: &[ScoredRow], count: usize) -> Vec<Bin> {
    let width = 1.0 / count as f64;
    let mut bins: Vec<Bin> = (0..count)
        .map(|k| Bin { from: k as f64 * width, to: (k + 1) as f64 * width, ..Bin::default() })
        .collect();
    for row in rows {
        let bin = &mut bins[((row.score * count as f32) as usize).min(count - 1)];
        bin.rows += 1;
        bin.cheap_ok += usize::from(row.cheap_ok);
        bin.mean_score += f64::from(row.score);
    }
    for bin in &mut bins {
        bin.mean_score /= bin.rows.max(1) as f64;
    }
    bins
}

/// Rows by label and decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confusion {
    /// The cheap answer was good enough, and was chosen.
    pub cheap_rightly: usize,
    /// It was not, and was chosen all the same: quality is lost.
    pub cheap_wrongly: usize,
    /// It was, and the strong model was asked: money is lost.
    pub strong_wrongly: usize,
    pub strong_rightly: usize,
}

/// The confusion matrix at a threshold.
pub fn confusion(rows: &[ScoredRow], threshold: f32) -> Confusion {
    let mut confusion = Confusion::default();
    for row in rows {
        *match (row.score >= threshold, row.cheap_ok) {
            (true, true) => &mut confusion.cheap_rightly,
            (true, false) => &mut confusion.cheap_wrongly,
            (false, true) => &mut confusion.strong_wrongly,
            (false, false) => &mut confusion.strong_rightly,
        } += 1;
    }
    confusion
}

/// A step of `learning-curve.json`: a model of some of the train rows.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct LearningStep {
    pub rows: usize,
    pub accuracy: f64,
    #[serde(default)]
    pub auroc: Option<f64>,
    #[serde(default)]
    pub apgr: Option<f64>,
}
