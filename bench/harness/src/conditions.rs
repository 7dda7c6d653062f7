//! Under which conditions a run was made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::tools::Tools;

#[derive(Deserialize, Serialize)]
pub struct Conditions {
    /// UTC.
    pub date: String,
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    /// Over 1, 5 and 15 minutes, before and after the run.
    pub load_before: String,
    pub load_after: String,
    pub commit: String,
    pub versions: BTreeMap<String, String>,
}

impl Conditions {
    pub fn now(tools: &Tools) -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("unknown", |it| it.trim_start_matches([' ', '\t', ':']));
        let mut versions = BTreeMap::new();
        let envoy = said(Command::new(&tools.envoy).arg("--version"));
        let envoy = envoy.split("version: ").nth(1).unwrap_or("unknown").trim().to_owned();
        versions.insert("envoy".to_owned(), envoy);
        versions.insert("rustc".to_owned(), said(Command::new("rustc").arg("--version")));
        versions.insert("python3".to_owned(), said(Command::new("python3").arg("--version")));
        for requirements in ["litellm", "minilm"] {
            let path = tools.bench.join(format!("sidecars/{requirements}.txt"));
            for line in fs::read_to_string(path)?.lines() {
                if let Some((name, version)) = line.split_once("==") {
                    versions.insert(name.to_owned(), version.to_owned());
                }
            }
        }
        Ok(Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
            cpu: model.to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_before: load_average()?,
            load_after: String::new(),
            commit: commit(&tools.bench),
            versions,
        })
    }
}

/// The three averages.
pub fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// The commit that is checked out, and whether files differ from it.
fn commit(directory: &Path) -> String {
    let git =
        |arguments: &[&str]| said(Command::new("git").arg("-C").arg(directory).args(arguments));
    let changed = !git(&["status", "--porcelain"]).is_empty();
    git(&["rev-parse", "HEAD"]) + if changed { ", with changes" } else { "" }
}

/// What a program prints; nothing when it is not there.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
