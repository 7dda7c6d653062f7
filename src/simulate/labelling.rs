//! A classifier from the labels that a traffic has paid for so far.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Drift, Pool};
use crate::learn::{
    Algorithm, Dataset, Model, Reading, Row, SparseFeatures, Split, TrainOptions, train,
};
use crate::policy::bandit::Context;

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
    /// What had happened to the models by then.
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

/// Trains on labels, and remembers what it trained: the same labels give the same model.
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
    /// judged on what it was trained on.
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
        let least = self.least_score(&rows);
        let dataset = Dataset { rows, reading: Reading::default() };
        let options =
            TrainOptions { algorithm: self.algorithm, seed: 0, initial: None, balanced: false };
        let model = train(&dataset, &options, |_, _| ()).ok()?.model;
        let context = Context::new(2);
        let items = &self.pool.items;
        let scores: Vec<f32> = items.iter().map(|item| model.score(&item.row.features)).collect();
        let of = |(item, score): (&super::Item, &f32)| {
            context.of_engineered(&item.row.features.engineered, &[*score])
        };
        let contexts = items.iter().zip(&scores).map(of).collect();
        Some(Fitted { model, scores, contexts, threshold: least })
    }

    /// The row of a label. One question in five calibrates, as `pointsman train` splits.
    fn row(&self, label: Label) -> Row {
        let item = &self.pool.items[label.item];
        let [cheap, strong] = label.drift.apply(item);
        let mixed = item.row.stem.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let split = if mixed.is_multiple_of(5) { Split::Val } else { Split::Train };
        Row { cheap, strong, cheap_ok: cheap >= strong, split, ..item.row.clone() }
    }

    /// The probability p from which on the cheap target earns more: p · (what a good cheap answer
    /// gains) − (1 − p) · (what a bad one loses) + (what it saves) is zero there. Gain and loss
    /// are means over the labels, so that a hundred labels give a steady threshold.
    fn least_score(&self, rows: &[Row]) -> f32 {
        let mean = |ok: bool| {
            let gaps: Vec<f32> = rows
                .iter()
                .filter(|row| row.cheap_ok == ok)
                .map(|row| (row.cheap - row.strong).abs())
                .collect();
            gaps.iter().sum::<f32>() / gaps.len().max(1) as f32
        };
        let saved = self.penalties[1] - self.penalties[0];
        let (gain, loss) = (mean(true), mean(false));
        ((loss - saved) / (loss + gain).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0)
    }
}
