//! The one thread that writes: many requests, one commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::attribution::{Attribution, Counts};
use super::caches::Caches;
use super::learning::Learner;
use super::line::Stored;
use super::now_ms;
use super::status::Shared;
use super::store::Store;

/// Batches that wait to be written; beyond that, requests are turned away.
const QUEUE: usize = 1024;
/// Most batches of one commit.
pub const COMMIT: usize = 256;
/// How often the log is looked through for what nobody needs any more.
const CLEAN: Duration = Duration::from_secs(60);

/// Work for the thread.
pub enum Job {
    /// Write, attribute, and answer with what became of the lines.
    Lines {
        lines: Vec<Stored>,
        done: oneshot::Sender<Result<Counts, ()>>,
    },
    /// Keep what was learnt.
    Save {
        sequence: i64,
        state: Vec<u8>,
        done: Option<oneshot::Sender<()>>,
    },
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

    /// Queues work; `false` when the queue is full or the thread is gone.
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

pub struct Writer {
    pub store: Store,
    pub attribution: Attribution,
    pub learner: Learner,
    pub shared: Arc<Shared>,
    pub caches: Caches,
}

impl Writer {
    /// Starts the thread.
    pub fn start(self) -> (Handle, JoinHandle<()>) {
        let (handle, receiver) = Handle::channel();
        self.learner.writes_to(handle.clone());
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
                let oldest = now_ms().saturating_sub(self.attribution.window_ms());
                // A log that is too long costs space, not truth.
                let _ = self.store.forget(oldest);
            }
            if stop {
                self.learner.finish();
                self.save_last(receiver);
                return;
            }
        }
    }

    /// After the end, the learner still hands in its last state.
    fn save_last(&mut self, receiver: &Receiver<Job>) {
        while let Ok(job) = receiver.recv_timeout(Duration::from_secs(10)) {
            let last = matches!(job, Job::Save { .. });
            self.work(vec![job]);
            if last {
                return;
            }
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let at_ms = now_ms();
        let batches: Vec<(u64, &[Stored])> = jobs
            .iter()
            .filter_map(|job| match job {
                Job::Lines { lines, .. } => Some((at_ms, lines.as_slice())),
                _ => None,
            })
            .collect();
        let mut sequences =
            if batches.is_empty() { Ok(Vec::new()) } else { self.store.append(&batches) }
                .map(Vec::into_iter);
        for job in jobs {
            match job {
                Job::Lines { lines, done } => {
                    let sequence = match &mut sequences {
                        Ok(sequences) => sequences.next(),
                        Err(_) => None,
                    };
                    let result = match sequence {
                        Some(sequence) => Ok(self.attribute(&lines, sequence, at_ms)),
                        None => Err(()),
                    };
                    // A client that went away does not change what was written.
                    let _ = done.send(result);
                }
                Job::Save { sequence, state, done } => {
                    // The next checkpoint comes soon; until then the log is replayed from the
                    // one before.
                    let saved = self.store.save(sequence, &state);
                    if let (Ok(()), Some(done)) = (saved, done) {
                        let _ = done.send(());
                    }
                }
                Job::Stop => {}
            }
        }
    }

    fn attribute(&mut self, lines: &[Stored], sequence: i64, at_ms: u64) -> Counts {
        let mut counts = Counts::default();
        let (mut lessons, mut taken) = (Vec::new(), Vec::new());
        for line in lines {
            let before = counts;
            lessons.extend(self.attribution.take(line, at_ms, &mut counts));
            taken.extend((counts.accepted > before.accepted).then_some(line));
            if counts.duplicate == before.duplicate {
                self.caches.tell(line);
            }
        }
        self.shared.count(&taken, &lessons, counts, self.attribution.waiting());
        self.learner.teach(sequence, lessons);
        counts
    }
}
