//! A changed deployment for an Envoy that runs.

use std::time::{Duration, Instant};

use std::path::Path;

use super::deployment::Deployment;
use super::envoy::{self, Admin, Found};
use super::super::gateway::replace;
use pointsman_gateway::render::Files;

/// How long Envoy may take to look at a file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files in the order in which they take effect: what is named stands before it is used.
const ORDER: [(&str, &str); 3] = [
    ("clusters.yaml", "cluster_manager.cds."),
    ("listeners.yaml", "listener_manager.lds."),
    ("filter.yaml", "extension_config_discovery.http_filter.pointsman."),
];

/// What was done with a change.
pub(super) enum Outcome {
    Unchanged,
    /// The files that Envoy took.
    Accepted(Vec<&'static str>),
}

/// Puts a new deployment in the place of the old one, if Envoy takes it.
///
/// # Errors
///
/// Why not; then the old one serves on.
pub(super) fn roll_out(
    new: &Deployment,
    old: &Files,
    directory: &Path,
    envoy: &Found,
    admin: &Admin,
) -> Result<(Outcome, Files), String> {
    let failed = |error: anyhow::Error| format!("{error:#}");
    let files = new.files().map_err(failed)?;
    if files == *old {
        return Ok((Outcome::Unchanged, files));
    }
    let whole = directory.join("next.yaml");
    replace(&whole, &new.whole().map_err(failed)?).map_err(failed)?;
    let answer = envoy::validate(envoy, &whole, &new.environment()).map_err(failed)?;
    let _ = std::fs::remove_file(&whole);
    answer.map_err(|why| format!("Envoy refuses it: {why}"))?;
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with("secrets/")) {
        replace(&directory.join(name), text).map_err(failed)?;
    }
    let mut done = Vec::new();
    for (name, statistics) in ORDER {
        if files.get(name) == old.get(name) {
            continue;
        }
        let text = files.get(name).map(String::as_str).unwrap_or_default();
        let answer = put(directory, name, text, statistics, admin);
        if let Err(why) = answer {
            for name in done.iter().rev().copied().chain([name]) {
                let text = old.get(name).map(String::as_str).unwrap_or_default();
                let _ = replace(&directory.join(name), text);
            }
            return Err(format!("{name}: {why}; the old file is back"));
        }
        done.push(name);
    }
    Ok((Outcome::Accepted(done), files))
}

/// Puts a file in place and waits for what Envoy says of it.
fn put(
    directory: &Path,
    name: &str,
    text: &str,
    statistics: &str,
    admin: &Admin,
) -> Result<(), String> {
    let before = counted(admin, statistics)?;
    replace(&directory.join(name), text).map_err(|error| format!("{error:#}"))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = counted(admin, statistics)?;
        if now.1 > before.1 {
            let log = std::fs::read_to_string(directory.join("logs/envoy.log")).unwrap_or_default();
            return Err(format!("refused by Envoy: {}", envoy::last_error(&log)));
        }
        if now.0 > before.0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("Envoy did not look at it".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How often Envoy took a file, and how often it did not.
fn counted(admin: &Admin, statistics: &str) -> Result<(u64, u64), String> {
    let counters = admin.counters(statistics).map_err(|error| {
        format!("no answer from Envoy's admin interface at {}: {error}", admin.address)
    })?;
    let count = |name: &str| {
        let whole = format!("{statistics}{name}");
        counters.iter().find(|(found, _)| *found == whole).map_or(0, |(_, count)| *count)
    };
    Ok((count("update_success"), count("update_rejected") + count("update_failure")))
}
