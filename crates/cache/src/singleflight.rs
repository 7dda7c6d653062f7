//! One request at a time for the same answer: the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::key::ExactKey;

/// Requests under way, by key.
#[derive(Clone, Default)]
pub(super) struct Singleflight(Arc<Mutex<HashMap<ExactKey, watch::Receiver<()>>>>);

/// Who asks the model.
pub(super) enum Role {
    /// This request does, until its lead is dropped.
    Leader(Lead),
    /// Another one does.
    Follower(Follower),
}

/// The right to ask. Dropping it wakes the followers.
pub(super) struct Lead {
    key: ExactKey,
    group: Singleflight,
    /// Dropped after the entry in the map, so that whoever wakes finds the key free.
    _done: watch::Sender<()>,
}

/// A request that waits for the leader of its key.
pub(super) struct Follower(watch::Receiver<()>);

impl Singleflight {
    pub(super) fn join(&self, key: ExactKey) -> Role {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = under_way.get(&key) {
            return Role::Follower(Follower(done.clone()));
        }
        let (done, waiting) = watch::channel(());
        under_way.insert(key, waiting);
        Role::Leader(Lead { key, group: self.clone(), _done: done })
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.group.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Follower {
    /// Waits until the leader is done, whatever its result, or until `patience` is over.
    pub(super) async fn wait(mut self, patience: Duration) {
        // Nothing is ever sent: the error is the end.
        let _ = tokio::time::timeout(patience, self.0.changed()).await;
    }
}
