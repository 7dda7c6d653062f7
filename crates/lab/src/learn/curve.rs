//! How a model's quality grows with its rows.

use std::sync::Arc;

use super::dataset::Dataset;
use super::error::TrainError;
use super::group;
use super::model::ModelPart;
use super::scores;
use super::split::Split;
use super::train::{Recipe, TrainOptions, Trained, fitted, outcomes};

/// One point of a learning curve: validation measures of a model fitted on some train rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CurvePoint {
    pub rows: usize,
    pub accuracy: f64,
    pub auroc: Option<f64>,
    pub apgr: Option<f64>,
}

/// How validation measures grow with the train rows: each point has twice the rows of the one
/// before, and keeps them. The plans are those that were chosen on all rows.
///
/// # Errors
///
/// A failure of the optimiser.
pub fn learning_curve(
    dataset: &Dataset,
    trained: &Trained,
    options: &TrainOptions,
    mut done: impl FnMut(&CurvePoint),
) -> Result<Vec<CurvePoint>, TrainError> {
    /// Fewest rows that are tried.
    const FEWEST: usize = 50;
    let rows = &dataset.rows;
    let val = dataset.indices(Split::Val);
    let mut order = dataset.indices(Split::Train);
    order.sort_by_key(|&i| group::shuffled(rows[i].group_id, options.seed));
    let recipe = Recipe {
        plans: &trained.plans,
        initial: trained.model.parts.iter().find_map(|part| match part {
            ModelPart::Initial(initial) => Some(Arc::clone(initial)),
            _ => None,
        }),
        head: &trained.head,
        objective: trained.objective,
        seed: options.seed,
    };
    let mut points = Vec::new();
    let mut sizes: Vec<usize> = std::iter::successors(Some(order.len()), |n| Some(n / 2))
        .take_while(|n| *n >= FEWEST)
        .collect();
    sizes.reverse();
    for size in sizes {
        let some = &order[..size];
        if some.iter().all(|&i| rows[i].cheap_ok) || some.iter().all(|&i| !rows[i].cheap_ok) {
            continue;
        }
        let fitted = fitted(rows, some, options.balanced);
        let model = recipe.fit(rows, &fitted, some, &val)?;
        let outcomes = outcomes(&model, rows, &val);
        let measured = scores::measure(&outcomes, scores::best_threshold(&outcomes), options.seed);
        let point = CurvePoint {
            rows: size,
            accuracy: measured.accuracy,
            auroc: measured.auroc,
            apgr: measured.apgr,
        };
        done(&point);
        points.push(point);
    }
    Ok(points)
}
