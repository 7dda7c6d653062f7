//! The one thread that writes: many requests, one commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::attribution::Attribution;
use super::store::{Store, StoreError};
use crate::serve::caches::Caches;
use crate::serve::clock::now_ms;
use crate::serve::journal::{COMMIT, Checkpoint, Counts, Handle, Job, Journal, Receipt, take};
use crate::serve::learning::Learner;
use crate::serve::line::Stored;
use crate::serve::status::Shared;

/// How often batches that are no longer needed are removed from the log.
const CLEAN: Duration = Duration::from_secs(60);

/// The log, and the attribution that follows from it.
pub struct FileJournal {
    pub store: Store,
    pub attribution: Attribution,
    pub learner: Learner,
    pub shared: Arc<Shared>,
}

impl Journal for FileJournal {
    type Error = StoreError;

    fn append(&mut self, batches: &[&[Stored]]) -> Result<Vec<Receipt>, StoreError> {
        let at_ms = now_ms();
        let sequences = self.store.append(at_ms, batches)?;
        let batches = sequences.into_iter().zip(batches);
        Ok(batches.map(|(sequence, lines)| self.attribute(lines, sequence, at_ms)).collect())
    }
}

impl FileJournal {
    fn attribute(&mut self, lines: &[Stored], sequence: i64, at_ms: u64) -> Receipt {
        let mut counts = Counts::default();
        let (mut updates, mut accepted, mut duplicates) = (Vec::new(), Vec::new(), Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let before = counts;
            updates.extend(self.attribution.take(line, at_ms, &mut counts));
            accepted.extend((counts.accepted > before.accepted).then_some(line));
            duplicates.extend((counts.duplicate > before.duplicate).then_some(at));
        }
        self.shared.count(&accepted, &updates, counts, self.attribution.waiting());
        self.learner.teach(sequence, updates);
        Receipt { counts, duplicates }
    }
}

pub struct Writer {
    pub journal: FileJournal,
    pub caches: Caches,
}

impl Writer {
    /// Starts the thread.
    pub fn start(self) -> (Handle, JoinHandle<()>) {
        let (handle, receiver) = Handle::channel();
        self.journal.learner.writes_to(handle.clone());
        (handle, std::thread::spawn(move || self.run(&receiver)))
    }

    fn run(mut self, receiver: &Receiver<Job>) {
        let mut cleaned = Instant::now();
        loop {
            let first = match receiver.recv_timeout(CLEAN) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let jobs: Vec<Job> =
                first.into_iter().chain(receiver.try_iter().take(COMMIT)).collect();
            let stop = jobs.iter().any(|job| matches!(job, Job::Stop));
            self.work(jobs);
            if cleaned.elapsed() > CLEAN {
                cleaned = Instant::now();
                let window = self.journal.attribution.window_ms();
                // A log that is too long costs space, and loses nothing.
                let _ = self.journal.store.forget(window);
            }
            if stop {
                self.journal.learner.finish();
                self.save_last(receiver);
                self.journal.store.close();
                return;
            }
        }
    }

    /// After the end, the learner still hands in its last state.
    fn save_last(&mut self, receiver: &Receiver<Job>) {
        while let Ok(job) = receiver.recv_timeout(Duration::from_secs(10)) {
            let last = matches!(job, Job::Save(_));
            self.work(vec![job]);
            if last {
                return;
            }
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let (mut posts, mut checkpoints) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Post(post) => posts.push(post),
                Job::Save(checkpoint) => checkpoints.push(checkpoint),
                Job::Stop => {}
            }
        }
        // Posts that could not be kept are answered with 503, and come again.
        let _ = take(&mut self.journal, posts, &self.caches);
        for Checkpoint { sequence, state, done } in checkpoints {
            // The next checkpoint comes soon; until then the log is replayed from the one before.
            let saved = self.journal.store.save(sequence, &state);
            if let (Ok(()), Some(done)) = (saved, done) {
                let _ = done.send(());
            }
        }
    }
}
