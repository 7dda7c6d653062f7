//! `pointsman report` on access logs.

use assert_cmd::Command;
use serde_json::{Value, json};

/// As Envoy writes it, with the record as text.
fn entry(source: &str, score: Option<f64>, target: &str, more: Value) -> String {
    let record = json!({"target": target, "source": source, "score": score,
                        "prompt_tokens_estimate": 1000});
    let mut entry = json!({"status": "200", "route": "decided", "decision": record.to_string()});
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    format!("{entry}\n")
}

fn log() -> String {
    let scored = |score: f64, tenant: &str| {
        let target = if score >= 0.6 { "cheap" } else { "strong" };
        entry("classifier", Some(score), target, json!({"tenant": tenant}))
    };
    let scores = [0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25];
    let mut log: String =
        scores.iter().map(|score| scored(*score, if *score > 0.5 { "a" } else { "b" })).collect();
    log += &entry("gate", None, "strong", json!({"tenant": "b"}));
    log += &entry("rule", None, "cheap", json!({"route": "agents", "tenant": "a"}));
    log + "{\"decision\": \"{\\\"passed\\\":\\\"skipped\\\"}\"}\nnot JSON\n"
}

fn report(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("pointsman").unwrap();
    command.args(["report", "--log", "-"]).args(arguments).write_stdin(log());
    command
}

#[test]
fn presets_routes_and_tenants_are_priced_without_a_label() {
    let arguments =
        ["--json", "--tenant", "tenant", "--prices", "1,0", "10,0", "--strong-share", "0.3"];
    let output = report(&arguments).assert().success().get_output().clone();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("1 line was skipped"), "{talk}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], json!({"skipped": 1}));
    assert_eq!(report["sources"], json!({"classifier": 8, "gate": 1, "rule": 1}));
    assert_eq!(report["decided"]["by_target"], json!([5, 5]));
    let spent = report["decided"]["spent"].as_f64().unwrap();
    assert!((spent - (5.0 * 0.001 + 5.0 * 0.01)).abs() < 1e-9, "{spent}");
    assert!((report["decided"]["always_strongest"].as_f64().unwrap() - 0.1).abs() < 1e-9);
    assert_eq!(report["presets"]["economy"]["by_target"], json!([7, 3]));
    assert_eq!(report["presets"]["balanced"]["by_target"], json!([5, 5]));
    assert_eq!(report["presets"]["quality"]["by_target"], json!([3, 7]));
    assert_eq!(report["routes"]["agents"]["by_target"], json!([1, 0]));
    assert_eq!(report["tenants"]["b"]["by_target"], json!([0, 4]));
    // Three of ten: the gate's and the two lowest scores.
    assert_eq!(report["threshold"]["tally"]["by_target"], json!([7, 3]));
    let threshold = report["threshold"]["threshold"].as_f64().unwrap();
    assert!((0.35..=0.45).contains(&threshold), "{threshold}");
}

#[test]
fn the_table_has_a_line_for_each() {
    let output = report(&["--prices", "0.15,0.60", "2.50,10"]).assert().success();
    let table = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    for line in ["as decided", "preset economy", "preset quality", "route agents", "saved"] {
        assert!(table.contains(line), "{line}: {table}");
    }
}

#[test]
fn what_cannot_be_reported_is_refused_with_a_hint() {
    let refused = |arguments: &[&str], input: &str| {
        let mut command = Command::cargo_bin("pointsman").unwrap();
        command.args(["report", "--log", "-"]).args(arguments).write_stdin(input.to_owned());
        String::from_utf8(command.assert().code(2).get_output().stderr.clone()).unwrap()
    };
    let nothing = refused(&[], "{\"status\": \"200\"}\n");
    assert!(nothing.contains("holds no decision") && nothing.contains("hint: "), "{nothing}");
    let prices = refused(&["--prices", "1,2"], &log());
    assert!(prices.contains("--prices: 1 given, must be 2"), "{prices}");
    let names = refused(&["--targets", "small,large"], &log());
    assert!(names.contains("is none of small, large"), "{names}");
}
