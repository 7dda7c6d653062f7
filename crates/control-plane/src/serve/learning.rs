//! What reaches the thread that learns: updates, and commands of a person.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::journal::Handle;
use crate::bandit::{Learners, Update};

/// Batches of updates that wait; beyond that, the writer waits too.
const QUEUE: usize = 4096;

/// Work for the thread.
pub enum Task {
    Updates { sequence: i64, updates: Vec<Update> },
    Command { command: Command, done: oneshot::Sender<bool> },
    Finish,
}

/// A handle, and the end at which its work arrives.
pub fn channel() -> (Learner, Receiver<Task>) {
    let (tasks, receiver) = sync_channel(QUEUE);
    (Learner { tasks, writer: Arc::default() }, receiver)
}

/// What a person may order, for a segment's learner or, without a name, for the global one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Promote(String),
    RollBack(String),
}

impl Command {
    /// Carries it out; `false` when there was nothing to promote or to roll back.
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
    /// Where checkpoints go.
    pub writer: Arc<OnceLock<Handle>>,
}

impl Learner {
    /// Sends checkpoints there.
    pub fn writes_to(&self, writer: Handle) {
        // Set once, on start.
        let _ = self.writer.set(writer);
    }

    /// Hands on the updates of a batch.
    pub fn teach(&self, sequence: i64, updates: Vec<Update>) {
        // When the thread has ended, the log still has them.
        let _ = self.tasks.send(Task::Updates { sequence, updates });
    }

    /// Carries out a command; `false` when there was nothing to promote or to roll back.
    pub async fn order(&self, command: Command) -> bool {
        let (done, answer) = oneshot::channel();
        self.tasks.try_send(Task::Command { command, done }).is_ok() && answer.await == Ok(true)
    }

    /// Learns what is queued, saves and ends.
    pub fn finish(&self) {
        let _ = self.tasks.send(Task::Finish);
    }
}
