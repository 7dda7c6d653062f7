//! The parts of a dataset.

use serde::Deserialize;

/// Which part of a dataset a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted on it.
    Train,
    /// Candidates, calibration and threshold are chosen on it.
    #[serde(alias = "validation", alias = "valid", alias = "dev")]
    Val,
    /// Never read by training.
    Test,
}
