//! From rows to a chosen, calibrated model with its threshold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::candidate::Candidate;
use super::cross::{self, Tried};
use super::dataset::Dataset;
use super::error::TrainError;
use super::initial::Initial;
use super::model::{Head, Model, ModelPart};
use super::objective::Objective;
use super::plan::{Algorithm, TrainingPlan};
use super::row::Row;
use super::scaler::Scaler;
use super::scores::{self, Metrics, ScoredOutcome};
use super::split::Split;
use super::teacher;
use pointsman_core::classifier::Novelty;
use pointsman_core::features::ENGINEERED;

/// What is asked of training.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    pub algorithm: Algorithm,
    pub seed: u64,
    /// A model to start from.
    pub initial: Option<Arc<Initial>>,
    /// Rows of both labels weigh the same in fitting; calibration undoes the shift.
    pub balanced: bool,
}

/// What training gives.
#[derive(Debug)]
pub struct Trained {
    pub model: Model,
    /// Of the parts.
    pub algorithm: Algorithm,
    pub objective: Objective,
    /// How each part was fitted.
    pub plans: Vec<TrainingPlan>,
    /// How cross-validation combined them.
    pub head: Head,
    /// Threshold of highest accuracy on validation rows.
    pub threshold: f32,
    /// Where the train rows lie.
    pub novelty: Novelty,
    pub candidates: Vec<Candidate>,
    /// On validation rows. Early stopping, the few numbers of calibration and the threshold used
    /// them too, so it flatters slightly.
    pub validation: Metrics,
    /// Simple routers on the same rows, by name.
    pub baselines: Vec<(&'static str, Metrics)>,
    /// `validation` for each source alone.
    pub by_source: BTreeMap<String, Metrics>,
}

/// Parts that make a model, with what they said about rows that they were not fitted on.
struct Contender {
    kind: Algorithm,
    objective: Objective,
    candidate: Candidate,
    plans: Vec<TrainingPlan>,
    /// Over the parts of the plans, and the initial model where it takes part.
    head: Head,
}

/// Tries all plans of `algorithm` by cross-validation on the train rows, stacks the best of each
/// kind, and fits the best of all on all train rows. `done` is called with each candidate and
/// their number.
///
/// # Errors
///
/// Too few rows, rows of one class only, or a failure of the optimiser.
pub fn train(
    dataset: &Dataset,
    options: &TrainOptions,
    mut done: impl FnMut(&Candidate, usize),
) -> Result<Trained, TrainError> {
    let rows = &dataset.rows;
    let train = checked(dataset, Split::Train, "train")?;
    let val = checked(dataset, Split::Val, "validation")?;
    let fitted = fitted(rows, &train, options.balanced);
    let kinds = options.algorithm.kinds();
    let initial = options.initial.as_ref();
    let stacks = kinds.len() > 1 || initial.is_some();
    let count = kinds.iter().map(|kind| kind.plans().len() + 1).sum::<usize>()
        + usize::from(initial.is_some())
        + 2 * usize::from(stacks);

    let mut candidates = Vec::new();
    let mut report = |candidate: Candidate| {
        done(&candidate, count);
        candidates.push(candidate);
    };
    let mut best = Vec::new();
    for &kind in kinds {
        let tried = cross::try_plans(&fitted, &train, kind.plans(), options.seed)?;
        tried.iter().for_each(|one| report(one.candidate()));
        let better = |a: Tried, b: Tried| if b.merit() > a.merit() { b } else { a };
        let Some(one) = tried.into_iter().reduce(better) else { continue };
        let plan = vec![one.options.for_gain()];
        for gain in cross::try_plans(&fitted, &train, plan, options.seed)? {
            report(gain.candidate());
            best.push((kind, Objective::Gain, gain));
        }
        best.push((kind, Objective::Sufficient, one));
    }
    let start = initial.map(|initial| {
        train.par_iter().map(|&i| initial.logit(&rows[i].features)).collect::<Vec<f32>>()
    });
    let mut contenders: Vec<Contender> = best
        .iter()
        .map(|(kind, objective, tried)| contender(rows, &train, *kind, *objective, &[tried], None))
        .collect();
    if let Some(start) = &start {
        let objective = Objective::Sufficient;
        let alone = contender(rows, &train, Algorithm::Initial, objective, &[], Some(start));
        report(alone.candidate.clone());
        contenders.push(alone);
    }
    if stacks {
        for objective in [Objective::Sufficient, Objective::Gain] {
            let parts: Vec<&Tried> =
                best.iter().filter(|part| part.1 == objective).map(|part| &part.2).collect();
            let start = start.as_deref();
            let stack = contender(rows, &train, Algorithm::Stacked, objective, &parts, start);
            report(stack.candidate.clone());
            contenders.push(stack);
        }
    }
    let open = |kind| {
        options.algorithm == Algorithm::Auto
            || kind == options.algorithm
            || (initial.is_some() && kind == Algorithm::Stacked)
    };
    let chosen = contenders
        .into_iter()
        .filter(|contender| open(contender.kind))
        .reduce(|a, b| if b.candidate.merit() > a.candidate.merit() { b } else { a })
        .ok_or(TrainError::NoRows("train"))?;

    let recipe = Recipe {
        initial: initial.filter(|_| chosen.head.weights.len() > chosen.plans.len()).cloned(),
        plans: &chosen.plans,
        head: &chosen.head,
        objective: chosen.objective,
        seed: options.seed,
    };
    let mut model = recipe.fit(rows, &fitted, &train, &val)?;
    model.round();
    let outcomes = outcomes(&model, rows, &val);
    let threshold = scores::best_threshold(&outcomes);
    Ok(Trained {
        algorithm: chosen.kind,
        objective: chosen.objective,
        plans: chosen.plans,
        head: chosen.head,
        threshold,
        novelty: novelty(&model.scaler, rows, &val),
        candidates,
        validation: scores::measure(&outcomes, threshold, options.seed),
        baselines: baselines(rows, &val, options.seed),
        by_source: by_source(rows, &val, &outcomes, threshold, options.seed),
        model,
    })
}

fn contender(
    rows: &[Row],
    train: &[usize],
    kind: Algorithm,
    objective: Objective,
    parts: &[&Tried],
    start: Option<&[f32]>,
) -> Contender {
    let logits: Vec<Vec<f32>> = (0..train.len())
        .map(|k| {
            let parts = parts.iter().map(|part| part.logits[k]);
            parts.chain(start.map(|start| start[k])).collect()
        })
        .collect();
    let count = parts.len() + usize::from(start.is_some());
    let head = Head::fit(rows, train, &logits, &vec![1.0 / count as f32; count], objective);
    let score = |(&i, logits): (&usize, &Vec<f32>)| rows[i].outcome(head.score(logits));
    let outcomes: Vec<ScoredOutcome> = train.iter().zip(&logits).map(score).collect();
    let candidate = Candidate {
        name: match objective {
            Objective::Sufficient => kind.to_string(),
            Objective::Gain => format!("{kind}, for gain"),
        },
        options: None,
        auroc: scores::auroc(&outcomes).unwrap_or(0.5),
        apgr: scores::apgr(&outcomes),
    };
    let plans = parts.iter().map(|part| part.options.clone()).collect();
    Contender { kind, objective, candidate, plans, head }
}

/// How the chosen model is made from rows.
pub(super) struct Recipe<'a> {
    pub(super) plans: &'a [TrainingPlan],
    pub(super) initial: Option<Arc<Initial>>,
    /// As cross-validation left it.
    pub(super) head: &'a Head,
    pub(super) objective: Objective,
    pub(super) seed: u64,
}

impl Recipe<'_> {
    /// Fits on the rows `train` as `fitted` has them, stops early and calibrates on `val`.
    pub(super) fn fit(
        &self,
        rows: &[Row],
        fitted: &[Row],
        train: &[usize],
        val: &[usize],
    ) -> Result<Model, TrainError> {
        let scaler = Scaler::fit(rows, train);
        let fit =
            |plan: &TrainingPlan| cross::fit_part(fitted, train, val, &scaler, plan, self.seed);
        let mut parts = self.plans.par_iter().map(fit).collect::<Result<Vec<ModelPart>, _>>()?;
        parts.extend(self.initial.clone().map(ModelPart::Initial));
        let mut model = Model { scaler, parts, head: self.head.clone() };
        recalibrate(&mut model, rows, val, self.objective);
        Ok(model)
    }
}

/// Calibrates a model on validation rows. Parts fitted on all train rows are surer than those of
/// cross-validation were, some more than others; so what predicts the label gets new weights,
/// pulled towards the old. What predicts the gain keeps its order: only scale and offset change.
fn recalibrate(model: &mut Model, rows: &[Row], val: &[usize], objective: Objective) {
    let logits: Vec<Vec<f32>> = val.par_iter().map(|&i| model.logits(&rows[i].features)).collect();
    if objective == Objective::Sufficient {
        model.head = Head::fit(rows, val, &logits, &model.head.weights, objective);
        return;
    }
    let logits: Vec<Vec<f32>> = logits.iter().map(|parts| vec![model.head.logit(parts)]).collect();
    let platt = Head::fit(rows, val, &logits, &[1.0], Objective::Sufficient);
    let Some(scale) = platt.weights.first() else { return };
    model.head.weights.iter_mut().for_each(|weight| *weight *= scale);
    model.head.offset = model.head.offset * scale + platt.offset;
}

/// The scaler's view of the train rows, with the limit that one validation row in a hundred
/// exceeds.
fn novelty(scaler: &Scaler, rows: &[Row], val: &[usize]) -> Novelty {
    // What never varied among the train rows, such as tools, is news when it does.
    let known = |inverse: &f32| if *inverse == 0.0 { 1.0 } else { *inverse };
    let mut novelty = Novelty {
        mean: scaler.mean[..ENGINEERED].to_vec(),
        inverse_deviation: scaler.inverse_deviation[..ENGINEERED].iter().map(known).collect(),
        limit: 1.0,
    };
    let mut seen: Vec<f32> =
        val.iter().map(|&i| novelty.of_engineered(rows[i].features.engineered())).collect();
    seen.sort_by(f32::total_cmp);
    let limit = seen[(seen.len() - 1) * 99 / 100];
    novelty.limit = limit.max(f32::MIN_POSITIVE);
    novelty
}

/// The rows as they are fitted: with soft labels where the train rows have auxiliary models, and
/// when `balanced` with weights that give both labels the same weight among the train rows.
pub(super) fn fitted<'a>(rows: &'a [Row], train: &[usize], balanced: bool) -> Cow<'a, [Row]> {
    let mut fitted = teacher::soften(rows, train);
    if balanced {
        let mut sums = [0.0_f32; 2];
        train.iter().for_each(|&i| sums[usize::from(rows[i].cheap_ok)] += rows[i].weight);
        let mean = (sums[0] + sums[1]) / 2.0;
        for row in fitted.to_mut() {
            row.weight *= mean / sums[usize::from(row.cheap_ok)];
        }
    }
    fitted
}

/// Outcomes of some rows under a model.
pub(super) fn outcomes(model: &Model, rows: &[Row], indices: &[usize]) -> Vec<ScoredOutcome> {
    indices.par_iter().map(|&i| rows[i].outcome(model.score(&rows[i].features))).collect()
}

/// What a router must beat: always the cheap model (ranks like chance), and length alone.
fn baselines(rows: &[Row], val: &[usize], seed: u64) -> Vec<(&'static str, Metrics)> {
    let constant: Vec<ScoredOutcome> = val.iter().map(|&i| rows[i].outcome(1.0)).collect();
    let length = |row: &Row| 1.0 / (1.0 + row.features.dense[0]);
    let shortest: Vec<ScoredOutcome> =
        val.iter().map(|&i| rows[i].outcome(length(&rows[i]))).collect();
    let threshold = scores::best_threshold(&shortest);
    vec![
        ("always cheap", scores::measure(&constant, 0.5, seed)),
        ("shorter is cheaper", scores::measure(&shortest, threshold, seed)),
    ]
}

fn by_source(
    rows: &[Row],
    val: &[usize],
    outcomes: &[ScoredOutcome],
    threshold: f32,
    seed: u64,
) -> BTreeMap<String, Metrics> {
    let mut groups: BTreeMap<&str, Vec<ScoredOutcome>> = BTreeMap::new();
    for (&i, outcome) in val.iter().zip(outcomes) {
        groups.entry(&rows[i].source).or_default().push(*outcome);
    }
    let measure = |outcomes: &[ScoredOutcome]| scores::measure(outcomes, threshold, seed);
    groups.into_iter().map(|(source, group)| (source.to_owned(), measure(&group))).collect()
}

fn checked(dataset: &Dataset, split: Split, name: &'static str) -> Result<Vec<usize>, TrainError> {
    let indices = dataset.indices(split);
    let first = indices.first().ok_or(TrainError::NoRows(name))?;
    let cheap_ok = dataset.rows[*first].cheap_ok;
    if indices.iter().all(|&i| dataset.rows[i].cheap_ok == cheap_ok) {
        return Err(TrainError::OneClass { split: name, rows: indices.len(), cheap_ok });
    }
    Ok(indices)
}
