//! The end of the servers: SIGTERM or Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

/// Ready with the first SIGTERM or SIGINT from now on. Call it before an address is announced: a
/// supervisor may send a signal as soon as it sees one, and without a handler that ends the process
/// at once. Must be called within a Tokio runtime.
///
/// # Errors
///
/// When a signal cannot be listened for.
pub(super) fn requested() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
