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

/// Bearer tokens by what they allow; each may have several, and none where nobody may.
#[derive(Clone, Default)]
pub struct Tokens {
    /// The filters': post decisions, and the rewards that filters give by themselves.
    pub decide: Vec<String>,
    /// Post rewards.
    pub reward: Vec<String>,
    /// Promote and roll back.
    pub administer: Vec<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("Tokens")
    }
}

/// What `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub state: State,
    /// Secret that decision IDs are signed with.
    pub key: String,
    pub tokens: Tokens,
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
