//! `pointsman train`, `evaluate` and `features`, as a user runs them.
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

fn pointsman(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("pointsman").unwrap();
    command.args(args);
    command
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Made-up rows: sums are for the cheap model, programs for the strong one, with some noise.
fn rows(n: usize) -> String {
    let row = |i: usize| {
        let code = i.is_multiple_of(3);
        let prompt = if code {
            format!("```python\ndef f{i}(x):\n    return x[{i}]\n```\nWhy does this fail?")
        } else {
            format!("What is {i} plus {}?", i * 7)
        };
        let cheap_ok = code == i.is_multiple_of(11);
        let split = if i % 4 == 1 { "val" } else { "train" };
        let request = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
        let source = if code { "code" } else { "sums" };
        json!({"id": i, "request": request, "source": source, "split": split,
               "scores": {"cheap": f64::from(u8::from(cheap_ok)), "strong": 1.0},
               "label": {"cheap_ok": cheap_ok, "quality": 0.5, "evaluator": "exact"}})
    };
    (0..n).map(|i| format!("{}\n", row(i))).collect()
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let file = directory.join(name);
    fs::write(&file, text).unwrap();
    path(&file).to_owned()
}

#[test]
fn a_trained_model_is_reproducible_and_measured_by_evaluate() {
    let dir = tempfile::tempdir().unwrap();
    let data = write(dir.path(), "rows.jsonl", &rows(240));
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for out in [&one, &two] {
        let run = ["train", "--data", &data, "--out", path(out), "--seed", "5"];
        pointsman(&run).assert().success().stdout("");
    }
    for name in ["model.onnx", "manifest.json", "golden.jsonl", "CARD.md"] {
        let (a, b) = (fs::read(one.join(name)).unwrap(), fs::read(two.join(name)).unwrap());
        assert!(a == b, "{name} differs between two runs with one seed");
    }
    assert_eq!(fs::read_dir(&one).unwrap().count(), 4, "nothing partial is left behind");

    let run = ["evaluate", "--data", &data, "--model", path(&one), "--json"];
    let output = pointsman(&run).assert().success().get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(report["n"], 60);
    assert!(report["auroc"].as_f64().unwrap() > 0.85, "{report}");
    assert!(report["accuracy"].as_f64().unwrap() > 0.85, "{report}");
    for name in [
        "majority_accuracy",
        "balanced_accuracy",
        "auroc_ci95",
        "apgr",
        "cpt50",
        "cpt80",
        "brier",
        "ece",
        "threshold",
        "policy",
    ] {
        assert!(!report[name].is_null(), "{name} is missing in {report}");
    }
    assert_eq!(report["by_source"]["code"]["n"].as_i64(), Some(20));

    let manifest: Value =
        serde_json::from_slice(&fs::read(one.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["training"]["seed"], 5);
    assert_eq!(manifest["training"]["data"][0]["train_rows"], 180);
    let golden = fs::read_to_string(one.join("golden.jsonl")).unwrap();
    assert!(golden.lines().count() >= 32);
}

#[test]
fn a_second_score_is_trained_measured_and_calibrated_by_its_own_question() {
    let dir = tempfile::tempdir().unwrap();
    // Programs do not satisfy, and for sums the strong answer is better.
    let row = |i: usize| {
        let code = i.is_multiple_of(2) != i.is_multiple_of(13);
        let prompt = if i.is_multiple_of(2) {
            format!("```python\ndef f{i}(x):\n    return x[{i}]\n```\nWhy does this fail?")
        } else {
            format!("What is {i} plus {}?", i * 7)
        };
        let (cheap, strong) = if code { (0.1, 0.1) } else { (0.6, 0.9) };
        let split = if i % 4 < 2 { "train" } else { "val" };
        json!({"id": i, "prompt": prompt, "split": split, "cheap": cheap, "strong": strong})
    };
    let rows: String = (0..240).map(|i| format!("{}\n", row(i))).collect();
    let data = write(dir.path(), "rows.jsonl", &rows);
    let out = dir.path().join("model");
    let run = [
        "train",
        "--data",
        &data,
        "--out",
        path(&out),
        "--algorithm",
        "logistic",
        "--objective",
        "satisfy",
        "--gain-data",
        &data,
    ];
    pointsman(&run).assert().success().stdout("");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(manifest["objective"], "satisfy");
    assert!(manifest["targets"][0]["gain_threshold"].is_number(), "{manifest}");
    let golden: Value = serde_json::from_str(read("golden.jsonl").lines().next().unwrap()).unwrap();
    assert_ne!(golden["scores"], golden["gain"]);
    assert!(read("CARD.md").contains("### The gain"));

    let measured = |objective: &[&str]| -> Value {
        let run = ["evaluate", "--data", &data, "--model", path(&out), "--split", "val", "--json"];
        let output = pointsman(&[&run[..], objective].concat()).assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    };
    for objective in ["satisfy", "gain"] {
        let auroc = measured(&["--objective", objective])["auroc"].as_f64().unwrap();
        assert!(auroc > 0.85, "{objective}: {auroc}");
    }
    assert_eq!(measured(&[])["auroc"], measured(&["--objective", "satisfy"])["auroc"]);

    let calibrated = |objective: &str| -> Value {
        let run = [
            "calibrate",
            "--data",
            &data,
            "--model",
            path(&out),
            "--split",
            "val",
            "--with-model",
            "--strong-share",
            "0.5",
            "--config-only",
            "--objective",
            objective,
        ];
        let output = pointsman(&run).assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    };
    assert_eq!(calibrated("gain")["policy"]["objective"], "gain");
    assert_eq!(calibrated("satisfy")["policy"]["objective"], "satisfy");
}

#[test]
fn bad_lines_are_skipped_and_named_or_with_strict_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{{\"prompt\":\"no label\"}}\n{}", rows(80));
    let data = write(dir.path(), "rows.jsonl", &text);
    let out = dir.path().join("model");
    let run = ["train", "--data", &data, "--out", path(&out), "--algorithm", "logistic"];
    let output = pointsman(&run).assert().success().get_output().stderr.clone();
    let talk = String::from_utf8(output).unwrap();
    assert!(talk.contains("rows.jsonl:1: no label"), "{talk}");

    let strict = dir.path().join("strict");
    let run = ["train", "--strict", "--data", &data, "--out", path(&strict)];
    pointsman(&run).assert().code(2);
    assert!(!strict.exists(), "a failed run leaves no model");
}

#[test]
fn rows_that_cannot_teach_are_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let one_class: String = (0..40)
        .map(|i| format!("{}\n", json!({"prompt": format!("question {i}"), "cheap_ok": 1})))
        .collect();
    let data = write(dir.path(), "rows.jsonl", &one_class);
    let out = dir.path().join("model");
    let output = pointsman(&["train", "--data", &data, "--out", path(&out)])
        .assert()
        .code(2)
        .get_output()
        .stderr
        .clone();
    let talk = String::from_utf8(output).unwrap();
    assert!(talk.contains("cheap_ok = true") && talk.contains("hint: "), "{talk}");
    let missing = ["evaluate", "--data", "/nowhere.jsonl"];
    pointsman(&missing).assert().code(2);
}

#[test]
fn features_are_printed_line_by_line_from_standard_input() {
    let rows = "{\"id\":\"a,1\",\"prompt\":\"Why is 2 + 2 = 4?\"}\n{\"prompt\":\"hello\"}\n";
    let output = pointsman(&["features"]).write_stdin(rows).assert().success();
    let lines = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], "a,1");
    assert_eq!(first["features"]["opens_with_why_or_how"], 1.0);
    assert_eq!(lines.lines().count(), 2);

    let output = pointsman(&["features", "--format", "csv"]).write_stdin(rows).assert().success();
    let lines = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let mut lines = lines.lines();
    assert!(lines.next().unwrap().starts_with("id,text_bytes,"));
    assert!(lines.next().unwrap().starts_with("\"a,1\","));
}
