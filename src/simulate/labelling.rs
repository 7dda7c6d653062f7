//! A classifier from the labels that the traffic has paid for so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Drift, Pool};
use pointsman_core::policy::bandit::Context;
use pointsman_lab::learn::{
    Algorithm, Dataset, Model, Reading, Row, SparseFeatures, Split, TrainOptions, train,
};

/// How many requests are labelled, and when a classifier is trained on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelling {
    /// Share of the requests that both models answer.
    pub share: f64,
    /// Labels of the first training. The next come at twice as many, until labels enough for
    /// [`Trainer::window`] are there, and then after every half of it.
    pub first: usize,
}

/// A labelled prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Label {
    pub item: usize,
    /// The change of the models by then.
    pub drift: Drift,
}

/// A trained classifier, applied to every prompt of the pool.
#[derive(Debug)]
pub(super) struct Fitted {
    model: Model,
    pub scores: Vec<f32>,
    pub contexts: Vec<Vec<f32>>,
    /// From this score on the cheap target earns more.
    pub threshold: f32,
}

impl Fitted {
    /// Probability that the cheap answer to a prompt is good enough.
    pub fn score(&self, features: &SparseFeatures) -> f32 {
        self.model.score(features)
    }
}

/// Trains on labels, and caches the models: the same labels give the same model.
#[derive(Debug)]
pub struct Trainer<'p> {
    pool: &'p Pool,
    /// The prompts that get labelled, in turn.
    order: Vec<usize>,
    algorithm: Algorithm,
    penalties: [f32; 2],
    fitted: HashMap<Vec<Label>, Option<Arc<Fitted>>>,
}

impl<'p> Trainer<'p> {
    /// For prompts at these positions, none of which the traffic should ask: a model must not be
    /// evaluated on what it was trained on.
    pub fn new(
        pool: &'p Pool,
        order: Vec<usize>,
        algorithm: Algorithm,
        penalties: [f32; 2],
    ) -> Self {
        Trainer { pool, order, algorithm, penalties, fitted: HashMap::new() }
    }

    /// Most labels of one training: the latest of each prompt.
    pub fn window(&self) -> usize {
        self.order.len()
    }

    /// The next prompt to be labelled after `labelled` others.
    pub(super) fn prompt(&self, labelled: usize) -> Option<usize> {
        self.order.get(labelled % self.order.len().max(1)).copied()
    }

    /// Trains on labels. `None` when they do not suffice: all alike, or too few.
    pub(super) fn fit(&mut self, labels: &[Label]) -> Option<Arc<Fitted>> {
        let mut key = labels.to_vec();
        key.sort_unstable();
        if let Some(known) = self.fitted.get(&key) {
            return known.clone();
        }
        let fitted = self.train(&key).map(Arc::new);
        self.fitted.insert(key, fitted.clone());
        fitted
    }

    fn train(&self, labels: &[Label]) -> Option<Fitted> {
        let rows: Vec<Row> = labels.iter().map(|label| self.row(*label)).collect();
        let dataset = Dataset { rows, reading: Reading::default() };
        let options =
            TrainOptions { algorithm: self.algorithm, seed: 0, initial: None, balanced: false };
        let model = train(&dataset, &options, |_, _| ()).ok()?.model;
        let threshold = self.threshold(&model, &dataset.rows);
        let context = Context::new(2);
        let items = &self.pool.items;
        let scores: Vec<f32> = items.iter().map(|item| model.score(&item.row.features)).collect();
        let of = |(item, score): (&super::Item, &f32)| {
            context.of_engineered(item.row.features.engineered(), &[*score])
        };
        let contexts = items.iter().zip(&scores).map(of).collect();
        Some(Fitted { model, scores, contexts, threshold })
    }

    /// The row of a label. One question in five calibrates, as `pointsman train` splits.
    fn row(&self, label: Label) -> Row {
        let item = &self.pool.items[label.item];
        let [cheap, strong] = label.drift.apply(item);
        let mixed = item.row.group_id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let split = if mixed.is_multiple_of(5) { Split::Val } else { Split::Train };
        let auxiliary_models = BTreeMap::new();
        Row {
            cheap,
            strong,
            cheap_ok: cheap >= strong,
            split,
            auxiliary_models,
            ..item.row.clone()
        }
    }

    /// The threshold that earns most on the rows that calibrate, as an operator would choose it;
    /// of equally good ones, the middle one.
    fn threshold(&self, model: &Model, rows: &[Row]) -> f32 {
        let [cheap, strong] = self.penalties;
        let mut earned: Vec<(f32, f32)> = rows
            .iter()
            .filter(|row| row.split == Split::Val)
            .map(|row| (model.score(&row.features), (row.cheap - cheap) - (row.strong - strong)))
            .collect();
        earned.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Between two scores, and beyond the last: what the cheap target earns more above it.
        let ends = [1.0].into_iter().chain(earned.iter().map(|row| row.0)).chain([0.0]);
        let ends: Vec<f32> = ends.collect();
        let middles = ends.array_windows().map(|[above, below]| (above + below) / 2.0);
        let sums = std::iter::once(0.0).chain(earned.iter().scan(0.0, |sum, row| {
            *sum += row.1;
            Some(*sum)
        }));
        let cuts: Vec<(f32, f32)> = middles.zip(sums).collect();
        let most = cuts.iter().map(|cut| cut.1).fold(f32::MIN, f32::max);
        let best: Vec<f32> = cuts.iter().filter(|cut| cut.1 >= most).map(|cut| cut.0).collect();
        best.get(best.len() / 2).copied().unwrap_or(0.5)
    }
}
