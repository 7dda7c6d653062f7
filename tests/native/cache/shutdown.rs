//! The end of `pointsman cache`: a signal is a drain, however early it comes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Supervisors signal as soon as they see an address. A signal before there is a handler would end
/// the process with the status of the signal, without a drain.
#[test]
fn a_signal_at_the_moment_of_the_announcement_ends_it_orderly() -> Result<()> {
    for round in 0..20 {
        let mut cache = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["cache", "--target", "cheap", "--upstream", "http://127.0.0.1:9"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_child(&cache);
        let mut lines = BufReader::new(cache.stderr.take().context("no stderr")?).lines();
        let line = lines.next().context("no line")??;
        kill_process(pid, Signal::TERM)?;
        ensure!(line.starts_with("cheap: listening on http://"), "{line}");
        // What it prints afterwards is read, so that it does not die of a closed pipe instead.
        let rest = lines.collect::<std::io::Result<Vec<_>>>()?;
        let status = cache.wait()?;
        ensure!(status.code() == Some(0), "round {round}: {status}: {rest:?}");
    }
    Ok(())
}
