//! What the requests to one endpoint share in a worker.

use std::cell::Cell;

use crate::acceptance::AcceptanceModel;
use crate::classifier::ModelError;
use crate::target::Escalate;

use super::budget::Budget;

/// Most bytes of answers that a worker holds for one endpoint.
const HELD_BYTES: usize = 64 << 20;

/// Holds and judges the answers of one endpoint.
#[derive(Debug)]
pub struct Inspector {
    /// The target that the endpoint belongs to.
    pub target: String,
    pub escalate: Escalate,
    pub(super) budget: Budget,
    /// The model of answers, and the probability below which one is bad.
    pub(super) judge: Option<(AcceptanceModel, f32)>,
    held: Cell<usize>,
}

impl Inspector {
    /// Loads the model of answers, where there is one.
    ///
    /// # Errors
    ///
    /// When it does not load.
    pub fn new(target: String, escalate: Escalate) -> Result<Self, ModelError> {
        let judge = match &escalate.judge {
            Some(judge) => {
                let model = AcceptanceModel::load(&judge.onnx, &judge.manifest)?;
                let below = escalate.accept_below.unwrap_or(model.accept_below());
                Some((model, below))
            }
            None => None,
        };
        let budget = Budget::new(escalate.max_share);
        Ok(Inspector { target, escalate, budget, judge, held: Cell::new(0) })
    }

    /// Whether more may be held.
    pub(super) fn has_room(&self) -> bool {
        self.held.get() <= HELD_BYTES
    }

    /// An answer of which `before` bytes were held is now held with `now` bytes.
    pub(super) fn hold(&self, before: usize, now: usize) {
        self.held.set(self.held.get().saturating_sub(before).saturating_add(now));
    }
}
