//! What a model is asked to predict.

use super::row::Row;

/// The quantity that is fitted. Both rank prompts from "needs the strong model" to "does not", and
/// calibration turns either into the probability that the cheap answer is good enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Is the cheap answer good enough? The label.
    #[default]
    Sufficient,
    /// How much better is the strong answer? Half where both are as good (or as bad), so that
    /// prompts which neither model can answer do not draw strong calls.
    Gain,
}

impl Objective {
    /// What fitting aims at: the recorded value, or the soft label where there is one.
    pub(super) fn target(self, row: &Row) -> f32 {
        match (self, row.soft_label) {
            (Objective::Sufficient, Some(soft)) => soft.sufficient,
            (Objective::Gain, Some(soft)) => soft.gain,
            (_, None) => self.recorded(row),
        }
    }

    /// The value to predict for a row, 0..=1: high where the cheap model should answer.
    pub(super) fn recorded(self, row: &Row) -> f32 {
        match self {
            Objective::Sufficient => f32::from(u8::from(row.cheap_ok)),
            Objective::Gain => gain(row.cheap, row.strong),
        }
    }
}

/// Half where both answers are as good, 0..=1.
pub(super) fn gain(cheap: f32, strong: f32) -> f32 {
    (1.0 + cheap - strong) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fixture::rows;

    #[test]
    fn a_prompt_that_both_models_fail_gains_nothing() {
        let mut row = rows(1, |_, _| false).remove(0);
        (row.cheap, row.strong, row.cheap_ok) = (0.0, 0.0, true);
        assert_eq!(Objective::Gain.target(&row), 0.5);
        assert_eq!(Objective::Sufficient.target(&row), 1.0);
        (row.strong, row.cheap_ok) = (1.0, false);
        assert_eq!(Objective::Gain.target(&row), 0.0);
    }
}
