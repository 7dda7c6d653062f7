//! The control plane: takes decisions and rewards, learns, publishes policy snapshots.
//!
//! ```text
//! http ─► parse, verify ─► writer thread: log (one file), attribution ─► learner thread ─► snapshot
//!                              │ commit                                     │ checkpoint
//!                              └── acknowledge                              └── back to the log
//! ```
//!
//! The log comes first: nothing is acknowledged that a crash could lose, and what was learnt is a
//! function of the log, so that a restart neither forgets nor counts twice.
#![allow(
    clippy::indexing_slicing,
    reason = "native only: no request of Envoy's is open here that a panic could cost"
)]

mod api;
mod attribution;
mod caches;
mod learning;
mod line;
mod redis;
mod status;
mod store;
mod writer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;
use tokio::signal::unix::{SignalKind, signal};

use crate::bandit::Learners;
use pointsman_core::control_plane::Signer;

pub use self::redis::RedisStoreError;
pub use line::Stored;
pub use store::{Store, StoreError};

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
    /// Secret that decision ids are signed with.
    pub key: String,
    /// Bearer token of everything but reading.
    pub token: String,
    /// How long after its decision a reward still counts.
    pub attribution: Duration,
    /// Decisions that wait for a reward at most; the oldest give way.
    pub pending: usize,
    /// Lines a second that are taken at most.
    pub rate: u32,
    /// Admin addresses of the caches that are told of rewards for their answers.
    pub caches: Vec<Uri>,
    /// As on the first day.
    pub learners: Learners,
}

/// Why `serve` ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{path}: {error}")]
    State { path: String, error: StoreError },
    #[error("Redis: {0}")]
    Redis(#[from] RedisStoreError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("the key is of no use")]
    Key,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Runs until SIGTERM or Ctrl-C; then what was accepted is finished and saved. `ready` gets the
/// address that is listened on, and what the operator should know.
///
/// # Errors
///
/// When the state cannot be opened or the address is taken.
pub fn serve(
    options: Options,
    ready: impl FnOnce(SocketAddr, Option<String>),
) -> Result<(), ServeError> {
    let signer = Signer::new(&options.key).ok_or(ServeError::Key)?;
    let learners = options.learners.clone();
    let shared = Arc::new(status::Shared::new(&learners));
    let caches = caches::Caches::start(&options.caches, &shared);
    let (writer, learner, threads) = match &options.state {
        State::File(path) => start(&options, path, learners, &shared, caches)
            .map_err(|error| ServeError::State { path: path.display().to_string(), error })?,
        State::Redis(url) => redis::start(url, &options, learners, &shared, caches)?,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let warning = shared.warning();
    let api = api::Api::new(&options, signer, shared, writer.clone(), learner);
    let served = runtime.block_on(async {
        // Whoever sees the address may end us: the signals are ours before.
        let ended = ended()?;
        let listener = tokio::net::TcpListener::bind(options.listen)
            .await
            .map_err(|error| ServeError::Listen { address: options.listen, error })?;
        ready(listener.local_addr()?, warning);
        axum::serve(listener, api.router()).with_graceful_shutdown(ended).await?;
        Ok(())
    });
    // No handler is left that could send: what is queued is written, then learnt, then saved.
    drop(runtime);
    writer.stop();
    for thread in threads {
        let _ = thread.join();
    }
    served
}

/// Starts the threads that work on a state file.
fn start(
    options: &Options,
    path: &Path,
    learners: Learners,
    shared: &Arc<status::Shared>,
    caches: caches::Caches,
) -> Result<(writer::Handle, learning::Learner, Vec<JoinHandle<()>>), StoreError> {
    let store = Store::open(path)?;
    let mut attribution = attribution::Attribution::new(options.attribution, options.pending);
    let resumed = learning::resume(learners, &store, &mut attribution)?;
    let (learner, learning) = learning::start(resumed, Arc::clone(shared));
    let shared = Arc::clone(shared);
    let writer = writer::Writer { store, attribution, learner: learner.clone(), shared, caches };
    let (writer, writing) = writer.start();
    Ok((writer, learner, vec![writing, learning]))
}

/// Ends with the first SIGTERM or Ctrl-C from now on.
fn ended() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
