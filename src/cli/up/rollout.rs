//! A changed deployment for an Envoy that runs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::gateway::replace;
use super::deployment::Deployment;
use super::envoy::{self, Admin, Found};
use pointsman_gateway::render::Files;

/// How long Envoy may take to look at a file.
const PATIENCE: Duration = Duration::from_secs(60);

/// The files, and where Envoy counts what it took of them and what it did not.
const CLUSTERS: (&str, &str) = ("clusters.yaml", "cluster_manager.cds.");
const LISTENERS: (&str, &str) = ("listeners.yaml", "listener_manager.lds.");
const FILTER: (&str, &str) = ("filter.yaml", "extension_config_discovery.http_filter.pointsman.");

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
    // Where keys are: new names, which nothing that serves has.
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with("secrets/")) {
        replace(&directory.join(name), text).map_err(failed)?;
    }
    let whole = directory.join("next.yaml");
    replace(&whole, &new.whole().map_err(failed)?).map_err(failed)?;
    let answer = envoy::validate(envoy, &whole, &new.environment()).map_err(failed)?;
    let _ = std::fs::remove_file(&whole);
    answer.map_err(|why| format!("Envoy refuses it: {why}"))?;
    let mut put_in = Vec::new();
    for (file, text) in steps(old, &files)? {
        if let Err(why) = put(directory, file, &text, admin) {
            for (name, _) in [LISTENERS, FILTER, CLUSTERS] {
                let text = old.get(name).map(String::as_str).unwrap_or_default();
                let _ = replace(&directory.join(name), text);
            }
            return Err(format!("{}: {why}; the old files are back", file.0));
        }
        if !put_in.contains(&file.0) {
            put_in.push(file.0);
        }
    }
    Ok((Outcome::Accepted(put_in), files))
}

type Step = ((&'static str, &'static str), String);

/// What is put in place, one after the other: whatever is named stands before it is used, and goes
/// after it was used last. Endpoints that change have new names, so that old and new ones stand side
/// by side in between.
fn steps(old: &Files, new: &Files) -> Result<Vec<Step>, String> {
    let text =
        |files: &Files, (name, _): (&str, &str)| files.get(name).cloned().unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    let mut now = old.clone();
    let both = |file, first: &Files, second: &Files| union(&text(first, file), &text(second, file));
    for (file, content) in [
        (CLUSTERS, both(CLUSTERS, old, new)?),
        (LISTENERS, both(LISTENERS, new, old)?),
        (CLUSTERS, both(CLUSTERS, new, old)?),
        (FILTER, text(new, FILTER)),
        (LISTENERS, text(new, LISTENERS)),
        (CLUSTERS, text(new, CLUSTERS)),
    ] {
        if now.get(file.0) != Some(&content) {
            now.insert(file.0.to_owned(), content.clone());
            steps.push((file, content));
        }
    }
    Ok(steps)
}

/// The first file, and the resources of the second that have no name of the first's. The first's own
/// text where that is all.
fn union(first: &str, second: &str) -> Result<String, String> {
    let read = |text: &str| -> Result<Value, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    };
    let (mut whole, more) = (read(first)?, read(second)?);
    let resources = |tree: &Value| tree["resources"].as_array().cloned().unwrap_or_default();
    let known = resources(&whole);
    let is_new = |it: &Value| known.iter().all(|other| other["name"] != it["name"]);
    let added: Vec<Value> = resources(&more).into_iter().filter(is_new).collect();
    if added.is_empty() {
        return Ok(first.to_owned());
    }
    whole["resources"] = known.into_iter().chain(added).collect();
    Ok(whole.to_string())
}

/// Puts a file in place and waits for what Envoy says of it.
fn put(
    directory: &Path,
    (name, statistics): (&str, &str),
    text: &str,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn files(clusters: &[&str], listeners: &[&str]) -> Files {
        let list = |names: &[&str]| {
            let lines = names.iter().map(|name| format!("- {{name: {name}}}\n"));
            format!("resources:\n{}", lines.collect::<String>())
        };
        Files::from([
            ("clusters.yaml".to_owned(), list(clusters)),
            ("listeners.yaml".to_owned(), list(listeners)),
            ("filter.yaml".to_owned(), "resources: []\n".to_owned()),
        ])
    }

    fn names(text: &str) -> Vec<String> {
        let tree: Value = serde_saphyr::from_str(text).unwrap();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        tree["resources"].as_array().unwrap().iter().map(name).collect()
    }

    #[test]
    fn what_is_new_stands_before_it_is_used_and_what_is_old_goes_last() {
        let steps = steps(
            &files(&["group", "old"], &["llm", "old"]),
            &files(&["group", "new"], &["llm", "new"]),
        );
        let steps = steps.unwrap();
        let seen: Vec<(&str, Vec<String>)> =
            steps.iter().map(|((name, _), text)| (*name, names(text))).collect();
        let own = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("clusters.yaml", own(&["group", "old", "new"])),
                ("listeners.yaml", own(&["llm", "new", "old"])),
                ("clusters.yaml", own(&["group", "new", "old"])),
                ("listeners.yaml", own(&["llm", "new"])),
                ("clusters.yaml", own(&["group", "new"])),
            ]
        );
    }

    #[test]
    fn one_file_that_changes_is_put_in_place_once() {
        let mut new = files(&["a"], &["b"]);
        new.insert("filter.yaml".to_owned(), "resources: [1]\n".to_owned());
        let steps = steps(&files(&["a"], &["b"]), &new).unwrap();
        assert_eq!(steps, [(FILTER, "resources: [1]\n".to_owned())]);
    }
}
