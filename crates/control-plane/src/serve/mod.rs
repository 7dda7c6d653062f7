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
    reason = "no request of Envoy's is open here that a panic could cost"
)]

mod access;
mod api;
mod caches;
mod clock;
#[cfg(test)]
mod contract;
mod file;
mod journal;
pub mod layout;
mod learning;
pub mod line;
pub(crate) mod listener;
pub(crate) mod metrics;
mod moved;
mod options;
mod redis;
pub mod rules;
mod status;
mod threads;

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_core::control_plane::Signer;

pub use file::{Batch, Store, StoreError};
use listener::Limits;
pub use options::{Options, State, Tokens};
pub use redis::{RedisStoreError, Sums};
use threads::Threads;

/// Why `serve` ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{path}: {error}")]
    State { path: String, error: StoreError },
    #[error("Redis: {0}")]
    Redis(#[from] RedisStoreError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("invalid signing key")]
    Key,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What an operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// It listens on this address.
    Listening(SocketAddr),
    /// Something that needs attention.
    Warning(&'e str),
}

/// Runs until the future of `end` is ready; then what was accepted is finished and saved. `end` is
/// called within the Tokio runtime, before the address that is listened on is reported: a client may
/// ask for the end as soon as it sees the address.
///
/// # Errors
///
/// When the key is invalid, the state cannot be opened or the address is taken.
pub fn serve<F: Future<Output = ()> + Send + 'static>(
    options: &Options,
    end: impl FnOnce() -> std::io::Result<F>,
    report: impl Fn(Event) + Clone + Send + Sync + 'static,
) -> Result<(), ServeError> {
    let signer = Signer::new(&options.key).ok_or(ServeError::Key)?;
    let warn = report.clone();
    let warn = Box::new(move |warning: &str| warn(Event::Warning(warning)));
    let shared = Arc::new(status::Shared::new(&options.learners, warn));
    let caches = caches::Caches::start(&options.caches, &shared);
    let Threads { writer, learner, running } = match &options.state {
        State::File(path) => file::start(path, options, &shared, caches)
            .map_err(|error| ServeError::State { path: path.display().to_string(), error })?,
        State::Redis(url) => redis::start(url, options, &shared, caches)?,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let api = api::Api::new(options, signer, shared, writer.clone(), learner);
    let served = runtime.block_on(async {
        let ended = end()?;
        let listener = tokio::net::TcpListener::bind(options.listen)
            .await
            .map_err(|error| ServeError::Listen { address: options.listen, error })?;
        report(Event::Listening(listener.local_addr()?));
        listener::serve(listener, api.router(), Limits::default(), ended).await;
        Ok(())
    });
    // No handler is left that could send: what is queued is written, then learnt, then saved.
    drop(runtime);
    writer.stop();
    for thread in running {
        let _ = thread.join();
    }
    served
}
