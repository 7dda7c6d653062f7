//! What an operator decides.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::bandit::Learners;

/// Where all state is.
#[derive(Clone, Debug)]
pub enum State {
    /// One file, of one process.
    File(PathBuf),
    /// `redis://host:port/database`, of any number of processes.
    Redis(String),
}

/// What `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub state: State,
    /// Secret that decision IDs are signed with.
    pub key: String,
    /// Bearer token of everything but reading.
    pub token: String,
    /// How long after its decision a reward still counts.
    pub attribution: Duration,
    /// Decisions that wait for a reward, at most; the oldest give way.
    pub pending: usize,
    /// Lines per second, at most.
    pub rate: u32,
    /// Admin addresses of the caches that rewards for their answers are sent to.
    pub caches: Vec<Uri>,
    /// Learners that have seen nothing.
    pub learners: Learners,
}
