//! The question that a score answers.

use serde::{Deserialize, Serialize};

/// What routing is for. Where both models would fail, the two differ: the cheap answer is not good
/// enough, and the strong one is no better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The score is the probability that the target's answer is good enough.
    Satisfy,
    /// The score is the probability that the strongest target's answer would not be better.
    #[default]
    Gain,
}

impl Objective {
    /// The objectives by their names in configurations and manifests.
    pub const NAMES: [(&str, Objective); 2] =
        [("satisfy", Objective::Satisfy), ("gain", Objective::Gain)];

    /// The name in configurations and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Satisfy => "satisfy",
            Objective::Gain => "gain",
        }
    }
}
