//! `pointsman calibrate` on the sample log.

use std::fs;

use pointsman_core::config::Config;
use pointsman_core::router::Router;
use serde_json::{Value, json};

use crate::from_log::{SAMPLE, path, run, stderr, stdout};

fn calibrate(more: &[&str]) -> Value {
    let (data, model) = (SAMPLE.labelled(), SAMPLE.model());
    let all =
        ["calibrate", "--json", "--split", "all", "--data", path(&data), "--model", path(&model)];
    serde_json::from_str(&stdout(&[&all[..], more].concat(), b"")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[test]
fn each_wish_is_granted_with_an_interval() {
    let quality = calibrate(&["--quality", "0.9"]);
    let found = &quality["calibration"];
    assert!(number(&found["quality"]) >= 0.9 * number(&found["always_strong_quality"]));
    for name in ["threshold", "strong_share", "quality"] {
        let interval = &found[format!("{name}_ci95")];
        let (low, high) = (number(&interval[0]), number(&interval[1]));
        assert!(low <= number(&found[name]) && number(&found[name]) <= high, "{name}: {found}");
    }
    let share = calibrate(&["--strong-share", "0.25"]);
    let got = number(&share["calibration"]["strong_share"]);
    assert!(got <= 0.25 && got > 0.2, "{got}");
    // A million requests at token prices: cheap 51, strong 450 dollars.
    let prices = ["--cheap-price", "0.15,0.6", "--strong-price", "2.5,10", "--tokens", "100,20"];
    let budget = ["--budget", "150", "--requests", "1000000"];
    let found = &calibrate(&[&prices[..], &budget].concat())["calibration"];
    let cost = number(&found["cost"]) * 1e6;
    assert!(cost <= 150.0 && cost > 140.0, "{found}");
    assert!((number(&found["savings"]) - (1.0 - cost / 450.0)).abs() < 1e-9);
}

#[test]
fn the_printed_configuration_is_one_that_the_filter_takes() {
    let plain = calibrate(&["--quality", "0.9"]);
    let config = Config::from_json(plain["config"].to_string().as_bytes()).unwrap();
    let threshold = plain["calibration"]["threshold"].as_f64().unwrap() as f32;
    assert_eq!(config.targets[0].threshold, Some(threshold));

    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("filter.json");
    let text = json!({"targets": [{"name": "small", "cluster": "a"}, {"name": "large", "cluster": "b"}],
                      "default": "small", "mode": "observe"});
    fs::write(&own, text.to_string()).unwrap();
    let patched = calibrate(&["--quality", "0.9", "--config", path(&own), "--with-model"]);
    let mut expected = text;
    expected["targets"][0]["threshold"] = plain["config"]["targets"][0]["threshold"].clone();
    expected["policy"] = patched["config"]["policy"].clone();
    assert_eq!(patched["config"], expected);
    let router =
        Router::new(Config::from_json(patched["config"].to_string().as_bytes()).unwrap()).unwrap();
    let manifest: Value =
        serde_json::from_slice(&fs::read(SAMPLE.model().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(router.classifier().manifest().version, manifest["version"]);
}

#[test]
fn thresholds_that_never_or_always_fire_are_warned_of() {
    let warning = |more: &[&str]| calibrate(more)["warnings"][0].as_str().map(str::to_owned);
    let never = warning(&["--strong-share", "1"]).unwrap();
    assert!(never.contains("never fires"), "{never}");
    let always = warning(&["--strong-share", "0"]).unwrap();
    assert!(always.contains("always fires"), "{always}");
    let poor = ["--budget", "0.5", "--cheap-cost", "1", "--strong-cost", "2"];
    assert!(calibrate(&poor)["warnings"].to_string().contains("does not even pay"));
    assert_eq!(warning(&["--strong-share", "0.5"]), None);
}

#[test]
fn goals_that_make_no_sense_are_refused() {
    let data = SAMPLE.labelled();
    for (more, said) in [
        (&["--quality", "1.5"][..], "between 0 and 1"),
        (&["--budget", "10"], "needs prices"),
        (&["--quality", "0.9", "--cheap-cost", "2", "--strong-cost", "1"], "nothing to save"),
        (&["--quality", "0.9", "--strong-share", "0.2"], "cannot be used with"),
        (&["--quality", "0.9", "--config", "Cargo.toml"], "not JSON"),
    ] {
        let output = run(&[&["calibrate", "--data", path(&data)], more].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
}
