//! What competes, and how it did.

use super::plan::TrainingPlan;

/// One plan or model that competed, measured on train rows that it was not fitted on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Candidate {
    pub name: String,
    /// Empty for what is made of several parts.
    pub options: Option<TrainingPlan>,
    pub auroc: f64,
    pub apgr: Option<f64>,
}

impl Candidate {
    /// AUROC ranks by the label, APGR by the quality that a strong call buys; both are 0.5 for
    /// chance and 1 at best, and a router needs both. On the same rows APGR has about twice the
    /// standard error, so it counts half.
    pub(super) fn merit(&self) -> f64 {
        2.0 * self.auroc + self.apgr.unwrap_or(0.5)
    }
}
