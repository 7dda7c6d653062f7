//! The golden chain: label, train, evaluate, calibrate, explain on the sample log, pinned.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::from_log::{LOG, json, path, stdout};

/// Two digits: what another processor's last bits do not change.
fn rounded(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |number| format!("{number:.2}"))
}

#[test]
fn label_train_evaluate_calibrate_explain_give_what_they_gave() {
    let directory = tempfile::tempdir().unwrap();
    let [labelled, model, config] =
        ["labelled.jsonl", "model", "filter.json"].map(|name| directory.path().join(name));
    let mut golden = String::new();

    let out = ["--out", path(&labelled), "--json"];
    let label = json(&[&["label", "--no-replay", LOG], &out[..]].concat());
    let rows = fs::read(&labelled).unwrap();
    let digest = pointsman_core::features::digest_of(&rows);
    writeln!(
        golden,
        "label      {} rows, {} cheap_ok, {digest}",
        label["labelled"], label["cheap_ok"]
    )
    .unwrap();

    let train = ["train", "--algorithm", "logistic", "--seed", "1", "--data", path(&labelled)];
    stdout(&[&train[..], &["--out", path(&model)]].concat(), b"");
    let manifest: Value =
        serde_json::from_slice(&fs::read(model.join("manifest.json")).unwrap()).unwrap();
    let data = &manifest["training"]["data"][0];
    writeln!(
        golden,
        "train      {} train rows, {} validation rows",
        data["train_rows"], data["val_rows"]
    )
    .unwrap();

    let of_model = ["--data", path(&labelled), "--model", path(&model)];
    let evaluation = json(&[&["evaluate", "--json"], &of_model[..]].concat());
    for name in ["n", "majority_accuracy", "accuracy", "auroc", "apgr", "cpt50", "brier", "ece"] {
        writeln!(golden, "evaluate   {name} {}", rounded(&evaluation[name])).unwrap();
    }
    for (name, standing) in evaluation["baselines"].as_object().unwrap() {
        let gain = rounded(&standing["gain"]["quality"]["value"]);
        let quality = rounded(&standing["quality"]["value"]);
        writeln!(golden, "evaluate   {name}: quality {quality}, gain {gain}").unwrap();
    }

    let goal = ["calibrate", "--quality", "0.95", "--with-model"];
    let calibrated = json(&[&goal[..], &of_model, &["--json"]].concat());
    for name in ["threshold", "strong_share", "quality"] {
        writeln!(golden, "calibrate  {name} {}", rounded(&calibrated["calibration"][name]))
            .unwrap();
    }
    fs::write(&config, calibrated["config"].to_string()).unwrap();

    let explain = ["explain", "--json", "--config", path(&config), "examples/log/request.json"];
    let explained = json(&explain);
    for name in ["target", "source", "reason"] {
        writeln!(golden, "explain    {name} {}", explained[name].as_str().unwrap()).unwrap();
    }
    writeln!(golden, "explain    score {}", rounded(&explained["score"])).unwrap();
    assert_eq!(explained["model_version"], manifest["version"]);

    // INSTA_UPDATE=always takes over a change that is meant.
    insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("chain", golden);
    });
}
