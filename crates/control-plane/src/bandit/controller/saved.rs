//! What the next process resumes from.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::Controller;
use crate::bandit::Statistics;
use pointsman_core::policy::bandit::{Component, Context, Snapshot};

/// A controller in a checkpoint.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    snapshot: String,
    previous: Option<String>,
    statistics: String,
    seen: u64,
    versions: u64,
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

    /// Restores a saved state; `None`, and nothing changed, when it is for other targets,
    /// penalties or features.
    pub fn restore(&mut self, saved: &Saved) -> Option<()> {
        let snapshot = Snapshot::parse(saved.snapshot.as_bytes()).ok()?;
        if snapshot.targets != self.options.targets || snapshot.penalties != self.options.penalties
        {
            return None;
        }
        let statistics = BASE64_STANDARD.decode(&saved.statistics).ok()?;
        let dimensions = Context::new(snapshot.targets.len()).dimensions();
        let statistics = Statistics::from_bytes(&statistics, snapshot.targets.len(), dimensions)?;
        let previous = match &saved.previous {
            Some(json) => Snapshot::parse(json.as_bytes()).ok()?.components.into_iter().next(),
            None => None,
        };
        self.statistics = statistics;
        self.previous = previous;
        let mut components = snapshot.components.iter().cloned();
        self.current = components.next()?;
        self.canary = components.next();
        (self.seen, self.versions) = (saved.seen, saved.versions);
        // Another explorer takes effect with the next snapshot at the latest; here at once.
        self.snapshot = Snapshot { explorer: self.options.explorer, ..snapshot };
        let needs_factors = self.options.explorer.needs_spread();
        self.model = self.statistics.fit(&self.prior, "", needs_factors)?;
        if needs_factors && self.current.factors.is_empty() {
            self.current =
                Component { version: self.current.version.clone(), ..self.model.clone() };
            self.canary = None;
            self.publish();
        }
        Some(())
    }
}
