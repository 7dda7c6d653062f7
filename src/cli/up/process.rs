//! Programs that cannot outlive us.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Runs its arguments as a child and ends it as soon as our end of its standard input closes. The
/// kernel closes it whichever way we end, also by a signal that no program can catch.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ cat <&3; kill "$child" && sleep 5 && kill -9 "$child"; } >/dev/null 2>&1 & watcher=$!
exec 3<&-
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(8);

/// A running program; dropping it ends it and waits for that.
pub(super) struct Process {
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    pub(super) name: String,
}

impl Process {
    /// Starts a program. Its messages go to a file; its output, too, unless it is wanted.
    pub(super) fn start(
        name: &str,
        program: &Path,
        arguments: &[OsString],
        environment: &[(String, String)],
        log: &Path,
        wanted: bool,
    ) -> anyhow::Result<(Self, Option<ChildStdout>)> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let output = if wanted { Stdio::piped() } else { file.try_clone()?.into() };
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, name])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(file)
            // Ctrl-C reaches us alone, and we end the others in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let lifeline = supervisor.stdin.take();
        let stdout = supervisor.stdout.take();
        Ok((Process { supervisor, lifeline, name: name.to_owned() }, stdout))
    }

    /// The exit status, if the program has ended by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                let _ = self.supervisor.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
