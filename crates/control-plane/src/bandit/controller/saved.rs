//! What the next process resumes from.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::Controller;
use crate::bandit::Statistics;
use pointsman_core::policy::bandit::{Component, Context, Snapshot, SnapshotError};

/// A controller in a checkpoint.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    snapshot: String,
    previous: Option<String>,
    statistics: String,
    seen: u64,
    versions: u64,
}

/// Why a saved state was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("it is damaged")]
    Damaged,
    #[error("it is for other targets, penalties or features")]
    OtherPolicy,
}

impl From<SnapshotError> for RestoreError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::OtherContext { .. }
            | SnapshotError::OtherTargets { .. }
            | SnapshotError::Format { .. } => RestoreError::OtherPolicy,
            SnapshotError::TooLarge { .. }
            | SnapshotError::Json(_)
            | SnapshotError::Shape(_)
            | SnapshotError::Value(_) => RestoreError::Damaged,
        }
    }
}

impl Controller {
    /// All that the next process needs: statistics, policies, versions. The window is refilled
    /// from the log ([`Controller::remember`]).
    pub fn save(&mut self) -> Saved {
        self.learn();
        let previous =
            self.previous.iter().cloned().map(|component| Component { share: 1.0, ..component });
        let previous = Snapshot { components: previous.collect(), ..self.snapshot.clone() };
        Saved {
            snapshot: self.snapshot.to_json(),
            previous: self.previous.as_ref().map(|_| previous.to_json()),
            statistics: BASE64_STANDARD.encode(self.statistics.to_bytes()),
            seen: self.seen,
            versions: self.versions,
        }
    }

    /// Restores a saved state.
    ///
    /// # Errors
    ///
    /// When it is damaged, or for other targets, penalties or features.
    pub fn restore(&mut self, saved: &Saved) -> Result<(), RestoreError> {
        let snapshot = Snapshot::parse(saved.snapshot.as_bytes())?;
        if snapshot.targets != self.options.targets || snapshot.penalties != self.options.penalties
        {
            return Err(RestoreError::OtherPolicy);
        }
        let statistics =
            BASE64_STANDARD.decode(&saved.statistics).map_err(|_| RestoreError::Damaged)?;
        let dimensions = Context::new(snapshot.targets.len()).dimensions();
        let statistics = Statistics::from_bytes(&statistics, snapshot.targets.len(), dimensions)
            .ok_or(RestoreError::Damaged)?;
        let previous = match &saved.previous {
            Some(json) => Snapshot::parse(json.as_bytes())?.components.into_iter().next(),
            None => None,
        };
        self.statistics = statistics;
        self.previous = previous;
        let mut components = snapshot.components.iter().cloned();
        self.current = components.next().ok_or(RestoreError::Damaged)?;
        self.canary = components.next();
        (self.seen, self.versions) = (saved.seen, saved.versions);
        // Another explorer takes effect with the next snapshot at the latest; here at once.
        self.snapshot = Snapshot { explorer: self.options.explorer, ..snapshot };
        let needs_factors = self.options.explorer.needs_spread();
        let model = self.statistics.fit(&self.prior, "", needs_factors);
        self.model = model.ok_or(RestoreError::Damaged)?;
        if needs_factors && self.current.factors.is_empty() {
            self.current =
                Component { version: self.current.version.clone(), ..self.model.clone() };
            self.canary = None;
            self.publish();
        }
        Ok(())
    }
}
