//! Runs programs that models wrote: no network, no lasting file, little time and memory.
//!
//! Each run gets a directory of its own and an empty environment. Limits come from `ulimit`, which
//! every shell has; isolation from Linux namespaces (`unshare`), where the system permits them: no
//! network, no view of other processes, the file system read-only but for the run's directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Wall-clock limit of a run.
const WALL: Duration = Duration::from_secs(20);
/// CPU limit of a run, in seconds.
const CPU_SECONDS: u32 = 10;
/// Largest file that a run may write, in blocks of 512 bytes: 64 MiB, for compiled programs.
const FILE_BLOCKS: u32 = 131_072;
/// Output that is kept, in bytes; a program that writes more is stopped by its pipe.
const MAX_OUTPUT: u64 = 256 * 1024;
/// Processes of this user at the same time, where the shell can limit them.
const MAX_PROCESSES: u32 = 4096;

/// How far programs can be isolated on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    /// Network, processes and file system.
    Full,
    Network,
    None,
}

/// Runs programs apart from the rest of the machine.
#[derive(Debug, Default)]
pub struct Sandbox {
    isolation: OnceLock<Isolation>,
}

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Exit code 0, within all limits.
    pub ok: bool,
    pub stdout: String,
}

/// Makes every mount read-only except the directory that is the first argument. Its own options are
/// kept, because a namespace may not lift them.
const READ_ONLY: &str = "d=$1; shift; mount --bind \"$d\" \"$d\" || exit 1; \
    while read -r _ _ _ _ point options _; do \
      [ \"$point\" = \"$d\" ] || mount -o \"remount,bind,$options,ro\" \"$point\" 2>/dev/null; \
    done </proc/self/mountinfo; cd \"$d\" && exec \"$@\"";

impl Sandbox {
    /// A sandbox; what the machine permits is found out at its first run.
    pub fn new() -> Self {
        Sandbox::default()
    }

    /// A warning for the person at the terminal when programs cannot be isolated.
    pub fn warning(&self) -> Option<&'static str> {
        match self.isolation() {
            Isolation::Full => None,
            Isolation::Network => Some(
                "programs run without network, but can write where you can: label as another user",
            ),
            Isolation::None => Some(
                "this system permits no namespaces: programs run with limits on time and memory \
                 only; label inside a container or as another user",
            ),
        }
    }

    /// Runs a program in `directory`. `memory_kib` limits its address space; 0 leaves it alone, for
    /// runtimes that reserve more than they use.
    pub fn run(
        &self,
        directory: &Path,
        program: &[&str],
        stdin: &str,
        memory_kib: u64,
    ) -> Option<Run> {
        let memory =
            if memory_kib > 0 { format!("ulimit -v {memory_kib}; ") } else { String::new() };
        let limits = format!(
            "ulimit -t {CPU_SECONDS}; ulimit -f {FILE_BLOCKS}; ulimit -c 0; \
             ulimit -u {MAX_PROCESSES} 2>/dev/null; {memory}exec \"$@\""
        );
        let mut command = match self.isolation() {
            Isolation::Full => {
                let mut command = Command::new("unshare");
                command.args([
                    "-rnmpf",
                    "--kill-child",
                    "--mount-proc",
                    "sh",
                    "-c",
                    READ_ONLY,
                    "sh",
                ]);
                command.arg(directory);
                command.args(["sh", "-c", &limits, "sh"]);
                command
            }
            Isolation::Network => {
                let mut command = Command::new("unshare");
                command.args(["-rn", "sh", "-c", &limits, "sh"]);
                command
            }
            Isolation::None => {
                let mut command = Command::new("sh");
                command.args(["-c", &limits, "sh"]);
                command
            }
        };
        command.args(program).current_dir(directory).env_clear();
        for name in ["PATH", "RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN", "PYENV_ROOT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Shims of toolchain managers look for their data in the real home.
        if let Some(home) = std::env::var_os("HOME") {
            command.env("HOME", home);
        }
        command.env("TMPDIR", directory).env("LC_ALL", "C.UTF-8").env("PYTHONHASHSEED", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        let mut child = command.spawn().ok()?;
        let group = Pid::from_child(&child);
        let (mut input, output) = (child.stdin.take()?, child.stdout.take()?);
        thread::scope(|scope| {
            // The program may not read it all, or at all.
            scope.spawn(move || drop(input.write_all(stdin.as_bytes())));
            let reader = scope.spawn(move || {
                let mut bytes = Vec::new();
                let read = output.take(MAX_OUTPUT).read_to_end(&mut bytes);
                (read.is_ok(), bytes)
            });
            let end = Instant::now() + WALL;
            let mut pause = Duration::from_millis(1);
            let status = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break Some(status),
                    Ok(None) if Instant::now() < end => thread::sleep(pause),
                    _ => break None,
                }
                pause = (pause * 2).min(Duration::from_millis(20));
            };
            // Also what the program left running; a group that is gone is fine.
            let _ = kill_process_group(group, Signal::KILL);
            if status.is_none() {
                let _ = child.wait();
            }
            let (_, bytes) = reader.join().ok()?;
            let ok = status.is_some_and(|status| status.success());
            Some(Run { ok, stdout: String::from_utf8_lossy(&bytes).into_owned() })
        })
    }

    /// Runs `test` in a fresh directory that holds these files.
    pub fn in_directory<T>(
        files: &[(&str, &str)],
        test: impl FnOnce(&Path) -> Option<T>,
    ) -> Option<T> {
        let directory = tempfile::Builder::new().prefix("pointsman-").tempdir().ok()?;
        for (name, text) in files {
            fs::write(directory.path().join(name), text).ok()?;
        }
        test(directory.path())
    }

    fn isolation(&self) -> Isolation {
        *self.isolation.get_or_init(|| {
            let permitted = |arguments: &[&str]| {
                let mut command = Command::new("unshare");
                command.args(arguments).stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            };
            let mount = "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp";
            if permitted(&["-rnmpf", "--kill-child", "--mount-proc", "sh", "-c", mount]) {
                Isolation::Full
            } else if permitted(&["-rn", "true"]) {
                Isolation::Network
            } else {
                Isolation::None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Run {
        let sandbox = Sandbox::new();
        Sandbox::in_directory(&[], |directory| {
            sandbox.run(directory, &["sh", "-c", script], "in", 0)
        })
        .expect("a run")
    }

    #[test]
    fn a_program_reads_its_input_and_its_output_is_kept() {
        assert_eq!(sh("cat; echo out"), Run { ok: true, stdout: "inout\n".into() });
        assert!(!sh("exit 3").ok);
    }

    #[test]
    fn a_program_that_never_ends_is_stopped() {
        let begin = Instant::now();
        assert!(!sh("while :; do :; done").ok);
        assert!(begin.elapsed() < WALL + Duration::from_secs(5));
    }

    #[test]
    fn output_without_end_is_cut() {
        let run = sh("yes");
        assert!(!run.ok && run.stdout.len() as u64 <= MAX_OUTPUT);
    }

    #[test]
    fn an_isolated_program_reaches_neither_network_nor_foreign_files() {
        if Sandbox::new().isolation() != Isolation::Full {
            eprintln!("skipped: this system permits no namespaces");
            return;
        }
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("file");
        assert!(!sh(&format!("echo x > {}", path.display())).ok);
        assert!(!path.exists());
        assert!(sh("echo x > file && cat file").ok);
        assert_eq!(sh("grep -v lo: /proc/net/dev | grep -c :").stdout.trim(), "0");
    }
}
