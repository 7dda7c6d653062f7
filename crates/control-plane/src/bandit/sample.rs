//! What is learnt from.

use pointsman_core::policy::bandit::SegmentId;

/// One decision with its reward: learners learn from it, and policies are evaluated on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `f32[dimensions]`, as the filter computed it: [`pointsman_core::policy::bandit::Context`].
    pub context: Vec<f32>,
    /// Position of the chosen target.
    pub target: usize,
    /// Probability with which it was chosen, in (0, 1].
    pub propensity: f64,
    /// Quality of the answer, 0..=1.
    pub reward: f32,
    /// Segment of the decision.
    pub segment: SegmentId,
}

/// What a line adds to what is learnt.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// A decision got its reward. Only what the bandit drew says how good a policy is: `drawn`.
    Learn { sample: Sample, drawn: bool },
    /// A reward of higher rank came later: `sample` holds the one that was learnt before.
    Correct { sample: Sample, reward: f32 },
}

/// Bound of a sample's weight in fitting: beyond it one lucky reward would count for too much.
const LARGEST_WEIGHT: f64 = 100.0;

impl Sample {
    /// Weight of the sample in fitting: it stands for all the requests like it that went to another
    /// target (importance-weighted regression, arXiv 1802.04064).
    ///
    /// A target is mostly seen where the present policy prefers it. A linear model of just these
    /// requests is wrong about the others, which are those that a better policy would send there.
    pub(super) fn weight(&self) -> f64 {
        (1.0 / self.propensity).clamp(1.0, LARGEST_WEIGHT)
    }
}
