//! What the scores of auxiliary models say about a label.
//!
//! A label is one draw: of two questions that the cheap model answers seven times in ten, one is
//! labelled "good enough" and the other not. Where rows carry the scores of more models, a
//! regression of the label on those separates a hard question from bad luck, and the mean of both
//! is less noisy to fit. The scores are not known when a request is routed, and are not needed
//! then: they teach and are not features ("generalized distillation", Lopez-Paz et al. 2016,
//! arXiv:1511.03643).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::group;
use super::objective::Objective;
use super::row::Row;
use super::soft_label::SoftLabel;
use pointsman_core::stats::cholesky;

/// How much the teacher counts against the label itself. By cross-validation on train rows, 0.5 to
/// 0.8 are alike.
const SHARE: f64 = 0.6;
/// L2 penalty on the coefficients, in rows.
const SHRINKAGE: f64 = 50.0;
/// Fewest rows of a source that a teacher is fitted on.
const FEWEST_ROWS: usize = 100;
/// Fewest auxiliary models that most of these rows must have.
const FEWEST_AUXILIARY: usize = 3;
/// Parts of a source's rows that take turns in being left out, so that no label teaches itself.
const FOLDS: usize = 4;

/// The rows with soft labels for the train rows, source by source; borrowed where no
/// source has enough auxiliary models.
pub(super) fn soften<'a>(rows: &'a [Row], train: &[usize]) -> Cow<'a, [Row]> {
    let mut sources: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &i in train.iter().filter(|&&i| !rows[i].auxiliary_models.is_empty()) {
        sources.entry(&rows[i].source).or_default().push(i);
    }
    let mut softened = Cow::Borrowed(rows);
    for members in sources.into_values().filter(|members| members.len() >= FEWEST_ROWS) {
        let Some(inputs) = inputs(rows, &members) else { continue };
        let sufficient = targets(rows, &members, &inputs, Objective::Sufficient);
        let gain = targets(rows, &members, &inputs, Objective::Gain);
        for ((&i, sufficient), gain) in members.iter().zip(sufficient).zip(gain) {
            softened.to_mut()[i].soft_label = Some(SoftLabel { sufficient, gain });
        }
    }
    softened
}

/// Per row: the score of each peer that at least half of the rows have, centred, then the mean of
/// the row's scores, centred, and its square. A score that a row lacks is its mean. `None` when
/// there are too few auxiliary models.
fn inputs(rows: &[Row], members: &[usize]) -> Option<Vec<Vec<f64>>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &i in members {
        rows[i].auxiliary_models.keys().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    counts.retain(|_, count| *count * 2 >= members.len());
    if counts.len() < FEWEST_AUXILIARY {
        return None;
    }
    let mut inputs: Vec<Vec<f64>> = members
        .iter()
        .map(|&i| {
            let auxiliary_models = &rows[i].auxiliary_models;
            let mean = auxiliary_models.values().sum::<f32>() / auxiliary_models.len() as f32;
            let score = |name: &&str| f64::from(*auxiliary_models.get(*name).unwrap_or(&mean));
            counts.keys().map(score).chain([f64::from(mean)]).collect()
        })
        .collect();
    for column in 0..=counts.len() {
        let mean = inputs.iter().map(|row| row[column]).sum::<f64>() / members.len() as f64;
        inputs.iter_mut().for_each(|row| row[column] -= mean);
    }
    inputs.iter_mut().for_each(|row| row.push(row[counts.len()].powi(2)));
    Some(inputs)
}

/// The soft target of each row, 0..=1.
fn targets(rows: &[Row], members: &[usize], inputs: &[Vec<f64>], objective: Objective) -> Vec<f32> {
    let recorded: Vec<f64> =
        members.iter().map(|&i| f64::from(objective.recorded(&rows[i]))).collect();
    let folds: Vec<usize> = members.iter().map(|&i| group::fold(rows[i].group_id, FOLDS)).collect();
    let teachers: Vec<(Vec<f64>, f64)> = (0..FOLDS)
        .map(|fold| {
            let kept = (0..members.len()).filter(|&k| folds[k] != fold).collect::<Vec<_>>();
            ridge(inputs, &recorded, &kept)
        })
        .collect();
    let soften = |k: usize| {
        let (weights, offset) = &teachers[folds[k]];
        let said = offset + weights.iter().zip(&inputs[k]).map(|(w, x)| w * x).sum::<f64>();
        (SHARE * said.clamp(0.0, 1.0) + (1.0 - SHARE) * recorded[k]) as f32
    };
    (0..members.len()).map(soften).collect()
}

/// Ridge regression of `targets` on `inputs` over the rows `kept`: weights and offset.
fn ridge(inputs: &[Vec<f64>], targets: &[f64], kept: &[usize]) -> (Vec<f64>, f64) {
    let size = inputs.first().map_or(0, Vec::len);
    let offset = kept.iter().map(|&k| targets[k]).sum::<f64>() / kept.len().max(1) as f64;
    let mut products = vec![0.0; cholesky::packed_len(size)];
    let mut correlation = vec![0.0; size];
    for &k in kept {
        let mut cells = products.iter_mut();
        for (a, &x) in inputs[k].iter().enumerate() {
            correlation[a] += x * (targets[k] - offset);
            cells.by_ref().take(a + 1).zip(&inputs[k]).for_each(|(sum, y)| *sum += x * y);
        }
    }
    (0..size).for_each(|a| products[cholesky::packed_len(a + 1) - 1] += SHRINKAGE);
    let factor = cholesky::factor(products).expect("sums of squares and a ridge");
    (cholesky::solve(&factor, correlation), offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fixture;

    /// Rows whose label is the question's difficulty, spoilt in one of four, with `count`
    /// auxiliary models that all know the difficulty.
    fn rows(n: usize, count: usize) -> Vec<Row> {
        let mut rows = fixture::rows(n, |signal, _| signal);
        for (i, row) in rows.iter_mut().enumerate() {
            let easy = row.cheap_ok;
            row.cheap_ok ^= i % 8 < 2;
            let score = f32::from(u8::from(easy));
            row.auxiliary_models = (0..count).map(|k| (format!("peer-{k}"), score)).collect();
        }
        rows
    }

    #[test]
    fn a_spoilt_label_is_pulled_towards_what_auxiliary_models_say() {
        let rows = rows(400, 4);
        let all: Vec<usize> = (0..400).collect();
        let softened = soften(&rows, &all);
        for (i, row) in softened.iter().enumerate() {
            let recorded = Objective::Sufficient.recorded(row);
            let moved = (Objective::Sufficient.target(row) - recorded).abs();
            let spoilt = i % 8 < 2;
            assert_eq!(moved > 0.3, spoilt, "row {i} moved by {moved}");
            assert_eq!(recorded, f32::from(u8::from(row.cheap_ok)));
        }
    }

    #[test]
    fn rows_without_enough_auxiliary_models_keep_their_labels() {
        let few_models = rows(400, FEWEST_AUXILIARY - 1);
        let few_rows = rows(FEWEST_ROWS - 1, 4);
        for rows in [few_models, few_rows] {
            let all: Vec<usize> = (0..rows.len()).collect();
            assert!(matches!(soften(&rows, &all), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn rows_that_are_not_trained_on_keep_their_labels() {
        let rows = rows(400, 4);
        let (train, val): (Vec<usize>, Vec<usize>) = (0..400).partition(|i| i % 5 != 0);
        let softened = soften(&rows, &train);
        assert!(val.iter().all(|&i| softened[i].soft_label.is_none()));
        assert!(train.iter().all(|&i| softened[i].soft_label.is_some()));
    }
}
