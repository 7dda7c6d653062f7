//! `pointsman cache calibrate` and `audit` as commands.

use std::fmt::Write;

use anyhow::Result;
use assert_cmd::Command;
use pointsman_cache::Calibration;
use serde_json::{Value, json};

use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, outcome};

fn pointsman(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("cache").args(arguments);
    command
}

/// Pairs that are the same in other words, pairs that are not, and two lines that are no pairs.
pub fn pairs() -> String {
    let things =
        ["a violin", "bread", "a tent", "leather", "a bicycle", "tomatoes", "coffee", "a kite"];
    let verbs = ["repair", "make", "clean", "draw"];
    let mut lines = String::from("no JSON\n{\"text_a\": \"a\", \"text_b\": \"b\", \"label\": 2}\n");
    for (number, thing) in things.iter().enumerate() {
        for verb in verbs {
            let a = format!("How do I {verb} {thing}?");
            let b = format!("What is the best way to {verb} {thing}?");
            let other = format!("Where can {} be bought?", things[(number + 3) % things.len()]);
            let _ = writeln!(lines, "{}", json!({"text_a": a, "text_b": b, "label": 1}));
            let _ = writeln!(lines, "{}", json!({"text_a": a, "text_b": other, "label": 0}));
        }
    }
    lines
}

#[test]
fn a_calibration_is_written_drawn_and_served_with() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("pairs.jsonl"), pairs())?;
    let (from, to, plot) = (path("pairs.jsonl"), path("calibration.json"), path("plot.svg"));
    let output = pointsman(&[
        "calibrate",
        "--pairs",
        &from,
        "--false-hits",
        "0.02",
        "--out",
        &to,
        "--plot",
        &plot,
        "--json",
    ])
    .assert()
    .success()
    .get_output()
    .clone();
    let warnings = String::from_utf8(output.stderr)?;
    assert_eq!(warnings.matches("warning: skipped").count(), 2, "{warnings}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(answer["report"]["pairs"], 64);
    assert!(answer["report"]["false_hits"].as_f64().unwrap_or(1.0) <= 0.02);
    assert!(std::fs::read_to_string(&plot)?.starts_with("<svg"));
    let kept = pointsman(&["calibrate", "--pairs", &from, "--keep-weights", "--json"]);
    let kept: Value = serde_json::from_slice(&{ kept }.assert().success().get_output().stdout)?;
    let built_in = Calibration::built_in()?;
    let found: Calibration = serde_json::from_value(kept["calibration"].clone())?;
    assert_eq!((found.weights, found.bias), (built_in.weights, built_in.bias));
    assert_ne!(answer["calibration"]["weights"], kept["calibration"]["weights"]);
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--calibration", &to])?;
    assert_eq!(outcome(&proxy.ask("How do I mend a boat?")?), "miss");
    assert_eq!(outcome(&proxy.ask("What is the best way to mend a boat?")?), "hit-semantic");
    Ok(())
}

#[test]
fn what_cannot_be_calibrated_is_refused_with_a_hint() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let few = directory.path().join("few.jsonl");
    std::fs::write(&few, "{\"text_a\": \"a\", \"text_b\": \"b\", \"label\": 1}\n")?;
    let few = few.display().to_string();
    for (arguments, said) in [
        (&["calibrate", "--pairs", &few][..], "hint: label more pairs"),
        (&["calibrate", "--pairs", "/nowhere"], "/nowhere"),
        (&["calibrate", "--pairs", &few, "--false-hits", "1.5"], "below 1"),
        (&["--target", "a", "--upstream", "ftp://x", "--listen", "127.0.0.1:0"], "not an http://"),
        (
            &[
                "--target",
                "a",
                "--target",
                "b",
                "--upstream",
                "http://x",
                "--listen",
                "127.0.0.1:0",
            ],
            "hint: repeat",
        ),
        (
            &["--target", "../a", "--upstream", "http://x", "--listen", "127.0.0.1:0"],
            "invalid target name",
        ),
        (&["--max-temperature", "nan"], "--max-temperature"),
        (&["--max-temperature=-1"], "--max-temperature"),
        (&["--memory", "18446744073709551615"], "--memory"),
        (&[], "--target"),
    ] {
        let output = pointsman(arguments).assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stderr)?;
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    Ok(())
}

#[test]
fn the_audit_reports_every_kind() -> Result<()> {
    let output =
        pointsman(&["audit", "--pairs", "400", "--json"]).assert().success().get_output().clone();
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let names: Vec<&str> = answer["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|kind| kind["name"].as_str())
        .collect();
    assert_eq!(names, ["number", "negation", "entity", "relation"]);
    Ok(())
}
