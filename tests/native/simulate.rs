//! `pointsman simulate study` on rows that are made here.
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};

/// Facts and sums, which the cheap model can do, and poems, which it cannot.
fn rows() -> String {
    let places = ["river", "harbour", "mountain", "desert", "island", "forest", "valley"];
    let line = |k: usize| {
        let (place, n) = (places[k % 7], k / 3);
        let (prompt, cheap) = match k % 3 {
            0 => (format!("What is the name of the {place} with the number {n} on the map?"), 1.0),
            1 => (format!("Compute {n} + {} and tell me whether it is prime.", k * 7), 0.9),
            _ => (format!("Write a poem of {n} lines about the {place} that I love."), 0.0),
        };
        json!({"id": k.to_string(), "prompt": prompt, "scores": {"cheap": cheap, "strong": 1.0}})
    };
    (0..360).map(|k| line(k).to_string() + "\n").collect()
}

/// Two questions in two wordings each, and one that only looks like the first.
const PAIRS: &str = r#"{"text_a": "How do I learn to play the guitar?", "text_b": "How can I learn to play the guitar?", "label": 1}
{"text_a": "What is the best way to cook rice?", "text_b": "What's the best way to cook rice?", "label": 1}
{"text_a": "How do I learn to play the guitar?", "text_b": "How do I learn to play the piano?", "label": 0}
"#;

fn study(directory: &Path, arguments: &[&str]) -> Output {
    std::fs::write(directory.join("rows.jsonl"), rows()).unwrap();
    std::fs::write(directory.join("pairs.jsonl"), PAIRS).unwrap();
    Command::cargo_bin("pointsman")
        .unwrap()
        .current_dir(directory)
        .args(["simulate", "study", "--data", "rows.jsonl", "--feedback-share", "1"])
        .args(arguments)
        .output()
        .unwrap()
}

fn mean(study: &Value, drift: &str, requests: usize, strategy: &str, field: &str) -> f64 {
    let levels = study["levels"].as_array().unwrap();
    let found = levels.iter().find(|level| {
        level["drift"] == drift && level["requests"] == requests && level["strategy"] == strategy
    });
    found.unwrap()[field]["mean"].as_f64().unwrap()
}

#[test]
fn a_study_is_reproducible_and_its_numbers_hang_together() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--levels",
        "500,4000",
        "--seeds",
        "2",
        "--label-share",
        "0.1",
        "--pairs",
        "pairs.jsonl",
        "--json",
    ];
    let [one, other] = [0, 1].map(|_| study(dir.path(), &arguments));
    assert!(one.status.success(), "{}", String::from_utf8_lossy(&one.stderr));
    assert_eq!(one.stdout, other.stdout, "the same seeds give the same study");
    let study: Value = serde_json::from_slice(&one.stdout).unwrap();

    let reward = |drift, requests, strategy| mean(&study, drift, requests, strategy, "reward");
    for level in study["levels"].as_array().unwrap() {
        let requests = level["requests"].as_u64().unwrap() as usize;
        let drift = level["drift"].as_str().unwrap();
        let limit = reward(drift, requests, "oracle");
        assert!(level["reward"]["mean"].as_f64().unwrap() <= limit + 1e-9, "{level}");
    }
    // Before the first training there is no classifier to be better with.
    assert!(reward("none", 500, "classifier") <= reward("none", 500, "rules"));
    let fixed = reward("none", 4000, "always cheap").max(reward("none", 4000, "always strong"));
    for strategy in ["classifier", "classifier and bandit", "bandit"] {
        assert!(reward("none", 4000, strategy) > fixed, "{strategy}");
    }
    assert!(mean(&study, "none", 4000, "classifier", "accuracy") > 0.8);

    for traffic in study["caches"].as_array().unwrap() {
        for errors in ["each_request", "each_wording", "each_question"] {
            let points = traffic["forced"].as_array().unwrap();
            let effective: Vec<f64> = points
                .iter()
                .filter(|point| point["errors"] == errors)
                .map(|point| point["effective"]["mean"].as_f64().unwrap())
                .collect();
            assert!(effective.len() > 3 && effective.is_sorted(), "{errors}: {effective:?}");
        }
    }
    let behind = study["behind"].as_array().unwrap();
    for pair in behind.chunks_exact(2) {
        let spend = |place: usize| pair[place]["spend"]["mean"].as_f64().unwrap();
        assert!(spend(1) < spend(0), "caches save: {pair:?}");
    }
    let oracle = behind.iter().rfind(|behind| behind["policy"] == "oracle").unwrap();
    assert_eq!(oracle["accuracy"]["mean"], 1.0);
}

#[test]
fn the_report_needs_nothing_else_and_tells_no_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let output = study(dir.path(), &["--out", "out", "--seeds", "1", "--levels", "300"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = dir.path().join("out");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.matches("<svg").count() >= 5);
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let json = std::fs::read_to_string(out.join("study.json")).unwrap();
    for text in ["poem", "on the map"] {
        assert!(!page.contains(text) && !json.contains(text), "{text}");
    }
    for plot in ["strategies", "strategies-drift", "compounding", "spending"] {
        let csv = std::fs::read_to_string(out.join(plot).with_extension("csv")).unwrap();
        assert!(csv.lines().count() > 3, "{plot}: {csv}");
        assert!(out.join(plot).with_extension("svg").is_file());
    }
}

#[test]
fn bad_input_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("trace.csv"), "head\nnonsense\n").unwrap();
    std::fs::write(dir.path().join("bad.jsonl"), "{}\n").unwrap();
    let cases = [
        (vec!["--trace", "trace.csv"], "trace.csv:2"),
        (vec!["--pairs", "bad.jsonl"], "bad.jsonl:1"),
        (vec!["--label-share", "2"], "0 to 1"),
        (vec!["--levels", "0"], "levels"),
    ];
    for (arguments, expected) in cases {
        let output = study(dir.path(), &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}
