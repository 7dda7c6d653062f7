//! Entries that are asked for while the store is still being read: who reads looks them up in
//! between, so that a request for one need not wait for all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::entry::Entry;
use crate::key::ExactKey;

/// Requests that wait for an entry; more go to the model.
const QUEUE: usize = 4096;
/// How long one waits: a page of entries is read in milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

struct Lookup {
    exact: ExactKey,
    found: oneshot::Sender<Option<Entry>>,
}

/// Asks for entries.
pub(crate) struct Finder(SyncSender<Lookup>);

/// Where entries are asked for; who reads the store drops it at the end.
pub(crate) struct Desk(Receiver<Lookup>);

pub(crate) fn desk() -> (Finder, Desk) {
    let (sender, receiver) = sync_channel(QUEUE);
    (Finder(sender), Desk(receiver))
}

impl Finder {
    /// The entry with this key, if the store has it and is still being read.
    pub(crate) async fn find(&self, exact: ExactKey) -> Option<Arc<Entry>> {
        let (found, answer) = oneshot::channel();
        self.0.try_send(Lookup { exact, found }).ok()?;
        timeout(PATIENCE, answer).await.ok()?.ok()?.map(Arc::new)
    }
}

impl Desk {
    /// Answers those who wait.
    pub(crate) fn serve(&self, mut find: impl FnMut(ExactKey) -> Option<Entry>) {
        for Lookup { exact, found } in self.0.try_iter() {
            if !found.is_closed() {
                // Who asked may have left meanwhile.
                let _ = found.send(find(exact));
            }
        }
    }
}
