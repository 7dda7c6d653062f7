//! Load: bodies, the client that sends them, and the upstream that answers.

use std::num::NonZeroU64;

use anyhow::Result;
use rustix::thread;

pub mod bodies;
pub mod client;
pub mod upstream;
mod wire;

/// The processor for the client and the upstream, where there is more than one.
pub const CLIENT_CORE: usize = 1;

/// Binds the calling thread to the client's processor, and lets its timers fire when they are due:
/// by default Linux may be 50 µs late, which would be most of an added latency.
pub fn settle() -> Result<()> {
    thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut cores = thread::CpuSet::new();
    cores.set(CLIENT_CORE);
    thread::sched_setaffinity(None, &cores)?;
    Ok(())
}
