//! A labelled row with scores, as one line.

use serde::{Deserialize, Serialize};

use crate::learn::scores::ScoredOutcome;

/// A labelled row with the scores that routers gave it: one line of `evaluate --rows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredRow {
    pub id: String,
    #[serde(default)]
    pub source: String,
    /// The model's score: probability that the cheap answer is good enough.
    pub score: f32,
    pub cheap_ok: bool,
    /// Qualities of the two answers, 0..=1.
    pub cheap: f32,
    pub strong: f32,
    /// Score of [`crate::rules::hand_rules`].
    pub rules: f32,
    /// Score of the model that is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<f32>,
}

impl ScoredRow {
    /// The row under the model.
    pub fn outcome(&self) -> ScoredOutcome {
        self.outcome_under(self.score)
    }

    /// The row under another score.
    pub fn outcome_under(&self, score: f32) -> ScoredOutcome {
        ScoredOutcome { score, cheap_ok: self.cheap_ok, cheap: self.cheap, strong: self.strong }
    }

    /// Reads a line; refuses numbers outside 0..=1.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<ScoredRow, String> {
        let row: ScoredRow = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let shares = [row.score, row.cheap, row.strong, row.rules, row.previous.unwrap_or(0.0)];
        match shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            Some(share) => Err(format!("{share} is not between 0 and 1")),
            None => Ok(row),
        }
    }
}
