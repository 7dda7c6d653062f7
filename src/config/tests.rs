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
            "defualt = \"x\": unknown field; known are targets, default, policy, body, response_headers, mode, control",
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
fn the_control_plane_is_read_and_its_secrets_are_never_shown() {
    let good = with(
        r#""control": {"cluster": "c", "key": "0123456789abcdef", "token": "fedcba9876543210", "interval_ms": 250},
           "policy": {"bandit": {"max_age_s": 60}}"#,
    );
    let control = Config::from_json(good.as_bytes()).unwrap().control.unwrap();
    assert!(control.bandit);
    assert_eq!((control.interval.as_millis(), control.max_age.as_secs()), (250, 60));
    assert_eq!(control.buffer_bytes, 1_048_576);
    assert_eq!(
        errors(&with(
            r#""control": {"cluster": "c", "key": "secret", "token": "fedcba9876543210"}"#
        )),
        ["control.key: must be 16 or more visible ASCII characters"]
    );
    assert_eq!(
        errors(&with(r#""policy": {"bandit": {}}"#)),
        ["policy.bandit = {}: needs `control`, where its policy comes from"]
    );
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
