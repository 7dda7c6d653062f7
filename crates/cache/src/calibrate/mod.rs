//! A [`Calibration`] from labelled pairs of questions.
//!
//! The weights are a logistic regression on [`PairFeatures`]. Every pair is scored by a regression
//! that has not seen it (cross-fitting), and the threshold is the lowest at which at most the
//! wanted share of the hits is false, guards included. The report therefore estimates the results
//! on new pairs of the same kind.

mod ranking;
mod regression;

use std::collections::HashSet;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

use super::guards::Disagreement;
use super::index::Index;
use super::key::Digest128;
use super::matcher::{Calibration, Matcher, similarity};
use super::pair::{FEATURES, PairFeatures};
use ranking::{Ranking, interval};
use regression::fit;

/// Two questions, and whether one answer serves both.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledPair {
    pub a: String,
    pub b: String,
    pub same: bool,
}

/// How wrong a calibration may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Share of the hits that may be false: what users see.
    FalseHits(f64),
    /// Share of the pairs that are not the same that may hit.
    FalseAlarms(f64),
}

/// Where the weights of the similarity come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Fitted to the pairs.
    Fitted,
    /// The matcher's own: only the threshold is fitted.
    Kept,
}

/// The results of a calibration on pairs that it was not fitted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub pairs: usize,
    pub same: usize,
    pub threshold: f32,
    /// 95 % interval of a bootstrap over the pairs.
    pub threshold_ci95: [f32; 2],
    /// Hits on pairs that are the same, of all that are.
    pub recall: f64,
    pub recall_ci95: [f64; 2],
    /// Hits on pairs that are not the same, of all hits.
    pub false_hits: f64,
    pub false_hits_ci95: [f64; 2],
    /// Hits on pairs that are not the same, of all that are not.
    pub false_alarms: f64,
    /// The same with the cosine alone and no guards, at its own best threshold.
    pub cosine_recall: f64,
    pub cosine_threshold: f32,
    /// Pairs that a guard refuses: of those that are the same, and of the others.
    pub guards_refuse_same: f64,
    pub guards_refuse_other: f64,
    /// (recall, false hits) at falling thresholds.
    pub curve: Vec<[f64; 2]>,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CalibrateError {
    #[error(
        "{same} pairs are labelled 1 and {other} are labelled 0: at least {LEAST} of each are needed"
    )]
    TooFew { same: usize, other: usize },
    #[error(
        "no threshold meets the goal; the smallest share of false hits is {fewest:.4}, at {threshold}"
    )]
    Unreachable { fewest: f64, threshold: f32 },
}

const LEAST: usize = 20;
const FOLDS: usize = 5;
const RESAMPLES: usize = 200;

struct Scored {
    same: bool,
    guards: Result<(), Disagreement>,
    cosine: f32,
    features: [f32; FEATURES],
    fold: usize,
    similarity: f32,
}

/// A pair as judged by a fit that has not seen it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub similarity: f32,
    pub guards: Result<(), Disagreement>,
}

/// Fits weights, unless they are kept, and the lowest threshold that meets the goal. The same
/// pairs and seed give the same calibration.
///
/// # Errors
///
/// When there are too few pairs, or no threshold meets the goal.
pub fn calibrate(
    matcher: &Matcher,
    pairs: &[LabelledPair],
    goal: Goal,
    weights: Weights,
    seed: u64,
) -> Result<(Calibration, Report, Vec<Judged>), CalibrateError> {
    let same = pairs.iter().filter(|pair| pair.same).count();
    let other = pairs.len() - same;
    if same < LEAST || other < LEAST {
        return Err(CalibrateError::TooFew { same, other });
    }
    let mut rows: Vec<Scored> = pairs.par_iter().map(|pair| read(matcher, pair)).collect();
    let folds = if weights == Weights::Fitted { 0..FOLDS } else { 0..0 };
    for fold in folds {
        let (weights, bias) = fit(&learnt(&rows, |row| row.fold != fold));
        for row in rows.iter_mut().filter(|row| row.fold == fold) {
            row.similarity = similarity(&weights, bias, &row.features);
        }
    }
    let all: Vec<&Scored> = rows.iter().collect();
    let by_similarity = |rows: &[&Scored]| {
        let hits =
            rows.iter().filter(|row| row.guards.is_ok()).map(|row| (row.similarity, row.same));
        let same = rows.iter().filter(|row| row.same).count();
        Ranking::new(hits.collect(), same, rows.len() - same)
    };
    let ranking = by_similarity(&all);
    let Some(at) = ranking.last_within(goal) else {
        let (fewest, threshold) = ranking.fewest_false();
        return Err(CalibrateError::Unreachable { fewest, threshold });
    };
    let threshold = ranking.threshold(at);
    let resampled: Vec<(f32, f64, f64)> = (0..RESAMPLES as u64)
        .into_par_iter()
        .map(|draw| {
            let mut random = SmallRng::seed_from_u64(seed.wrapping_add(draw << 32));
            let drawn: Vec<&Scored> =
                all.iter().map(|_| all[random.random_range(0..all.len())]).collect();
            let ranking = by_similarity(&drawn);
            let own = ranking.last_within(goal).map_or(1.0, |at| ranking.threshold(at));
            let (recall, false_share) = ranking.at(threshold);
            (own, recall, false_share)
        })
        .collect();
    let cosines = rows.iter().map(|row| (row.cosine, row.same)).collect();
    let cosine = Ranking::new(cosines, same, other);
    let cosine_at = cosine.last_within(goal);
    let (recall, false_share) = ranking.at(threshold);
    let refused = |same: bool| {
        let of_kind = rows.iter().filter(|row| row.same == same);
        let (refused, all) = of_kind.fold((0, 0), |(refused, all), row| {
            (refused + usize::from(row.guards.is_err()), all + 1)
        });
        f64::from(refused as u32) / f64::from((all as u32).max(1))
    };
    let report = Report {
        pairs: pairs.len(),
        same,
        threshold,
        threshold_ci95: interval(resampled.iter().map(|it| f64::from(it.0))).map(|it| it as f32),
        recall,
        recall_ci95: interval(resampled.iter().map(|it| it.1)),
        false_hits: false_share,
        false_hits_ci95: interval(resampled.iter().map(|it| it.2)),
        false_alarms: ranking.false_alarms(at),
        cosine_recall: cosine_at.map_or(0.0, |at| cosine.recall(at)),
        cosine_threshold: cosine_at.map_or(1.0, |at| cosine.threshold(at)),
        guards_refuse_same: refused(true),
        guards_refuse_other: refused(false),
        curve: ranking.curve(),
    };
    let (weights, bias) = match weights {
        Weights::Fitted => fit(&learnt(&rows, |_| true)),
        Weights::Kept => (matcher.calibration.weights, matcher.calibration.bias),
    };
    let judged = rows.iter().map(|row| Judged { similarity: row.similarity, guards: row.guards });
    let embeddings = matcher.calibration.embeddings.clone();
    Ok((Calibration { weights, bias, threshold, embeddings }, report, judged.collect()))
}

/// For each pair that is the same, the `count` nearest other questions of the list: pairs that are
/// not, unless they are in the list as the same or read alike.
pub fn nearest_others(
    matcher: &Matcher,
    pairs: &[LabelledPair],
    count: usize,
) -> Vec<LabelledPair> {
    let same: Vec<&LabelledPair> = pairs.iter().filter(|pair| pair.same).collect();
    let index = Index::default();
    for (id, pair) in same.iter().enumerate() {
        index.insert(Digest128([0; 16]), id as u64, &matcher.question(&pair.b).embedding);
    }
    let known: HashSet<(&str, &str)> = same.iter().map(|pair| (&*pair.a, &*pair.b)).collect();
    let others = |pair: &&LabelledPair| -> Vec<LabelledPair> {
        let vector = matcher.question(&pair.a).embedding;
        // Some more, for those that are left out.
        let near = index.nearest(Digest128([0; 16]), &vector, 2 * count + 8);
        let texts = near.iter().map(|near| &*same[near.id as usize].b);
        let others = texts.filter(|text| !known.contains(&(&*pair.a, *text))).take(count);
        others.map(|b| LabelledPair { a: pair.a.clone(), b: b.to_owned(), same: false }).collect()
    };
    same.par_iter().flat_map_iter(others).collect()
}

/// The rows of a fit.
fn learnt(rows: &[Scored], chosen: impl Fn(&Scored) -> bool) -> Vec<([f32; FEATURES], bool)> {
    rows.iter().filter(|row| chosen(row)).map(|row| (row.features, row.same)).collect()
}

fn read(matcher: &Matcher, pair: &LabelledPair) -> Scored {
    let (a, b) = (matcher.question(&pair.a), matcher.question(&pair.b));
    let verdict = matcher.judge(&a, &b);
    let PairFeatures(features) = matcher.features(&a, &b);
    // By what is asked and not by place: the same pair is always in the same fold.
    let fold = pair.a.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
    Scored {
        same: pair.same,
        guards: verdict.guards,
        cosine: verdict.cosine,
        features,
        fold: fold as usize % FOLDS,
        similarity: verdict.similarity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embedder;

    fn matcher() -> Matcher {
        Matcher::new(Embedder::built_in().unwrap(), Calibration::built_in().unwrap())
    }

    /// Sixty questions, each with a paraphrase and with a question about something else.
    fn pairs() -> Vec<LabelledPair> {
        let things = [
            "a violin",
            "bread",
            "wooden chairs",
            "a tent",
            "leather",
            "a bicycle",
            "old photos",
            "tomatoes",
            "a garden",
            "paper planes",
            "a web site",
            "a resume",
            "coffee",
            "a fish tank",
            "candles",
            "a kite",
            "cheese",
            "a lamp",
            "pottery",
            "a fence",
        ];
        let asked = ["repair", "make", "clean"];
        let mut pairs = Vec::new();
        for (number, thing) in things.iter().enumerate() {
            for verb in asked {
                let a = format!("How do I {verb} {thing}?");
                let same = format!("What is the best way to {verb} {thing}?");
                let other = things[(number + 7) % things.len()];
                let other = format!("Where can {other} be bought cheaply?");
                pairs.push(LabelledPair { a: a.clone(), b: same, same: true });
                pairs.push(LabelledPair { a, b: other, same: false });
            }
        }
        pairs
    }

    #[test]
    fn the_threshold_keeps_false_hits_within_what_is_wanted() {
        let matcher = matcher();
        let (calibration, report, _) =
            calibrate(&matcher, &pairs(), Goal::FalseHits(0.05), Weights::Fitted, 1).unwrap();
        assert!(report.false_hits <= 0.05, "{report:?}");
        assert!(report.recall > 0.8, "{report:?}");
        let [low, high] = report.threshold_ci95;
        assert!(low <= report.threshold && report.threshold <= high, "{report:?}");
        assert_eq!(
            calibrate(&matcher, &pairs(), Goal::FalseHits(0.05), Weights::Fitted, 1).unwrap().0,
            calibration
        );
        let own = Matcher::new(Embedder::built_in().unwrap(), calibration);
        let ask = |text: &str| own.question(text);
        let hits = |a: &str, b: &str| own.hits(&own.judge(&ask(a), &ask(b)));
        assert!(hits("How do I mend a boat?", "What is the best way to mend a boat?"));
        assert!(!hits("How do I mend a boat?", "Where can bread be bought cheaply?"));
    }

    #[test]
    fn the_built_in_weights_refuse_statements_with_another_word_or_order() {
        let matcher = matcher();
        for (a, b) in [
            ("The parser drops blank lines.", "The parser keeps blank lines."),
            ("The cat sees the red fox.", "The fox sees the red cat."),
        ] {
            let verdict = matcher.judge(&matcher.question(a), &matcher.question(b));
            assert!(verdict.guards.is_ok() && verdict.similarity < 0.01, "{verdict:?}");
        }
    }

    #[test]
    fn too_few_pairs_are_refused() {
        let few = &pairs()[..10];
        let error =
            calibrate(&matcher(), few, Goal::FalseHits(0.05), Weights::Fitted, 1).unwrap_err();
        assert_eq!(error, CalibrateError::TooFew { same: 5, other: 5 });
    }

    #[test]
    fn labels_without_sense_have_no_threshold() {
        let mut pairs = pairs();
        for (number, pair) in pairs.iter_mut().enumerate() {
            pair.same = number % 4 < 2;
        }
        let error = calibrate(&matcher(), &pairs, Goal::FalseHits(0.001), Weights::Fitted, 1);
        assert!(matches!(error, Err(CalibrateError::Unreachable { .. })), "{error:?}");
    }
}
