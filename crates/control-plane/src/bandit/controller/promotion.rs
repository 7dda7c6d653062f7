//! Shadow, canary, all traffic, and back again.

use super::{Controller, EventKind, Stage};
use crate::bandit::{Difference, difference};
use pointsman_core::policy::bandit::{Component, Snapshot};

/// A canary that was neither promoted nor rolled back ends after this many times its fewest
/// samples.
const CANARY_PATIENCE: usize = 40;
/// Fewest samples that show where a canary differs. With fewer, the standard error is a guess: in
/// most of the log both policies do the same.
const LEAST_DIFFERING: usize = 20;

impl Controller {
    fn compare(&self, challenger: &Component, champion: &Component, n: usize) -> Difference {
        let samples = self.window.iter().rev().take(n);
        difference(samples, &self.snapshot, challenger, champion, &self.model)
    }

    pub(super) fn evaluate(&mut self) {
        if self.canary.is_none() && self.snapshot.components.len() > 1 {
            // A change has ended it.
            self.publish();
        }
        let recent = self.stage_samples.min(self.window.len());
        if let Some(canary) = self.canary.take() {
            self.evaluate_canary(canary, recent);
            return;
        }
        if let Some(previous) = self.previous.clone()
            && recent >= self.options.least
        {
            let loss = self.compare(&previous, &self.current, recent);
            if loss.lower(self.options.bound) > self.options.margin {
                self.previous = None;
                let bad = std::mem::replace(&mut self.current, previous);
                self.record(
                    EventKind::RolledBack,
                    Stage::Full,
                    bad.version,
                    Some(loss),
                    "the policy before earns more",
                );
                self.publish();
                return;
            }
            if recent >= self.options.window {
                self.previous = None;
            }
        }
        if self.window.len() < self.options.least {
            return;
        }
        let gain = self.compare(&self.model, &self.current, self.window.len());
        if gain.lower(self.options.bound) > self.options.margin {
            self.advance(Some(gain));
        }
    }

    /// The candidate leaves the shadow.
    fn advance(&mut self, gain: Option<Difference>) {
        self.versions = self.versions.saturating_add(1);
        let version = self.versions.to_string();
        let candidate = Component { version: version.clone(), ..self.model.clone() };
        if self.options.canary_share > 0.0 {
            self.canary = Some(candidate);
            self.record(EventKind::Promoted, Stage::Canary, version, gain, "");
        } else {
            self.previous = Some(std::mem::replace(&mut self.current, candidate));
            self.record(EventKind::Promoted, Stage::Full, version, gain, "");
        }
        self.publish();
    }

    /// A canary must show its gain again, on samples that the candidate was not fitted to.
    fn evaluate_canary(&mut self, canary: Component, recent: usize) {
        if recent < self.options.canary_least {
            self.canary = Some(canary);
            return;
        }
        let gain = self.compare(&canary, &self.current, recent);
        let version = canary.version.clone();
        let bound = self.options.bound;
        let enough = gain.differing >= LEAST_DIFFERING;
        if enough && gain.lower(bound) > self.options.margin {
            self.previous = Some(std::mem::replace(&mut self.current, canary));
            self.record(EventKind::Promoted, Stage::Full, version, Some(gain), "");
        } else if (enough && gain.upper(bound) < 0.0)
            || recent >= CANARY_PATIENCE * self.options.canary_least
        {
            self.record(EventKind::RolledBack, Stage::Canary, version, Some(gain), "");
        } else {
            self.canary = Some(canary);
            return;
        }
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        self.stage_samples = 0;
        let mut components = vec![self.current.clone()];
        if let Some(canary) = &self.canary {
            components[0].share = 1.0 - self.options.canary_share;
            let share = self.options.canary_share;
            components.push(Component { share, ..canary.clone() });
        } else {
            components[0].share = 1.0;
        }
        // A version names one mixture forever: going back is a new one.
        self.versions = self.versions.saturating_add(1);
        self.snapshot =
            Snapshot { version: self.versions.to_string(), components, ..self.snapshot.clone() };
    }

    /// Promotes by hand: the canary to all traffic, or else the candidate to a canary. `false` when
    /// there is no canary, and nothing was learnt that the policy in force does not know.
    pub fn promote(&mut self) -> bool {
        if self.canary.is_none() && !self.has_candidate() {
            return false;
        }
        if let Some(canary) = self.canary.take() {
            let version = canary.version.clone();
            self.previous = Some(std::mem::replace(&mut self.current, canary));
            self.record(EventKind::Promoted, Stage::Full, version, None, "by hand");
            self.publish();
        } else {
            self.advance(None);
        }
        true
    }

    fn has_candidate(&mut self) -> bool {
        let same = |model: &Component, current: &Component| {
            model.weights == current.weights && model.factors == current.factors
        };
        self.learn() && self.seen > 0 && !same(&self.model, &self.current)
    }

    /// Rolls back by hand: the canary ends, or else the policy before returns. `false` when there
    /// is neither.
    pub fn roll_back(&mut self) -> bool {
        let bad = match (self.canary.take(), self.previous.take()) {
            (Some(canary), previous) => {
                self.previous = previous;
                canary
            }
            (None, Some(previous)) => std::mem::replace(&mut self.current, previous),
            (None, None) => return false,
        };
        self.record(EventKind::RolledBack, Stage::Full, bad.version, None, "by hand");
        self.publish();
        true
    }
}
