//! The alert rules, with Prometheus' own tool, and the metrics that dashboard and alerts ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use pointsman_testkit::{metrics, root};
use serde_json::Value;

/// Debian packages it with Prometheus: installed, or unpacked by scripts/get-prometheus.sh.
fn promtool() -> Option<PathBuf> {
    let unpacked = root().join(".prometheus/usr/bin/promtool");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed =
        std::env::split_paths(&path).map(|it| it.join("promtool")).find(|file| file.is_file());
    let found = installed.or_else(|| unpacked.is_file().then_some(unpacked));
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no promtool: run `make prometheus`");
        eprintln!("skipped: no promtool; `make prometheus` fetches it on Debian");
    }
    found
}

fn passes(arguments: &[&str]) {
    let Some(promtool) = promtool() else { return };
    let output = Command::new(promtool).args(arguments).current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    passes(&["check", "rules", "envoy/alerts.yaml"]);
    passes(&["test", "rules", "tests/cases/alerts.yaml"]);
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (rules, cases) = (read("envoy/alerts.yaml"), read("tests/cases/alerts.yaml"));
    let names: Vec<&str> =
        rules.lines().filter_map(|it| it.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let fires = cases.contains(&format!("alertname: {name}\n    exp_alerts:"));
        let silent = cases.contains(&format!("alertname: {name}}}"));
        assert!(fires && silent, "{name}: fires {fires}, silent {silent}");
    }
}

/// Metrics of ours that a text asks for.
fn asked_for(text: &str) -> BTreeSet<String> {
    let word = |it: char| !(it.is_ascii_alphanumeric() || it == '_');
    text.split(word).filter(|word| word.starts_with("pointsman_")).map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_documented_metrics_alone() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("envoy/dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets = targets.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<&str> = targets.filter_map(|target| target["expr"].as_str()).collect();
    let listed = metrics::documented().unwrap();
    let documented: BTreeSet<String> =
        [listed.always, listed.with_escalation, listed.with_control, listed.of_caches]
            .into_iter()
            .flat_map(BTreeMap::into_keys)
            .collect();
    let bandit = read("docs/bandit.md");
    let is_documented = |name: &str| {
        let own = name.trim_start_matches("pointsman_");
        let own = own.trim_end_matches("_bucket").trim_end_matches("_count");
        documented.contains(own) || bandit.contains(&format!("`{name}"))
    };
    for name in asked_for(&queries.join("\n")).union(&asked_for(&read("envoy/alerts.yaml"))) {
        assert!(is_documented(name), "{name}");
    }
}
