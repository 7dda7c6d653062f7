use super::*;

const GOOD: &str = r#"{"targets": [{"name": "cheap", "cluster": "cheap-cache", "threshold": 0.62},
    {"name": "strong", "cluster": "strong"}]}"#;

fn errors(json: &str) -> Vec<String> {
    Config::from_json(json.as_bytes()).unwrap_err().0.iter().map(ToString::to_string).collect()
}

/// `GOOD` with one more top-level field.
fn with(field: &str) -> String {
    format!("{}, {field}}}", GOOD.strip_suffix('}').unwrap())
}

#[test]
fn only_targets_are_required() {
    let config = Config::from_json(GOOD.as_bytes()).unwrap();
    assert_eq!(config.default, 1, "the strongest");
    assert_eq!(config.max_body_bytes, MAX_BODY_BYTES);
    assert_eq!(config.mode, Mode::Route);
    assert_eq!(config.targets[0].threshold, Some(0.62));
    assert_eq!(config.response_headers, ResponseHeaders::default());
}

#[test]
fn every_field_is_read() {
    let config = with(
        r#""default": "cheap", "mode": "observe", "body": {"max_bytes": 2048.0},
           "response_headers": {"score": false},
           "policy": {"classifier": {"model": {"onnx": "AAEC", "manifest": {"format": 1}}}}"#,
    );
    let config = Config::from_json(config.as_bytes()).unwrap();
    assert_eq!((config.default, config.mode, config.max_body_bytes), (0, Mode::Observe, 2048));
    assert!(!config.response_headers.score && config.response_headers.reason);
    let model = config.model.unwrap();
    assert_eq!((model.onnx, model.manifest), (vec![0, 1, 2], br#"{"format":1}"#.to_vec()));
}

#[test]
fn each_rule_names_path_value_and_what_is_expected() {
    for (field, expected) in [
        (
            r#""defualt": "x""#,
            "defualt = \"x\": unknown field; known are targets, default, policy, body, response_headers, mode",
        ),
        (r#""default": "x""#, "default = \"x\": must name a target: cheap, strong"),
        (r#""default": 1"#, "default = 1: must be a string"),
        (r#""mode": "on""#, "mode = \"on\": must be one of route, observe"),
        (r#""body": []"#, "body = []: must be an object"),
        (
            r#""body": {"max_bytes": 10}"#,
            "body.max_bytes = 10: must be a whole number from 1024 to 16777216",
        ),
        (
            r#""body": {"max_bytes": 2000.5}"#,
            "body.max_bytes = 2000.5: must be a whole number from 1024 to 16777216",
        ),
        (
            r#""response_headers": {"score": 1}"#,
            "response_headers.score = 1: must be true or false",
        ),
        (
            r#""response_headers": {"scores": true}"#,
            "response_headers.scores = true: unknown field; known are target, source, reason, score, decision_id",
        ),
        (
            r#""policy": {"classifier": {"model": {"onnx": "?", "manifest": {}}}}"#,
            "policy.classifier.model.onnx = \"?\": must be base64",
        ),
        (
            r#""policy": {"classifier": {"model": {"onnx": "AAEC"}}}"#,
            "policy.classifier.model.manifest: is required",
        ),
    ] {
        assert_eq!(errors(&with(field)), [expected], "{field}");
    }
}

#[test]
fn each_rule_of_a_target_names_path_value_and_what_is_expected() {
    let strong = r#"{"name": "strong", "cluster": "strong"}"#;
    for (target, expected) in [
        (r#"7"#, "targets[0] = 7: must be an object"),
        (r#"{"cluster": "c"}"#, "targets[0].name: is required"),
        (r#"{"name": "c"}"#, "targets[0].cluster: is required"),
        (
            r#"{"name": "a.b", "cluster": "c"}"#,
            "targets[0].name = \"a.b\": must be 1 to 64 letters, digits, \"-\" or \"_\"",
        ),
        (
            r#"{"name": "c", "cluster": "a b"}"#,
            "targets[0].cluster = \"a b\": must be 1 to 255 visible ASCII characters",
        ),
        (
            r#"{"name": "c", "cluster": "c", "threshold": 1.5}"#,
            "targets[0].threshold = 1.5: must be a number from 0 to 1",
        ),
    ] {
        assert_eq!(
            errors(&format!(r#"{{"targets": [{target}, {strong}]}}"#)),
            [expected],
            "{target}"
        );
    }
    assert_eq!(
        errors(&format!(r#"{{"targets": [{strong}, {strong}]}}"#)),
        ["targets[1].name = \"strong\": must be unique"]
    );
    assert_eq!(
        errors(
            r#"{"targets": [{"name": "a", "cluster": "a"}, {"name": "b", "cluster": "b", "threshold": 0.5}]}"#
        ),
        [
            "targets[1].threshold = 0.5: the last target is the strongest: it takes what no other does"
        ]
    );
    assert_eq!(
        errors(&format!(r#"{{"targets": [{strong}]}}"#)),
        ["targets = 1 targets: must be 2 to 16"]
    );
    assert_eq!(errors(r#"{}"#), ["targets: is required: the targets, cheapest first"]);
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = errors(
        r#"{"targets": [{"name": "", "cluster": "c", "threshold": -1}, {"name": "s", "cluster": "s", "weight": 1}],
            "mode": 3, "extra": null}"#,
    );
    assert_eq!(errors.len(), 5, "{errors:#?}");
}

#[test]
fn what_is_not_json_is_refused() {
    assert!(errors("{")[0].starts_with("configuration: not JSON: "));
    assert_eq!(errors("[]"), ["configuration = []: must be an object"]);
}

#[test]
fn prices_are_given_for_all_targets_or_none() {
    let priced = r#"{"targets": [
        {"name": "cheap", "cluster": "a", "price": {"input": 0.15, "output": 0.6}},
        {"name": "strong", "cluster": "b", "price": {"input": 2.5, "output": 10}}]}"#;
    let config = Config::from_json(priced.as_bytes()).unwrap();
    assert_eq!(config.targets[1].price, Some(Price { input: 2.5, output: 10.0 }));
    let half = priced.replace(r#", "price": {"input": 2.5, "output": 10}"#, "");
    assert_eq!(errors(&half), ["targets[1].price: is required, because another target has one"]);
    let wrong = priced.replace("2.5", "-1").replace(r#", "output": 10"#, "");
    assert_eq!(
        errors(&wrong),
        [
            "targets[1].price.input = -1: must be a number from 0 to 1000000",
            "targets[1].price.output: is required"
        ]
    );
}

/// The filter configurations in a deployment's YAML documents.
fn carried(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                match (name.as_str(), value) {
                    ("pluginConfig" | "config", value) if value.get("targets").is_some() => {
                        found.push(value.to_string());
                    }
                    ("value", serde_json::Value::String(text)) if text.contains("targets") => {
                        found.push(text.clone());
                    }
                    _ => carried(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| carried(value, found)),
        _ => {}
    }
}

#[test]
fn the_example_deployments_carry_configurations_that_are_accepted() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "envoy/envoy.yaml",
        "deploy/xds/filter.yaml",
        "deploy/istio/pointsman.yaml",
        "deploy/istio/envoyfilter.yaml",
        "deploy/envoy-gateway/pointsman.yaml",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let mut found = Vec::new();
        for document in text.split("\n---\n") {
            carried(&serde_saphyr::from_str(document).unwrap(), &mut found);
        }
        assert_eq!(found.len(), 1, "{file}");
        Config::from_json(found[0].as_bytes()).unwrap();
    }
}
