//! Rows to a pool of prompts, and a pool to an endless stream.

use std::path::PathBuf;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::classifier::Classifier;
use crate::learn::{DatasetError, Split, read_rows};
use crate::policy::bandit::Context;

/// A prompt with what both models earn on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub context: Vec<f32>,
    /// The classifier's score of the cheap target.
    pub score: f32,
    /// Quality of the cheap and the strong answer, 0..=1.
    pub quality: [f32; 2],
}

/// Prompts to draw from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    pub items: Vec<Item>,
}

impl Pool {
    /// The rows of some files, scored by a classifier for two targets.
    ///
    /// # Errors
    ///
    /// Files that cannot be read. Lines that are no rows are left out, and so are test rows.
    pub fn read(paths: &[PathBuf], classifier: &Classifier) -> Result<Pool, DatasetError> {
        let context = Context::new(2);
        let mut items = Vec::new();
        read_rows(
            paths,
            false,
            |_| (),
            |row, features, _| {
                let score =
                    classifier.scores(features).ok().and_then(|scores| scores.first().copied());
                if let Some(score) = score.filter(|_| row.split != Split::Test) {
                    let context = context.of(features, &[score]);
                    items.push(Item { context, score, quality: [row.cheap, row.strong] });
                }
            },
        )?;
        Ok(Pool { items })
    }

    /// A prompt at random.
    pub fn draw(&self, rng: &mut SmallRng) -> &Item {
        &self.items[rng.random_range(0..self.items.len())]
    }

    /// The threshold with which the classifier earns most on these prompts, in steps of 0.01.
    pub fn best_threshold(&self, penalties: [f32; 2]) -> f32 {
        let earned = |threshold: f32| -> f64 {
            let of = |item: &Item| {
                let target = usize::from(item.score < threshold);
                f64::from(item.quality[target] - penalties[target])
            };
            self.items.iter().map(of).sum()
        };
        let steps = (0..=100_u8).map(|step| f32::from(step) / 100.0);
        steps.max_by(|a, b| earned(*a).total_cmp(&earned(*b))).unwrap_or(0.5)
    }
}
