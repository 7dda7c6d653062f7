//! Runs programs that models wrote: no network, no file but their own, little time and memory.
//!
//! A program sees a root that is made for the run ([`confine.sh`](confine.sh)): the system's programs
//! and libraries and its toolchain, read-only, and a working directory of limited size. It is alone
//! in its namespaces, without capabilities, and has no way to new ones. Where the system does not
//! permit that, nothing is run, unless whoever calls insists.

mod toolchain;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use super::Unscorable;
use toolchain::Toolchain;

/// Wall-clock limit of a run.
const WALL: Duration = Duration::from_secs(20);
/// How long output is waited for when the run has ended.
const DRAIN: Duration = Duration::from_secs(2);
/// Output that is kept, in bytes; a program that writes more is stopped by its pipe.
const MAX_OUTPUT: u64 = 1024 * 1024;
/// Limits of a run, as prlimit(1) takes them: processes and threads, seconds of CPU, bytes of memory
/// that can be written to (interpreters reserve far more address space), of a file, no core dump.
const LIMITS: [&str; 6] =
    ["--nproc=64", "--cpu=10", "--data=1073741824", "--fsize=67108864", "--core=0", "--nofile=256"];
/// Builds the root and runs the program.
const CONFINE: &str = include_str!("confine.sh");
/// Users that exist nowhere: a limit on processes does not hold for root, and holds for each alone.
const FIRST_UID: u32 = 1_900_000_000;
const UIDS: u32 = 100_000;

/// What keeps a program apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    /// Namespaces made by root, who gives the program another user.
    Privileged,
    /// Namespaces of a user namespace.
    User,
    /// Limits only.
    None,
}

/// Runs programs apart from the rest of the machine.
#[derive(Debug, Default)]
pub struct Sandbox {
    unsandboxed: bool,
    isolation: OnceLock<Option<Isolation>>,
    toolchain: Toolchain,
}

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Exit code 0, within all limits.
    pub ok: bool,
    pub stdout: String,
}

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Its files. They are copied; nothing that the program writes comes back but `keep`.
    pub directory: &'a Path,
    pub program: &'a [&'a str],
    pub stdin: &'a str,
    /// A file to copy back after success.
    pub keep: Option<&'a str>,
}

impl Sandbox {
    /// A sandbox that runs nothing where it cannot isolate; what the machine permits is found out at
    /// its first run.
    pub fn new() -> Self {
        Sandbox::default()
    }

    /// Runs programs with limits alone: they can read and write what the caller can.
    pub fn without_isolation() -> Self {
        Sandbox { unsandboxed: true, ..Sandbox::default() }
    }

    /// Whether programs can be run.
    ///
    /// # Errors
    /// The system does not permit to isolate them.
    pub fn check(&self) -> Result<(), Unscorable> {
        match self.isolation() {
            Some(_) => Ok(()),
            None => Err(Unscorable(
                "programs cannot be isolated on this system (it needs namespaces, and unshare, \
                 prlimit and setpriv of util-linux)",
            )),
        }
    }

    /// Whether it was asked to run anything.
    pub fn was_used(&self) -> bool {
        self.isolation.get().is_some()
    }

    /// What the person at the terminal should know before programs are run.
    pub fn warning(&self) -> Option<&'static str> {
        match self.isolation() {
            Some(Isolation::None) => Some(
                "programs of models run without isolation: they can read and write what you can",
            ),
            Some(_) => None,
            None => Some(
                "programs of models are not run, because this system does not permit to isolate \
                 them; label in a container of its own with --unsandboxed, or on another machine",
            ),
        }
    }

    /// Runs a program; `None` when it cannot be started.
    pub fn run(&self, job: &Job) -> Option<Run> {
        self.run_in(self.isolation()?, job)
    }

    fn run_in(&self, isolation: Isolation, job: &Job) -> Option<Run> {
        let (&name, arguments) = job.program.split_first()?;
        let tool = self.toolchain.find(name);
        let program = tool.map_or_else(|| PathBuf::from(name), |tool| tool.program.clone());
        // Kept until the end: it is where the root is mounted.
        let root = tempfile::Builder::new().prefix("pointsman-root-").tempdir().ok()?;
        let mut command = match isolation {
            Isolation::None => {
                let mut command = Command::new("prlimit");
                command.env_clear().args(LIMITS).arg(&program).current_dir(job.directory);
                command.env("TMPDIR", job.directory).env("HOME", job.directory);
                command
            }
            Isolation::Privileged | Isolation::User => {
                let mut command = Command::new("unshare");
                command
                    .env_clear()
                    .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork"]);
                command.arg("--kill-child");
                let uid = match isolation {
                    Isolation::Privileged => next_uid().to_string(),
                    _ => {
                        command.args(["--user", "--map-root-user"]);
                        String::new()
                    }
                };
                let directory = tool.and_then(|tool| tool.hidden_directory());
                command.args(["sh", "-c", CONFINE, "sh"]).arg(root.path()).arg(job.directory);
                command.args([&uid, job.keep.unwrap_or_default()]);
                // The linker of Rust finds itself by /proc.
                command.arg(if name == "rustc" { "proc" } else { "" });
                command.arg(directory.unwrap_or(Path::new("")));
                command.arg(LIMITS.join(" ")).arg(&program);
                command.env("TMPDIR", "/work").env("HOME", "/work");
                command
            }
        };
        command.args(arguments).env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("PYTHONHASHSEED", "0");
        if let Some(directory) = tool.and_then(|tool| tool.hidden_directory()) {
            command.env("LD_LIBRARY_PATH", directory.join("lib"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        supervise(command.spawn().ok()?, job.stdin)
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

    /// `None` where programs must not be run.
    fn isolation(&self) -> Option<Isolation> {
        *self.isolation.get_or_init(|| {
            hide_from_programs();
            let candidates: &[Isolation] = match (geteuid().is_root(), self.unsandboxed) {
                (_, true) => return Some(Isolation::None),
                (true, _) => &[Isolation::Privileged, Isolation::User],
                (false, _) => &[Isolation::User],
            };
            candidates.iter().copied().find(|&isolation| self.holds(isolation))
        })
    }

    /// Tries to break out, instead of trusting that what was asked for was done.
    fn holds(&self, isolation: Isolation) -> bool {
        const BREAK_OUT: &str = "\
            for place in /home /run /var /mnt /sys /proc/1; do [ ! -e $place ] || exit 1; done
            for place in /usr /bin /dev /etc /; do ! ( : >$place/pointsman ) 2>/dev/null || exit 1; done
            ! unshare --user true 2>/dev/null || exit 1
            ! mount -t tmpfs tmpfs /work 2>/dev/null || exit 1
            : >file || exit 1
            ( i=0; while [ $i -lt 80 ]; do sleep 5 & i=$((i+1)); done ) 2>/dev/null && exit 1
            echo confined";
        let found = Sandbox::in_directory(&[], |directory| {
            let program = ["/bin/sh", "-c", BREAK_OUT];
            self.run_in(isolation, &Job { directory, program: &program, stdin: "", keep: None })
        });
        found.is_some_and(|run| run.ok && run.stdout.trim() == "confined")
    }
}

/// Keys are in this process's environment, which another of the same user could read in /proc.
fn hide_from_programs() {
    // Where this cannot be done there is no such way to read it.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn next_uid() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another process that labels at the same time takes other users.
    let place =
        NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(4099));
    FIRST_UID + place % UIDS
}

/// Waits for a run until its deadline, then ends it with all that it started. What a program leaves
/// behind to hold its pipes open is not waited for.
fn supervise(mut child: Child, stdin: &str) -> Option<Run> {
    let group = Pid::from_child(&child);
    let (mut input, output) = (child.stdin.take()?, child.stdout.take()?);
    let stdin = stdin.to_owned();
    // The program may not read it all, or at all.
    thread::spawn(move || drop(input.write_all(stdin.as_bytes())));
    let (sender, received) = channel();
    thread::spawn(move || {
        let mut output = output;
        let mut left = MAX_OUTPUT;
        let mut piece = vec![0; 16 * 1024];
        while left > 0 {
            let Ok(read @ 1..) = output.read(&mut piece) else { break };
            let read = (read as u64).min(left) as usize;
            left -= read as u64;
            if sender.send(piece[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let status = wait(&mut child, Instant::now() + WALL);
    // Also what the program left running; a group that is gone is fine.
    let _ = kill_process_group(group, Signal::KILL);
    if status.is_none() {
        let _ = child.wait();
    }
    let end = Instant::now() + DRAIN;
    let mut bytes = Vec::new();
    while let Ok(piece) = received.recv_timeout(end.saturating_duration_since(Instant::now())) {
        bytes.extend(piece);
    }
    let ok = status.is_some_and(|status| status.success());
    Some(Run { ok, stdout: String::from_utf8_lossy(&bytes).into_owned() })
}

fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(pause),
            _ => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests;
