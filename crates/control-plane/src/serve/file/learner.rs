//! The thread that learns: updates in, snapshots and checkpoints out.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::attribution::Attribution;
use super::store::{Store, StoreError};
use crate::bandit::{Learners, Update};
use crate::serve::journal::{Checkpoint, Counts, Handle, Job};
use crate::serve::learning::{Learner, Task, channel};
use crate::serve::rules::Rules;
use crate::serve::status::Shared;

/// Time between two looks at what was learnt: half of what may pass until a snapshot is out.
const STEP: Duration = Duration::from_secs(1);
/// Time between two checkpoints while nothing is published.
const SAVE: Duration = Duration::from_secs(5);

/// Learners that know the log up to a sequence number.
pub struct Resumed {
    pub learners: Learners,
    pub sequence: i64,
}

/// Resumes where the state file ends: the checkpoint, and everything in the log since. Attribution
/// goes by the times at which batches arrived, however long ago that is: what was acknowledged
/// counts.
///
/// # Errors
///
/// When the file cannot be read or belongs to another policy.
pub fn resume(
    mut learners: Learners,
    store: &mut Store,
    rules: &Rules,
    attribution: &mut Attribution,
) -> Result<Resumed, StoreError> {
    let (mut sequence, state) = store.saved()?;
    if state.is_empty() {
        // From now on the file says what policy its log is for.
        store.save(sequence, &learners.save())?;
    } else {
        learners.restore(&state)?;
    }
    let learnt = sequence;
    let mut counts = Counts::default();
    store.replay(rules, |batch| {
        sequence = sequence.max(batch.sequence);
        for line in &batch.lines {
            let Some(update) = attribution.take(line, batch.at_ms, &mut counts) else { continue };
            if batch.sequence > learnt {
                apply(&mut learners, update);
            } else if let Update::Learn { sample, drawn: true } = update {
                // Learnt already, but policies are still evaluated on it.
                learners.remember(sample);
            }
        }
    })?;
    Ok(Resumed { learners, sequence })
}

fn apply(learners: &mut Learners, update: Update) {
    match update {
        Update::Learn { sample, drawn } => learners.observe(sample, drawn),
        Update::Correct { sample, reward } => learners.correct(&sample, reward),
    }
}

/// Starts the thread.
pub fn start(resumed: Resumed, shared: Arc<Shared>) -> (Learner, JoinHandle<()>) {
    let (learner, receiver) = channel();
    let thread = Thread {
        learners: resumed.learners,
        sequence: resumed.sequence,
        writer: Arc::clone(&learner.writer),
        shared,
        stepped: Instant::now(),
        saved: Instant::now(),
    };
    thread.shared.publish(&thread.learners);
    (learner, std::thread::spawn(move || thread.run(&receiver)))
}

struct Thread {
    learners: Learners,
    sequence: i64,
    writer: Arc<OnceLock<Handle>>,
    shared: Arc<Shared>,
    stepped: Instant,
    saved: Instant,
}

impl Thread {
    fn run(mut self, receiver: &Receiver<Task>) {
        loop {
            match receiver.recv_timeout(STEP / 4) {
                Ok(Task::Updates { sequence, updates }) => {
                    updates.into_iter().for_each(|update| apply(&mut self.learners, update));
                    self.sequence = sequence;
                }
                Ok(Task::Command { command, done }) => {
                    let changed = command.carry_out(&mut self.learners);
                    self.publish();
                    self.save(Some((done, changed)));
                }
                Ok(Task::Finish) | Err(RecvTimeoutError::Disconnected) => {
                    self.learners.step();
                    self.publish();
                    let state = self.learners.save();
                    if let Some(writer) = self.writer.get() {
                        writer.send_waiting(self.checkpoint(state, None));
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stepped.elapsed() >= STEP {
                let published = self.learners.step();
                self.stepped = Instant::now();
                self.publish();
                if published || self.saved.elapsed() >= SAVE {
                    self.save(None);
                }
            }
        }
    }

    fn publish(&mut self) {
        let events = self.learners.take_events();
        self.shared.record(events);
        self.shared.publish(&self.learners);
    }

    fn checkpoint(&self, state: Vec<u8>, done: Option<oneshot::Sender<()>>) -> Job {
        Job::Save(Checkpoint { sequence: self.sequence, state, done })
    }

    /// Hands a checkpoint to the writer. A command is answered once it is kept.
    fn save(&mut self, order: Option<(oneshot::Sender<bool>, bool)>) {
        self.saved = Instant::now();
        let state = self.learners.save();
        let Some(writer) = self.writer.get() else { return };
        let Some((answer, changed)) = order else {
            // A full queue means that the log is busy: the next checkpoint will do.
            writer.send(self.checkpoint(state, None));
            return;
        };
        let (done, kept) = oneshot::channel();
        if writer.send(self.checkpoint(state, Some(done))) {
            std::thread::spawn(move || {
                let kept = kept.blocking_recv().is_ok();
                // The client may be gone.
                let _ = answer.send(kept && changed);
            });
        }
    }
}
