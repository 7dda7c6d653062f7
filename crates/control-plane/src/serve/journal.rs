//! What every store does with the lines of posts: keep them, and attribute each reward once.
//!
//! `contract.rs` runs one suite over all stores.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::Serialize;
use tokio::sync::oneshot;

use super::caches::Caches;
use super::line::Stored;

/// Batches that wait to be written; beyond that, requests are turned away.
const QUEUE: usize = 1024;
/// Most batches of one commit.
pub const COMMIT: usize = 256;

/// Lines by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub accepted: u64,
    /// The same decision, or a reward from the same or a lesser source, again.
    pub duplicate: u64,
    /// Rewards that wait for their decision.
    pub early: u64,
    /// Rewards after the attribution window.
    pub late: u64,
    pub forged: u64,
    pub invalid: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.early += other.early;
        self.late += other.late;
        self.forged += other.forged;
        self.invalid += other.invalid;
    }
}

/// What a store answers to one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub counts: Counts,
    /// Positions of the duplicate lines, ascending.
    pub duplicates: Vec<usize>,
}

/// A store that attributes rewards to decisions, each once, whatever the order and however often
/// lines come.
pub trait Journal {
    type Error;

    /// Keeps batches and hands on what is to be learnt from them; one receipt per batch. What has
    /// a receipt survives this process.
    ///
    /// # Errors
    ///
    /// When the store is full or unavailable. The batches may have been kept nevertheless; IDs
    /// make it harmless to append them again.
    fn append(&mut self, batches: &[&[Stored]]) -> Result<Vec<Receipt>, Self::Error>;
}

/// Appends the lines of posts, answers each post, and forwards rewards to caches.
///
/// # Errors
///
/// As [`Journal::append`]; then no post is answered.
pub fn take<J: Journal>(
    journal: &mut J,
    posts: Vec<Post>,
    caches: &Caches,
) -> Result<(), J::Error> {
    if posts.is_empty() {
        return Ok(());
    }
    let batches: Vec<&[Stored]> = posts.iter().map(|post| post.lines.as_slice()).collect();
    let receipts = journal.append(&batches)?;
    for (Post { lines, done }, receipt) in posts.into_iter().zip(receipts) {
        for (at, line) in lines.iter().enumerate() {
            if receipt.duplicates.binary_search(&at).is_err() {
                caches.forward(line);
            }
        }
        // A client that went away does not change what was written.
        let _ = done.send(receipt.counts);
    }
    Ok(())
}

/// The lines of a request. `done` is dropped when they could not be kept.
pub struct Post {
    pub lines: Vec<Stored>,
    pub done: oneshot::Sender<Counts>,
}

/// What was learnt from the log up to a sequence number.
pub struct Checkpoint {
    pub sequence: i64,
    pub state: Vec<u8>,
    /// Sent to once it is kept.
    pub done: Option<oneshot::Sender<()>>,
}

/// Work for the thread that writes.
pub enum Job {
    Post(Post),
    Save(Checkpoint),
    Stop,
}

/// Sends work to the thread.
#[derive(Clone)]
pub struct Handle(SyncSender<Job>);

impl Handle {
    /// A handle, and the end at which its work arrives.
    pub fn channel() -> (Handle, Receiver<Job>) {
        let (sender, receiver) = sync_channel(QUEUE);
        (Handle(sender), receiver)
    }

    /// Queues work; `false` when the queue is full or the thread has ended.
    pub fn send(&self, job: Job) -> bool {
        self.0.try_send(job).is_ok()
    }

    /// Queues work, waiting for room.
    pub fn send_waiting(&self, job: Job) -> bool {
        self.0.send(job).is_ok()
    }

    /// Ends the thread after what is queued.
    pub fn stop(&self) {
        // A thread that is gone has ended already.
        let _ = self.0.send(Job::Stop);
    }
}
