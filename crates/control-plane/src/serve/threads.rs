//! What works on a store.

use std::thread::JoinHandle;

use super::journal::Handle;
use super::learning::Learner;

/// Running threads, and how to reach them.
pub struct Threads {
    pub writer: Handle,
    pub learner: Learner,
    pub running: Vec<JoinHandle<()>>,
}
