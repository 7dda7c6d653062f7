//! Rows to a pool of prompts, and a pool to an endless stream.

use std::path::PathBuf;

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use pointsman_core::classifier::Classifier;
use pointsman_core::features::Features;
use pointsman_core::policy::bandit::Context;
use pointsman_core::prompt::{Prompt, Role};
use pointsman_lab::learn::{DatasetError, ReadOptions, Row, Split, body_of, read_rows};
use pointsman_lab::rules::HAND_RULES_THRESHOLD;

/// A prompt with what both models earn on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub context: Vec<f32>,
    /// The classifier's score of the cheap target.
    pub score: f32,
    /// Quality of the cheap and the strong answer, 0..=1.
    pub quality: [f32; 2],
    /// Whether a shipped hand rule asks for the strong target.
    pub rules_strong: bool,
    /// What a classifier can be trained on.
    pub row: Row,
    /// The last user turn.
    pub text: String,
}

/// Prompts to draw from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    pub items: Vec<Item>,
}

/// The score of a prompt that no classifier has seen.
pub(super) const UNKNOWN: f32 = 0.5;

impl Pool {
    /// The rows of some files, scored by a classifier for two targets.
    ///
    /// # Errors
    ///
    /// Files that cannot be read. Invalid lines are left out, and so are test rows.
    pub fn read(paths: &[PathBuf], classifier: &Classifier) -> Result<Pool, DatasetError> {
        Self::read_scored(paths, |features| {
            classifier.scores(features).ok().and_then(|scores| scores.first().copied())
        })
    }

    /// The rows of some files, for strategies that start without a classifier.
    ///
    /// # Errors
    ///
    /// As [`Pool::read`].
    pub fn read_unscored(paths: &[PathBuf]) -> Result<Pool, DatasetError> {
        Self::read_scored(paths, |_| Some(UNKNOWN))
    }

    fn read_scored(
        paths: &[PathBuf],
        score: impl Fn(&Features) -> Option<f32>,
    ) -> Result<Pool, DatasetError> {
        let context = Context::new(2);
        let mut items = Vec::new();
        read_rows(
            paths,
            &ReadOptions::default(),
            |_| (),
            |row, features, line| {
                if let Some(score) = score(features).filter(|_| row.split != Split::Test) {
                    items.push(Item {
                        context: context.of(features, &[score]),
                        score,
                        quality: [row.cheap, row.strong],
                        rules_strong: row.rules < HAND_RULES_THRESHOLD,
                        text: last_turn(line).unwrap_or_default(),
                        row,
                    });
                }
            },
        )?;
        Ok(Pool { items })
    }

    /// A prompt at random.
    pub fn draw(&self, rng: &mut SmallRng) -> &Item {
        &self.items[self.position(rng)]
    }

    /// The position of a prompt at random.
    pub(super) fn position(&self, rng: &mut SmallRng) -> usize {
        rng.random_range(0..self.items.len())
    }

    /// Positions of one half of the prompts and of the other, each in random order. All rows of a
    /// question are in the same half.
    pub fn halves(&self, rng: &mut SmallRng) -> [Vec<usize>; 2] {
        let mut groups: Vec<u64> = self.items.iter().map(|item| item.row.group_id).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.shuffle(rng);
        groups.truncate(groups.len() / 2);
        groups.sort_unstable();
        let (mut one, mut other): (Vec<usize>, Vec<usize>) = (0..self.items.len())
            .partition(|&item| groups.binary_search(&self.items[item].row.group_id).is_ok());
        one.shuffle(rng);
        other.shuffle(rng);
        [one, other]
    }

    /// The target where each prompt earns most.
    pub fn right(&self, [cheap, strong]: [f32; 2]) -> Vec<usize> {
        let of = |item: &Item| usize::from(item.quality[1] - strong > item.quality[0] - cheap);
        self.items.iter().map(of).collect()
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

fn last_turn(line: &[u8]) -> Option<String> {
    let (format, mut body) = body_of(line)?;
    let prompt = Prompt::parse(format, &mut body, false).ok()?;
    let turn = prompt.turns.iter().rfind(|turn| turn.role == Role::User)?;
    Some(turn.text.to_string())
}
