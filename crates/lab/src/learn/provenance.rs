//! What goes into a model directory, and where it is from.

use super::curve::CurvePoint;
use super::dataset::FileDigest;
use super::train::Trained;

/// What a model was made from.
pub struct Provenance<'a> {
    pub files: &'a [FileDigest],
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
    /// Empty unless asked for.
    pub learning_curve: Vec<CurvePoint>,
}
