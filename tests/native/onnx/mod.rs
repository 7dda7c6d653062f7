//! The exported graphs, seen by ONNX's checker and by ONNX Runtime (PyPI).
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pointsman_core::classifier::{Classifier, Objective};
use pointsman_core::features::{Features, extract};
use pointsman_core::prompt::{ApiFormat, Prompt};
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The virtual environment's Python; `None`, with the reason, when it is absent. On CI it must
/// be there.
fn python() -> Option<PathBuf> {
    let python = root().join(".venv/bin/python");
    let has_onnx = Command::new(&python).args(["-c", "import onnx, onnxruntime"]).output();
    if has_onnx.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "no onnx in .venv: run `make venv`");
    eprintln!("skipped: no onnx and onnxruntime in .venv; `make venv` installs them");
    None
}

fn golden_features(golden: &str) -> Vec<Features> {
    let features = |line: &str| {
        let golden: Value = serde_json::from_str(line).unwrap();
        let mut body = golden["request"].to_string().into_bytes();
        extract(&Prompt::parse(ApiFormat::ChatCompletions, &mut body, false).unwrap())
    };
    golden.lines().map(features).collect()
}

/// `objective` chooses the output, which goes by the name `output` in the graph.
fn check(python: &Path, model: &Path, objective: Option<Objective>, output: &str) {
    let read = |name: &str| fs::read(model.join(name)).unwrap();
    let classifier =
        Classifier::load_for(&read("model.onnx"), &read("manifest.json"), objective).unwrap();
    let golden = String::from_utf8(read("golden.jsonl")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for features in golden_features(&golden) {
        inputs.extend(features.as_slice().iter().flat_map(|v| v.to_le_bytes()));
        let scores = classifier.scores(&features).unwrap();
        outputs.extend(scores.iter().flat_map(|v| v.to_le_bytes()));
    }
    let (features, scores) = (dir.path().join("features"), dir.path().join("scores"));
    fs::write(&features, inputs).unwrap();
    fs::write(&scores, outputs).unwrap();
    let run = Command::new(python)
        .arg(root().join("tests/native/onnx/check.py"))
        .arg(model.join("model.onnx"))
        .arg(output)
        .args([&features, &scores])
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {talk}", model.display());
}

#[test]
fn the_shipped_model_scores_alike_in_onnx_runtime() {
    let Some(python) = python() else { return };
    check(&python, &root().join("model"), Some(Objective::Satisfy), "scores");
    check(&python, &root().join("model"), Some(Objective::Gain), "gain");
}

#[test]
fn every_algorithm_exports_a_valid_graph() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("rows.jsonl");
    let row = |i: usize| {
        let prompt = if i.is_multiple_of(2) {
            format!("Prove lemma {i}.")
        } else {
            format!("Hello number {i}!")
        };
        let split = if i.is_multiple_of(3) { "val" } else { "train" };
        json!({"prompt": prompt, "cheap_ok": (i % 2 == 1) != i.is_multiple_of(13), "split": split})
    };
    let rows: String = (0..200).map(|i| format!("{}\n", row(i))).collect();
    fs::write(&data, rows).unwrap();
    for algorithm in ["logistic", "mlp", "trees", "stacked"] {
        let model = dir.path().join(algorithm);
        assert_cmd::Command::cargo_bin("pointsman")
            .unwrap()
            .args(["train", "--algorithm", algorithm, "--objective", "satisfy", "--data"])
            .arg(&data)
            .arg("--gain-data")
            .arg(&data)
            .arg("--out")
            .arg(&model)
            .assert()
            .success();
        check(&python, &model, None, "scores");
        check(&python, &model, Some(Objective::Gain), "gain");
    }
}
