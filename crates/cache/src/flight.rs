//! One request at a time for the same answer: the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::key::ExactKey;

/// Requests under way, by key.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<ExactKey, watch::Receiver<()>>>>);

/// Who asks the model.
pub(super) enum Role {
    /// This request does, until its flight is dropped.
    Leader(Flight),
    /// Another one does.
    Follower(watch::Receiver<()>),
}

/// A request under way. Dropping it wakes those that wait.
pub(super) struct Flight {
    key: ExactKey,
    flights: Flights,
    /// Dropped behind the entry in the map.
    _landed: watch::Sender<()>,
}

impl Flights {
    pub(super) fn join(&self, key: ExactKey) -> Role {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return Role::Follower(flight.clone());
        }
        let (landed, waiting) = watch::channel(());
        flights.insert(key, waiting);
        Role::Leader(Flight { key, flights: self.clone(), _landed: landed })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Waits until the flight is over, however it ended, or patience is.
pub(super) async fn landed(mut flight: watch::Receiver<()>, patience: Duration) {
    // Nothing is ever sent: the error is the end of the flight.
    let _ = tokio::time::timeout(patience, flight.changed()).await;
}
