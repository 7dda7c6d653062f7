//! `pointsman evaluate` on the sample log.

use std::fs;

use serde_json::{Value, json};

use crate::from_log::{SAMPLE, path, run, stderr, stdout};

fn evaluate(more: &[&str], input: &[u8]) -> Value {
    let model = SAMPLE.model();
    let arguments = [&["evaluate", "--json", "--model", path(&model)], more].concat();
    serde_json::from_str(&stdout(&arguments, input)).unwrap()
}

#[test]
fn the_object_holds_the_contract_and_every_baseline() {
    let data = SAMPLE.labelled();
    let object = evaluate(&["--data", path(&data), "--compare", "model"], b"");
    let contract = "n majority_accuracy accuracy balanced_accuracy auroc auroc_ci95 apgr cpt50 \
                    cpt80 brier ece threshold policy by_source auroc_within_source";
    for name in contract.split_whitespace() {
        assert!(!object[name].is_null(), "{name} is missing in {object}");
    }
    let names: Vec<&String> = object["baselines"].as_object().unwrap().keys().collect();
    let expected = "always_cheap always_strong cost_matched_shuffle hand_rules oracle \
                    previous_model random";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    // The model knows something that its share of strong calls alone does not explain.
    let gain = &object["baselines"]["cost_matched_shuffle"]["gain"]["quality"]["ci95"];
    assert!(gain[0].as_f64().unwrap() > 0.0, "{gain}");
    assert_eq!(object["policy"]["accuracy"]["value"], object["accuracy"]);
}

#[test]
fn partitions_scored_anywhere_measure_as_the_whole_does() {
    let model = SAMPLE.model();
    let text = fs::read_to_string(SAMPLE.labelled()).unwrap();
    let filter = ["evaluate", "--rows", "--model", path(&model)];
    let whole = stdout(&filter, text.as_bytes());
    assert_eq!(whole.lines().count(), text.lines().count());
    let lines: Vec<&str> = text.lines().collect();
    let parts: String =
        lines.chunks(97).map(|part| stdout(&filter, (part.join("\n") + "\n").as_bytes())).collect();
    assert_eq!(parts, whole);
    let reduced = evaluate(&["--scored"], whole.as_bytes());
    let direct = evaluate(&["--split", "all"], text.as_bytes());
    assert_eq!(reduced, direct);
    let first: Value = serde_json::from_str(whole.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], "log-0001");
    assert!(first.get("request").is_none(), "a scored row carries no prompt");
}

#[test]
fn bad_scored_rows_are_named_or_with_strict_end_the_run() {
    let row =
        json!({"id": "a", "score": 0.5, "cheap_ok": true, "cheap": 1, "strong": 1, "rules": 1});
    let text = format!("{row}\n{{\"id\": 1}}\n");
    let output = run(&["evaluate", "--scored", "--json"], text.as_bytes());
    assert!(output.status.success() && stderr(&output).contains("-:2: "), "{}", stderr(&output));
    let output = run(&["evaluate", "--scored", "--strict"], text.as_bytes());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_report_is_one_page_with_plots_and_without_prompts() {
    let (data, model) = (SAMPLE.labelled(), SAMPLE.model());
    let directory = tempfile::tempdir().unwrap();
    let (page, plots) = (directory.path().join("report.html"), directory.path().join("plots"));
    let copy = directory.path().join("model");
    fs::create_dir(&copy).unwrap();
    for name in ["model.onnx", "manifest.json"] {
        fs::copy(model.join(name), copy.join(name)).unwrap();
    }
    let curve = json!([{"rows": 100, "accuracy": 0.7, "auroc": 0.7, "apgr": 0.6},
                       {"rows": 380, "accuracy": 0.86, "auroc": 0.9, "apgr": 0.75}]);
    fs::write(copy.join("learning-curve.json"), curve.to_string()).unwrap();
    let arguments = ["evaluate", "--data", path(&data), "--model", path(&copy)];
    let files = ["--report", path(&page), "--plots", path(&plots)];
    stdout(&[&arguments[..], &files].concat(), b"");
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 8);
    assert!(!page.contains("<script") && !page.contains("url(") && !page.contains("<link"));
    assert!(!page.contains("Lisbon") && page.contains("order-riddle"));
    let groups = fs::read_to_string(plots.join("feature-groups.csv")).unwrap();
    let costs: Vec<f64> = groups
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(costs.len(), 5);
    assert!(costs.iter().sum::<f64>() > 0.0, "{groups}");
    let features = fs::read_to_string(plots.join("features.csv")).unwrap();
    assert_eq!(features.lines().count(), 1 + pointsman_core::features::ENGINEERED);
    let curve = fs::read_to_string(plots.join("learning-curve.csv")).unwrap();
    assert_eq!(curve, "rows,accuracy,auroc,apgr\n100,0.7,0.7,0.6\n380,0.86,0.9,0.75\n");
    // Nothing partial is left behind.
    assert_eq!(fs::read_dir(&plots).unwrap().count(), 16);
}

#[test]
fn each_target_of_a_model_with_several_is_measured_by_its_own_score() {
    let directory = tempfile::tempdir().unwrap();
    let (data, model) = (directory.path().join("rows.jsonl"), directory.path().join("model"));
    let row = |number: u32| {
        let kind = number % 3;
        let (easy, middling) = (kind == 0, kind < 2);
        let task = match kind {
            0 => "Name the capital of country",
            1 => "Compute the sum of 37 and",
            _ => "Prove the theorem about group",
        };
        let split = if number < 240 { "train" } else { "val" };
        let scores = json!({"small": u8::from(easy), "medium": u8::from(middling), "large": 1});
        json!({"id": number, "prompt": format!("{task} number {number}?"), "scores": scores,
               "split": split})
        .to_string()
    };
    fs::write(&data, (0..300).map(row).collect::<Vec<_>>().join("\n")).unwrap();
    let (data, model) = (path(&data), path(&model));
    let targets = ["--target", "small", "--target", "medium", "--strongest", "large"];
    let train = ["train", "--data", data, "--out", model, "--algorithm", "logistic"];
    stdout(&[&train[..], &targets].concat(), b"");
    let measure = |target: &str| -> Value {
        let arguments = ["evaluate", "--json", "--data", data, "--model", model];
        let which = ["--target", target, "--strongest", "large"];
        serde_json::from_str(&stdout(&[&arguments[..], &which].concat(), b"")).unwrap()
    };
    let share = |object: &Value| object["majority_accuracy"].as_f64().unwrap();
    let (small, medium) = (measure("small"), measure("medium"));
    assert!((share(&small) - 2.0 / 3.0).abs() < 0.01 && (share(&medium) - 2.0 / 3.0).abs() < 0.01);
    for object in [&small, &medium] {
        assert!(object["auroc"].as_f64().unwrap() > 0.99, "{object}");
    }
    let output = run(
        &["evaluate", "--data", data, "--model", model, "--target", "tiny", "--strongest", "large"],
        b"",
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the model scores small, medium"), "{}", stderr(&output));
}
