//! Child processes that cannot outlive us.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs its arguments as a child and kills it as soon as our end of its standard input closes.
/// The kernel closes it whichever way we end, also by a signal that runs no destructor.
/// Its first argument is the file that gets the child's number.
const SUPERVISOR: &str = r#"
exec 3<&0
number=$1; shift
"$@" </dev/null 3<&- & child=$!
echo "$child" > "$number"
{ cat <&3 >/dev/null; kill -9 "$child"; } 2>/dev/null & watcher=$!
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// A running program; dropping it kills the program and waits for its end.
pub struct Process {
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    /// The file with the program's process ID.
    number: PathBuf,
    pub stdout: PathBuf,
    pub stderr: PathBuf,
}

impl Process {
    /// Starts `program`; its output goes to `NAME.out` and `NAME.err` in `logs`.
    pub fn start(
        program: &Path,
        arguments: &[String],
        directory: &Path,
        logs: &Path,
        name: &str,
    ) -> Result<Self> {
        Self::start_with(program, arguments, &[], directory, logs, name)
    }

    /// The same with variables that its environment has besides ours.
    pub fn start_with(
        program: &Path,
        arguments: &[String],
        variables: &[(String, String)],
        directory: &Path,
        logs: &Path,
        name: &str,
    ) -> Result<Self> {
        let stdout = logs.join(format!("{name}.out"));
        let stderr = logs.join(format!("{name}.err"));
        let number = logs.join(format!("{name}.pid"));
        // One of an earlier run would be somebody else's.
        let _ = std::fs::remove_file(&number);
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, name])
            .arg(&number)
            .arg(program)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let lifeline = supervisor.stdin.take();
        Ok(Self { supervisor, lifeline, number, stdout, stderr })
    }

    /// Waits until the program has written `text` to its standard error.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let said = log_since(&self.stderr, 0);
            if said.contains(text) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it did not start: {said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program's process ID.
    pub fn id(&self) -> Result<u32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = std::fs::read_to_string(&self.number).unwrap_or_default();
            if text.ends_with('\n') {
                return Ok(text.trim().parse()?);
            }
            ensure!(Instant::now() < deadline, "the program has no process ID");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends the program a signal, such as `STOP`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id()?, name)
    }

    /// The program's resident memory in MiB, as Linux tells it.
    pub fn resident(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024)
    }

    /// The exit status, if the program has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.supervisor.try_wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // It has nothing to say any more; what is left is to wait until it is gone.
        let _ = self.supervisor.wait();
    }
}

/// Sends a process a signal, such as `STOP`.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status()?;
    ensure!(sent.success(), "process {process} cannot be sent {name}");
    Ok(())
}

/// A log file's text from byte `start`; what is not UTF-8 is replaced.
pub fn log_since(path: &Path, start: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
}

/// The last `count` lines of `text`.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
