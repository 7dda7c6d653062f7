//! Where entries outlive the process: a file of its own, or a Redis that replicas share.
//!
//! Writing is behind: it never delays a request and never fails one. When the disk is full or the
//! server gone, entries live in memory only, and a counter shows it. Every entry has a checksum
//! over all its fields, and one that does not match is dropped: whatever a crash leaves, no answer
//! is served that was not written whole.

mod file;
mod lookup;
mod redis;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::entry::Entry;
use super::key::ExactKey;

pub use file::File;
pub(super) use file::Loading;
pub(super) use lookup::{Desk, Finder, desk};
pub(super) use redis::{News, Reader};
// The values that are read back from a server, for those who try what becomes of strange ones.
pub use redis::{Announced, BadServer, RedisStore, Server, entry_of, fields_of, of_streams};

/// Changes that wait to be written; more are dropped: a store this slow is as good as gone.
const QUEUE: usize = 10_000;
/// Changes that are written at once, at most.
const BATCH: usize = 512;
/// How often a store that nothing is written to may tidy up.
const SWEEP: Duration = Duration::from_secs(60);

/// Where a target's entries are.
#[derive(Clone, Debug)]
pub enum StoreLocation {
    /// An SQLite file, for this process alone.
    File(PathBuf),
    Redis(Server),
}

/// Why a target runs without its store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: rusqlite::Error },
    #[error(transparent)]
    Redis(::redis::RedisError),
}

/// What happens to an entry.
#[derive(Clone, Debug)]
pub enum Change {
    Insert(Arc<Entry>),
    /// It must no longer serve, wherever it is.
    Remove(ExactKey),
    /// There is no memory for it here.
    Evict(ExactKey),
    Clear,
}

/// What changes are written to.
pub trait Store: Send + 'static {
    type Error;

    /// Writes changes in their order.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    fn write(&mut self, changes: &[Change]) -> Result<(), Self::Error>;

    /// Deletes what has expired, or catches up on what could not be written.
    ///
    /// # Errors
    ///
    /// As [`Store::write`].
    fn sweep(&mut self) -> Result<(), Self::Error>;
}

/// Writes behind, on a thread of its own.
pub(super) struct Writer {
    queue: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `first` is called on the thread, and makes changes too, as long as it takes; `failed`
    /// whenever changes could not be made.
    pub(super) fn start<S: Store>(
        mut store: S,
        first: impl FnOnce(&mut S, &Receiver<Change>) + Send + 'static,
        failed: impl Fn() + Send + 'static,
    ) -> Self {
        let (queue, changes) = sync_channel(QUEUE);
        let thread = std::thread::spawn(move || {
            first(&mut store, &changes);
            run(store, &changes, failed);
        });
        Writer { queue: Some(queue), thread: Some(thread) }
    }

    /// Takes a change, unless the store is too far behind. Never waits.
    pub(super) fn send(&self, change: Change) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.try_send(change).is_ok())
    }
}

impl Drop for Writer {
    /// Writes what is queued.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut store: impl Store, changes: &Receiver<Change>, failed: impl Fn()) {
    loop {
        let result = match changes.recv_timeout(SWEEP) {
            Ok(first) => {
                let batch: Vec<Change> =
                    std::iter::once(first).chain(changes.try_iter()).take(BATCH).collect();
                store.write(&batch)
            }
            Err(RecvTimeoutError::Timeout) => store.sweep(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if result.is_err() {
            failed();
        }
    }
}
