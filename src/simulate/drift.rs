//! Sudden changes of the quality of the models.

use serde::Serialize;

use super::Item;

/// What happens in the middle of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Nothing.
    #[default]
    None,
    /// The models behind the two clusters trade places: quality changes, prices do not.
    Swap,
    /// The cheap model is replaced by a much worse one: nine of ten good answers are lost.
    CheapFails,
    /// The cheap model is replaced by one as good as the strong one.
    CheapImproves,
}

impl Drift {
    /// Qualities of the cheap and the strong answer after the change.
    pub fn apply(self, item: &Item) -> [f32; 2] {
        let [cheap, strong] = item.quality;
        match self {
            Drift::None => item.quality,
            Drift::Swap => [strong, cheap],
            Drift::CheapFails => [0.1 * cheap, strong],
            Drift::CheapImproves => [strong, strong],
        }
    }
}
