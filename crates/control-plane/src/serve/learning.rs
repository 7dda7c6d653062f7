//! The thread that learns: lessons in, snapshots and checkpoints out.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::attribution::{Attribution, Counts, Lesson};
use super::now_ms;
use super::status::Shared;
use super::store::{Store, StoreError};
use super::writer::{Handle, Job};
use crate::bandit::Learners;

/// Time between two looks at what was learnt: half of what may pass until a snapshot is out.
const STEP: Duration = Duration::from_secs(1);
/// Time between two checkpoints while nothing is published.
const SAVE: Duration = Duration::from_secs(5);
/// Batches of lessons that wait; beyond that, the writer waits too.
const QUEUE: usize = 4096;

/// Work for the thread.
pub enum Task {
    Lessons { sequence: i64, lessons: Vec<Lesson> },
    Command { command: Command, done: oneshot::Sender<bool> },
    Finish,
}

/// A handle, and the end at which its work arrives.
pub fn channel() -> (Learner, Receiver<Task>) {
    let (tasks, receiver) = sync_channel(QUEUE);
    (Learner { tasks, writer: Arc::default() }, receiver)
}

/// What a person may order in a segment; without a name where none decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Promote(String),
    RollBack(String),
}

impl Command {
    /// Carries it out; says whether there was anything to do.
    pub fn carry_out(&self, learners: &mut Learners) -> bool {
        match self {
            Command::Promote(segment) => learners.promote(segment),
            Command::RollBack(segment) => learners.roll_back(segment),
        }
    }
}

/// Sends work to the thread.
#[derive(Clone)]
pub struct Learner {
    tasks: SyncSender<Task>,
    writer: Arc<OnceLock<Handle>>,
}

impl Learner {
    /// Where checkpoints go.
    pub fn writes_to(&self, writer: Handle) {
        // Set once, on start.
        let _ = self.writer.set(writer);
    }

    /// Hands on the lessons of a batch.
    pub fn teach(&self, sequence: i64, lessons: Vec<Lesson>) {
        // When the thread is gone the log still has them.
        let _ = self.tasks.send(Task::Lessons { sequence, lessons });
    }

    /// Carries out an order; says whether there was anything to do.
    pub async fn order(&self, command: Command) -> bool {
        let (done, answer) = oneshot::channel();
        self.tasks.try_send(Task::Command { command, done }).is_ok() && answer.await == Ok(true)
    }

    /// Learns what is queued, saves and ends.
    pub fn finish(&self) {
        let _ = self.tasks.send(Task::Finish);
    }
}

/// Learners that know the log up to a sequence number.
pub struct Resumed {
    pub learners: Learners,
    pub sequence: i64,
}

/// Takes up where the state file ends: the checkpoint, and the log since.
///
/// # Errors
///
/// When the file cannot be read or belongs to another policy.
pub fn resume(
    mut learners: Learners,
    store: &Store,
    attribution: &mut Attribution,
) -> Result<Resumed, StoreError> {
    let mut sequence = 0;
    if let Some((saved, state)) = store.saved()? {
        learners.restore(&state).ok_or(StoreError::OtherPolicy)?;
        sequence = saved;
    }
    let learnt = sequence;
    let mut counts = Counts::default();
    store.replay(now_ms().saturating_sub(attribution.window_ms()), |batch| {
        sequence = sequence.max(batch.sequence);
        for line in &batch.lines {
            let Some(lesson) = attribution.take(line, batch.at_ms, &mut counts) else { continue };
            if batch.sequence > learnt {
                apply(&mut learners, lesson);
            } else if let Lesson::Learn { sample, drawn: true } = lesson {
                // Learnt already, but policies are still judged on it.
                learners.remember(sample);
            }
        }
    })?;
    Ok(Resumed { learners, sequence })
}

fn apply(learners: &mut Learners, lesson: Lesson) {
    match lesson {
        Lesson::Learn { sample, drawn } => learners.observe(sample, drawn),
        Lesson::Correct { sample, reward } => learners.correct(&sample, reward),
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
                Ok(Task::Lessons { sequence, lessons }) => {
                    lessons.into_iter().for_each(|lesson| apply(&mut self.learners, lesson));
                    self.sequence = sequence;
                }
                Ok(Task::Command { command, done }) => {
                    let changed = command.carry_out(&mut self.learners);
                    self.tell();
                    self.save(Some((done, changed)));
                }
                Ok(Task::Finish) | Err(RecvTimeoutError::Disconnected) => {
                    self.learners.step();
                    self.tell();
                    let state = self.learners.save();
                    if let Some(writer) = self.writer.get() {
                        let job = Job::Save { sequence: self.sequence, state, done: None };
                        writer.send_waiting(job);
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stepped.elapsed() >= STEP {
                let published = self.learners.step();
                self.stepped = Instant::now();
                self.tell();
                if published || self.saved.elapsed() >= SAVE {
                    self.save(None);
                }
            }
        }
    }

    fn tell(&mut self) {
        let events = self.learners.take_events();
        self.shared.record(events);
        self.shared.publish(&self.learners);
    }

    /// Hands a checkpoint to the writer. An order is answered when it is kept.
    fn save(&mut self, order: Option<(oneshot::Sender<bool>, bool)>) {
        self.saved = Instant::now();
        let state = self.learners.save();
        let Some(writer) = self.writer.get() else { return };
        let Some((answer, changed)) = order else {
            // A full queue means that the log is busy: the next checkpoint will do.
            writer.send(Job::Save { sequence: self.sequence, state, done: None });
            return;
        };
        let (done, kept) = oneshot::channel();
        if writer.send(Job::Save { sequence: self.sequence, state, done: Some(done) }) {
            std::thread::spawn(move || {
                let kept = kept.blocking_recv().is_ok();
                // The one who ordered may be gone.
                let _ = answer.send(kept && changed);
            });
        }
    }
}
