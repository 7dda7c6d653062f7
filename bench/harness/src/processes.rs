//! Child processes: started on their processors, measured by /proc, stopped when dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// A child in a process group of its own.
pub struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command` bound to `cores`, a list as `taskset -c` reads it; its output goes to `log`.
    pub fn start(command: &Command, cores: &str, log: &Path) -> Result<Self> {
        // When the harness is killed, nothing of it stays behind to disturb the next measurement.
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL", "taskset", "-c", cores]);
        bound.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(name, value),
                None => bound.env_remove(name),
            };
        }
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let child = bound
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("taskset -c {cores} {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// # Errors
    ///
    /// The process has ended; the end of its log says why.
    pub fn lives(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("{} ended with {status}:\n{tail}", self.log.display())
    }

    /// Processor time of the process and of those that it started.
    pub fn cpu(&self) -> Result<Duration> {
        let ticks = rustix::param::clock_ticks_per_second();
        let own: u64 =
            self.family()?.iter().filter_map(|pid| Stat::of(*pid)).map(|it| it.ticks).sum();
        Ok(Duration::from_secs_f64(own as f64 / ticks as f64))
    }

    /// Resident memory of them, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let of = |pid: &u32| -> Option<u64> {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        };
        Ok(self.family()?.iter().filter_map(of).sum::<u64>() * 1024)
    }

    fn family(&self) -> Result<Vec<u32>> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            parents.extend(Stat::of(pid).map(|stat| (pid, stat.parent)));
        }
        let mut family = vec![self.child.id()];
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        Ok(family)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a process that is already gone.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Processor time of this process: the client and the upstreams.
pub fn own_cpu() -> Result<Duration> {
    let stat = Stat::of(std::process::id()).context("/proc/self/stat")?;
    Ok(Duration::from_secs_f64(stat.ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything; fields are counted behind it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
    }
}
