//! `pointsman train`, `evaluate` and `calibrate` with `--accept`, as a user runs them.
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

fn pointsman(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("pointsman").unwrap();
    command.args(args);
    command
}

fn object(args: &[&str]) -> Value {
    let output = pointsman(args).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

/// Made-up rows: a wrong answer mostly has a slip in its arithmetic.
fn rows(n: usize) -> String {
    let row = |i: usize| {
        let (a, b) = (3 + i % 17, 2 + i % 11);
        let right = !i.is_multiple_of(4);
        let slips = if i.is_multiple_of(9) { right } else { !right };
        let product = a * b + usize::from(slips);
        json!({"source": "sums", "id": i, "split": if i % 5 < 3 { "train" } else { "val" },
            "prompt": format!("Case {i}: {a} boxes hold {b} pens each. How many pens are there?"),
            "cheap_model": if i % 8 < 4 { "small" } else { "tiny" }, "strong_model": "large",
            "cheap_answer": format!("{a} * {b} = {product}\n#### {product}"),
            "strong_answer": format!("#### {}", a * b),
            "cheap": u8::from(right), "strong": u8::from(i % 50 != 1)})
    };
    (0..n).map(|i| format!("{}\n", row(i))).collect()
}

fn trained(directory: &Path) -> (String, String) {
    let data = directory.join("answers.jsonl");
    fs::write(&data, rows(400)).unwrap();
    let (data, out) = (data.to_str().unwrap().to_owned(), directory.join("judge"));
    let out = out.to_str().unwrap().to_owned();
    pointsman(&["train", "--accept", "--data", &data, "--out", &out]).assert().success();
    (data, out)
}

fn interval(value: &Value) -> (f64, f64, f64) {
    let number = |value: &Value| value.as_f64().unwrap();
    (number(&value["value"]), number(&value["ci95"][0]), number(&value["ci95"][1]))
}

#[test]
fn a_judge_is_trained_and_compared_with_routing_at_equal_spending() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = trained(dir.path());
    for name in ["model.onnx", "manifest.json", "golden.jsonl", "CARD.md"] {
        assert!(Path::new(&out).join(name).is_file(), "{name}");
    }
    let again = dir.path().join("again");
    let again = again.to_str().unwrap();
    pointsman(&["train", "--accept", "--data", &data, "--out", again]).assert().success();
    let model = |directory: &str| fs::read(Path::new(directory).join("model.onnx")).unwrap();
    assert!(model(&out) == model(again), "the same rows and seed give the same file");

    let found = object(&["evaluate", "--accept", &out, "--data", &data, "--json"]);
    assert_eq!(found["n"], 160);
    let (auroc, low, high) = interval(&found["auroc"]);
    assert!(auroc > 0.75 && low <= auroc && auroc <= high, "{found}");
    for way in ["router", "net", "both"] {
        let (apgr, low, high) = interval(&found[way]["apgr"]);
        assert!(low <= apgr && apgr <= high, "{way}: {found}");
    }
    assert!(interval(&found["net"]["gain"]).1 > 0.0, "{found}");
    for pair in ["small", "tiny"] {
        let pair = &found["by_pair"][pair];
        assert_eq!(pair["n"], 80);
        interval(&pair["both"]["apgr"]);
    }

    let page = dir.path().join("judge.html");
    let plots = dir.path().join("plots");
    let run = ["evaluate", "--accept", &out, "--data", &data, "--json", "--report"];
    let written = [page.to_str().unwrap(), "--plots", plots.to_str().unwrap()];
    assert_eq!(object(&[&run[..], &written].concat()), found, "the page changes no number");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("tiny"), "{page}");
    assert!(plots.join("quality-over-spending.csv").is_file());
}

#[test]
fn both_thresholds_are_calibrated_together() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = trained(dir.path());
    let found =
        object(&["calibrate", "--accept", &out, "--data", &data, "--quality", "0.95", "--json"]);
    assert_eq!(found["pays"], true, "{found}");
    assert!(found["accept_below"].as_f64().unwrap() > 0.0);
    let cost = |way: &str| found[way]["cost"].as_f64().unwrap();
    assert!(cost("chosen") < cost("router_alone"), "{found}");
}

#[test]
fn rows_that_cannot_be_used_are_named_with_line_field_and_rule() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("rows.jsonl");
    fs::write(&data, "{\"prompt\":\"a\",\"cheap_answer\":\"b\",\"cheap\":7,\"strong\":1}\n")
        .unwrap();
    let (data, out) = (data.to_str().unwrap(), dir.path().join("out"));
    let run = ["train", "--accept", "--strict", "--data", data, "--out", out.to_str().unwrap()];
    let output = pointsman(&run).assert().code(2).get_output().stderr.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("rows.jsonl:1: `cheap` is 7; it must be within 0..=1"), "{text}");
}

/// The recorded answers are public data that is no part of the repository.
#[test]
fn on_recorded_answers_judging_gains_over_routing() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/answers");
    let root = std::env::var_os("POINTSMAN_ANSWERS_DATA").map_or(root, PathBuf::from);
    let data = root.join("routellm_gsm8k.jsonl.gz");
    if !data.is_file() {
        eprintln!("skipped: {} is not there; set POINTSMAN_ANSWERS_DATA", data.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (data.to_str().unwrap(), dir.path().join("judge"));
    let out = out.to_str().unwrap();
    pointsman(&["train", "--accept", "--data", data, "--out", out]).assert().success();
    let found = object(&["evaluate", "--accept", out, "--data", data, "--json"]);
    assert!(interval(&found["auroc"]).0 > 0.72, "{found}");
    assert!(interval(&found["net"]["gain"]).1 > 0.0, "{found}");
}
