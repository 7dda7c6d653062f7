//! One request at a time for the same answer: the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::entry::Entry;
use super::key::ExactKey;

/// What the leader got, once it was kept.
type Kept = Option<Arc<Entry>>;

/// Requests under way, by key.
#[derive(Clone, Default)]
pub(super) struct Singleflight(Arc<Mutex<HashMap<ExactKey, watch::Receiver<Kept>>>>);

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
    /// Dropped after the entry in the map, so that whoever wakes without an answer finds the key
    /// free.
    kept: watch::Sender<Kept>,
}

/// A request that waits for the leader of its key.
pub(super) struct Follower(watch::Receiver<Kept>);

impl Singleflight {
    pub(super) fn join(&self, key: ExactKey) -> Role {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = under_way.get(&key) {
            return Role::Follower(Follower(waiting.clone()));
        }
        let (kept, waiting) = watch::channel(None);
        under_way.insert(key, waiting);
        Role::Leader(Lead { key, group: self.clone(), kept })
    }
}

impl Lead {
    /// Gives the followers what was kept.
    pub(super) fn share(&self, entry: Arc<Entry>) {
        self.kept.send_replace(Some(entry));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.group.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Follower {
    /// Waits until the leader is done, or until `patience` is over. The answer is the leader's own:
    /// what else the cache has may be older than a request that wants a new one.
    pub(super) async fn wait(mut self, patience: Duration) -> Option<Arc<Entry>> {
        // An error is the end of a leader that kept nothing.
        let _ = tokio::time::timeout(patience, self.0.changed()).await;
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::key::Digest128;

    const KEY: ExactKey = Digest128([7; 16]);

    fn entry() -> Arc<Entry> {
        Arc::new(Entry {
            exact: KEY,
            partition: KEY,
            question: None,
            vector: None,
            content_type: "application/json".into(),
            body: Bytes::from_static(b"{}"),
            usage: None,
            created_ms: 1,
            expires_ms: 2,
        })
    }

    fn pair() -> (Singleflight, Lead, Follower) {
        let group = Singleflight::default();
        let (Role::Leader(lead), Role::Follower(follower)) = (group.join(KEY), group.join(KEY))
        else {
            panic!("the first one leads, and the second one follows");
        };
        (group, lead, follower)
    }

    #[tokio::test]
    async fn followers_get_what_the_leader_kept_and_nothing_else() {
        let (_group, lead, follower) = pair();
        let waiting = tokio::spawn(follower.wait(Duration::from_secs(60)));
        lead.share(entry());
        drop(lead);
        assert_eq!(waiting.await.unwrap(), Some(entry()));
    }

    #[tokio::test]
    async fn a_leader_that_kept_nothing_leaves_its_key_to_the_next() {
        let (group, lead, follower) = pair();
        drop(lead);
        assert_eq!(follower.wait(Duration::from_secs(60)).await, None);
        assert!(matches!(group.join(KEY), Role::Leader(_)));
    }
}
