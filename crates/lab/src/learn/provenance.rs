//! What goes into a model directory, and where it is from.

use super::curve::CurvePoint;
use super::dataset::FileDigest;
use super::train::Trained;
use pointsman_core::classifier::Objective;

/// What a model was made from.
pub struct Provenance<'a> {
    pub files: &'a [FileDigest],
    /// Where the models of the gain are from.
    pub gain_files: &'a [FileDigest],
    /// What the first scores answer.
    pub objective: Objective,
    pub seed: u64,
    /// Version of the model that training started from.
    pub initial: Option<&'a str>,
    /// Markdown for the card: where the data is from and under which licences.
    pub notes: Option<&'a str>,
}

/// What was trained for one non-strongest target.
#[derive(Debug)]
pub struct TrainedTarget {
    pub name: String,
    pub trained: Trained,
    /// A second model, of what the strong answer would gain: for all targets, or for none.
    pub gain: Option<Trained>,
    /// Empty unless asked for.
    pub learning_curve: Vec<CurvePoint>,
}
