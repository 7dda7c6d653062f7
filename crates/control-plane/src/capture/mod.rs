//! The sink for escalated requests with both their answers: one file of JSON lines.
//!
//! ```text
//! http ─► at most 4 MiB of JSON ─► row, made by the caller ─► one file, at most so many bytes
//! api.rs                           Prepare                    file.rs
//! ```
//!
//! What is posted is text of prompts. So it listens to this machine alone, the file is its owner's
//! alone, and nothing of a body is in any message.

mod api;
mod file;
mod sink;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::serve::Event;
use crate::serve::listener::{self, Limits};
use file::CaptureFile;
pub use file::FileError;
use sink::Sink;
pub use sink::{Reason, Refusal};

/// Makes the row of a posted body: one line with its line feed.
pub type Prepare = dyn Fn(&[u8]) -> Result<Vec<u8>, Refusal> + Send + Sync;

/// What `capture` needs to know.
pub struct Options {
    /// A loopback address.
    pub listen: SocketAddr,
    /// The file that rows are appended to; created, but not its directory.
    pub out: PathBuf,
    /// Size that the file may reach, in bytes.
    pub max_bytes: u64,
    pub prepare: Box<Prepare>,
}

/// Why `capture` ended.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{0}: must be a loopback address, because prompts are posted there")]
    NotLoopback(SocketAddr),
    #[error("{path}: {error}", path = .path.display())]
    File { path: PathBuf, error: FileError },
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl CaptureError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            CaptureError::NotLoopback(_) => {
                Some("run it next to Envoy and listen on 127.0.0.1".to_owned())
            }
            CaptureError::File { path, error } => error.hint(path),
            CaptureError::Listen { .. } | CaptureError::Io(_) => None,
        }
    }
}

/// Connections at a time: each may have a body of the largest size in memory.
const CONNECTIONS: usize = 128;
/// Bodies that are parsed and redacted at a time.
const THREADS: usize = 2;

/// Runs until the future of `end` is ready; then what is under way is finished. `end` is called
/// within the Tokio runtime, before the address that is listened on is reported.
///
/// # Errors
///
/// The address is not a loopback address or is taken, or the file cannot be opened or is not its
/// owner's alone.
pub fn serve<F: Future<Output = ()>>(
    options: Options,
    end: impl FnOnce() -> std::io::Result<F>,
    report: impl Fn(Event) + Send + Sync + 'static,
) -> Result<(), CaptureError> {
    let Options { listen, out, max_bytes, prepare } = options;
    if !listen.ip().is_loopback() {
        return Err(CaptureError::NotLoopback(listen));
    }
    let file = CaptureFile::open(&out, max_bytes);
    let file = file.map_err(|error| CaptureError::File { path: out.clone(), error })?;
    let report = Arc::new(report);
    let warn = Arc::clone(&report);
    let warn = move |error: &str| warn(Event::Warning(&format!("{}: {error}", out.display())));
    let sink = Arc::new(Sink::new(file, prepare, Box::new(warn)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()?;
    // Dropped at the end, it waits for what is being written.
    runtime.block_on(async {
        let ended = end()?;
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .map_err(|error| CaptureError::Listen { address: listen, error })?;
        report(Event::Listening(listener.local_addr()?));
        let limits = Limits::default();
        let limits = Limits { connections: limits.connections.min(CONNECTIONS), ..limits };
        listener::serve(listener, api::router(sink), limits, ended).await;
        Ok(())
    })
}
