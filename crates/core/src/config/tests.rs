use super::*;
use crate::api::ApiFormat;
use crate::policy::Order;
use crate::target::{Need, Needs};

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
            "defualt = \"x\": unknown field; known are targets, default, policy, policies, canary, sticky, override, health, tenant_header, path_prefixes, prompt, body, response_headers, mode, control, $schema",
        ),
        (r#""default": "x""#, "default = \"x\": must name a target: cheap, strong"),
        (r#""default": 1"#, "default = 1: must be a string"),
        (r#""mode": "on""#, "mode = \"on\": must be one of route, observe, off"),
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
            "response_headers.scores = true: unknown field; known are target, source, reason, score, decision_id, escalated",
        ),
        (
            r#""policy": {"classifier": {"model": {"onnx": "?", "manifest": {}}}}"#,
            "policy.classifier.model.onnx = \"?\": must be base64",
        ),
        (
            r#""policy": {"classifier": {"model": {"onnx": "AAEC"}}}"#,
            "policy.classifier.model.manifest: is required",
        ),
        (
            r#""policy": {"classifier": {"novelty_limit": 0}}"#,
            "policy.classifier.novelty_limit = 0: must be a number from 0.1 to 8",
        ),
        (
            r#""policy": {"classifier": {"novelty_limit": "none"}}"#,
            "policy.classifier.novelty_limit = \"none\": must be a number, or \"off\"",
        ),
        (
            r#""policy": {"objective": "cheap"}"#,
            "policy.objective = \"cheap\": must be one of satisfy, gain",
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
            "targets[1].threshold = 0.5: must be left out: the last target takes every request that no other target takes"
        ]
    );
    assert_eq!(
        errors(&format!(r#"{{"targets": [{strong}]}}"#)),
        ["targets = 1 targets: must be 2 to 16"]
    );
    assert_eq!(errors(r#"{}"#), ["targets: is required: the targets, cheapest first"]);
}

#[test]
fn implicit_rewards_are_read_sign_by_sign() {
    let read = |implicit: &str| {
        let control = format!(
            r#""control": {{"cluster": "c", "key": "0123456789abcdef",
                "token": "fedcba9876543210", "implicit": {implicit}}}"#
        );
        Config::from_json(with(&control).as_bytes())
    };
    let implicit = read(r#"{"ok": 0.8, "slow": {"ms": 500, "reward": 0.4}}"#);
    let implicit = implicit.unwrap().control.unwrap().implicit.unwrap();
    assert_eq!((implicit.ok, implicit.empty), (Some(0.8), None));
    assert_eq!(implicit.slow, Some((std::time::Duration::from_millis(500), 0.4)));
    for (implicit, path) in [
        (r#"{"ok": 1.5}"#, "control.implicit.ok"),
        (r#"{"fine": 1}"#, "control.implicit.fine"),
        (r#"{"slow": {"ms": 500}}"#, "control.implicit.slow.reward"),
        (r#"{"asked_again": {"seconds": 0, "reward": 0}}"#, "control.implicit.asked_again.seconds"),
    ] {
        let errors = read(implicit).unwrap_err();
        assert!(errors.to_string().starts_with(path), "{errors}");
    }
}

#[test]
fn the_control_plane_is_read_and_its_secrets_are_never_shown() {
    let good = with(
        r#""control": {"cluster": "c", "key": "0123456789abcdef", "token": "fedcba9876543210", "interval_ms": 250},
           "policy": {"bandit": {"max_age_s": 60}}"#,
    );
    let config = Config::from_json(good.as_bytes()).unwrap();
    let (control, bandit) = (config.control.unwrap(), config.bandit.unwrap());
    assert_eq!((control.interval.as_millis(), bandit.max_age.as_secs()), (250, 60));
    assert_eq!(control.buffer_bytes, 1_048_576);
    assert_eq!(
        errors(&with(
            r#""control": {"cluster": "c", "key": "secret", "token": "fedcba9876543210"}"#
        )),
        ["control.key: must be 16 or more visible ASCII characters"]
    );
    assert_eq!(
        errors(&with(r#""policy": {"bandit": {"max_age_s": 0}}"#)),
        ["policy.bandit.max_age_s = 0: must be a whole number from 1 to 86400"]
    );
}

/// Half of the prices, and a bandit before there is a control plane.
#[test]
fn a_configuration_may_be_completed_step_by_step() {
    let config = Config::from_json(include_bytes!("partial.json")).unwrap();
    assert_eq!(config.targets[0].price, Some(Price::new(0.15, 0.6)));
    assert_eq!(config.targets[1].price, None);
    assert!(config.bandit.is_some() && config.control.is_none());
    assert_eq!((config.rewrite_model, config.max_body_bytes), (true, 1_048_576));
    assert_eq!(config.policies[0].rules.len(), 1);
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
    let rewrite = br#"{"rewrite": {"model": "a"}, "rewrite": {"model": "b"}}"#;
    assert!(Role::from_json(rewrite).is_none() && Config::from_json(rewrite).is_err());
    let twice = errors(r#"{"mode": "observe", "mode": "route"}"#);
    assert_eq!(twice, ["configuration: duplicate field \"mode\" at line 1 column 36"]);
}

#[test]
fn prices_are_read_target_by_target() {
    let priced = r#"{"targets": [
        {"name": "cheap", "cluster": "a", "price": {"input": 0.15, "output": 0.6}},
        {"name": "strong", "cluster": "b", "price": {"input": 2.5, "output": 10}}]}"#;
    let config = Config::from_json(priced.as_bytes()).unwrap();
    assert_eq!(config.targets[1].price, Some(Price::new(2.5, 10.0)));
    let cached = priced
        .replace(r#""output": 10"#, r#""output": 10, "cached_input": 0.25, "cache_write": 3"#);
    let price = Price { cached_input: Some(0.25), cache_write: Some(3.0), ..Price::new(2.5, 10.0) };
    assert_eq!(Config::from_json(cached.as_bytes()).unwrap().targets[1].price, Some(price));
    let half = priced.replace(r#", "price": {"input": 2.5, "output": 10}"#, "");
    assert_eq!(Config::from_json(half.as_bytes()).unwrap().targets[1].price, None);
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
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for file in [
        "envoy/envoy.yaml",
        "deploy/xds/filter.yaml",
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

#[test]
fn every_part_of_a_gateways_configuration_is_read() {
    let config = with(
        r#""policy": {"order": "rules_when_uncertain", "uncertain_band": 0.1, "rules": [
             {"name": "a", "target": "strongest", "when": {"code_fences": {"gte": 1, "lt": 9}, "stream": true,
               "user": {"contains": ["Prove", "x"]}, "system": {"regex": "^You"}, "model": {"equals": "m"},
               "path": {"present": true}, "headers": {"x-team": {"contains": "a"}},
               "prompt_tokens": {"gt": 5}, "tool_loop": false}},
             {"name": "b", "target": "cheap", "when": {}}]},
           "policies": {"t1": {"thresholds": {"cheap": 0.9}}, "t2": {"order": "rules_only", "rules": "default"}},
           "canary": {"policy": "t2", "share": 0.05},
           "sticky": {"header": "x-talk", "user": true, "ttl_seconds": 60, "max_conversations": 100, "switch_cost": 0.5},
           "override": {"targets": ["strong"], "skip": true},
           "health": {"consecutive_failures": 2},
           "path_prefixes": ["/v1/"], "prompt": {"strip_tags": ["note"]}"#,
    );
    let config = Config::from_json(config.as_bytes()).unwrap();
    assert_eq!(config.policies.len(), 3);
    assert_eq!(config.policies[0].order, Order::RulesWhenUncertain { band: 0.1 });
    assert_eq!(config.policies[0].rules[0].when.len(), 9);
    assert_eq!(config.policies[0].rules[0].target, 1);
    assert_eq!(config.policies[1].rules.len(), 2, "what is not said is the main policy's");
    assert_eq!(config.policies[1].thresholds[0], Some(0.9));
    assert_eq!(config.policies[2].rules.len(), 15);
    assert_eq!(config.canary, Some(Canary { policy: 2, share: 0.05 }));
    let sticky = config.sticky.as_ref().unwrap();
    assert_eq!((sticky.ttl_seconds, sticky.max_conversations), (60, 100));
    assert_eq!(sticky.headers.first().map(String::as_str), Some("x-talk"), "one's own comes first");
    assert!(sticky.headers.iter().any(|name| name == "x-claude-code-session-id"));
    assert_eq!(config.client, Override { targets: vec![1], skip: true });
    let health = Health { consecutive_failures: 2, ejection_seconds: 10 };
    assert_eq!(config.health, Some(health));
    assert_eq!(config.reason_name(Reason::Rule(0)), "a");
    assert!(
        config.reasons(1).contains(&Reason::Rule(0))
            && !config.reasons(0).contains(&Reason::Rule(0))
    );
}

#[test]
fn targets_say_what_they_can_do_and_what_changes_in_the_body() {
    let config = r#"{"targets": [
        {"name": "cheap", "cluster": "a", "model": "m \"1\"", "context_tokens": 8000, "images": false,
         "tools": false, "response_format": false, "parameters": {"max_tokens": 5, "stop": ["x"]}},
        {"name": "strong", "cluster": "b", "model": "m2"}], "body": {"rewrite_model": true}}"#;
    let config = Config::from_json(config.as_bytes()).unwrap();
    let cheap = &config.targets[0];
    assert_eq!(cheap.context_tokens, Some(8000));
    assert_eq!(cheap.lacks, Need::ALL.into_iter().collect());
    let edits: Vec<(&str, Option<&str>)> = cheap
        .edits
        .of(ApiFormat::ChatCompletions)
        .iter()
        .map(|edit| (edit.field.as_str(), edit.value.as_deref()))
        .collect();
    let model = ("model", Some("\"m \\\"1\\\"\""));
    assert_eq!(edits, [model, ("max_tokens", Some("5")), ("stop", Some("[\"x\"]"))]);
    assert!(config.targets[1].lacks.is_empty());
}

#[test]
fn a_target_without_images_takes_no_other_media_unless_it_says_so() {
    let lacks = |fields: &str| {
        let json = format!(
            r#"{{"targets": [{{"name": "a", "cluster": "a", {fields}}}, {{"name": "b", "cluster": "b"}}]}}"#
        );
        Config::from_json(json.as_bytes()).unwrap().targets[0].lacks
    };
    let needs = |needs: &[Need]| needs.iter().copied().collect::<Needs>();
    assert_eq!(lacks(r#""images": false"#), needs(&Need::MEDIA));
    assert_eq!(lacks(r#""tools": true"#), needs(&[]));
    let others = [Need::Images, Need::Video, Need::UnknownInput];
    assert_eq!(lacks(r#""images": false, "audio": true, "files": true"#), needs(&others));
    assert_eq!(lacks(r#""video": false"#), needs(&[Need::Video, Need::UnknownInput]));
}

#[test]
fn each_rule_of_a_gateways_configuration_names_path_value_and_what_is_expected() {
    let rule = |when: &str| {
        format!(r#""policy": {{"rules": [{{"name": "a", "target": "cheap", "when": {when}}}]}}"#)
    };
    for (field, expected) in [
        (
            r#""policy": {"order": "luck"}"#.to_owned(),
            "policy.order = \"luck\": must be one of rules_first, classifier_only, rules_when_uncertain, rules_only",
        ),
        (r#""policy": {"order": "rules_only"}"#.into(), "policy.rules: is required by this order"),
        (
            r#""policy": {"uncertain_band": 0.1}"#.into(),
            "policy.uncertain_band = 0.1: needs order: rules_when_uncertain",
        ),
        (
            r#""policy": {"rules": "mine"}"#.into(),
            "policy.rules = \"mine\": must be an array of rules, or \"default\"",
        ),
        (
            r#""policy": {"rules": [{"name": "a", "target": "x", "when": {}}]}"#.into(),
            "policy.rules[0].target = \"x\": must name a target: cheap, strong",
        ),
        (
            r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {}}, {"name": "a", "target": "cheap", "when": {}}]}"#.into(),
            "policy.rules[1].name: must be unique",
        ),
        (
            rule(r#"{"weather": true}"#),
            "policy.rules[0].when.weather = true: unknown condition; known are user, system, assistant, tool, model, path, headers, prompt_tokens, tool_loop, housekeeping and the features that `pointsman features` prints",
        ),
        (
            rule(r#"{"words": {}}"#),
            "policy.rules[0].when.words = {}: must have a bound: gt, gte, lt or lte",
        ),
        (
            rule(r#"{"words": {"gte": -1}}"#),
            "policy.rules[0].when.words.gte = -1: must be a number from 0 to 1000000000",
        ),
        (
            rule(r#"{"user": {}}"#),
            "policy.rules[0].when.user = {}: must have a condition: present, equals, contains or regex",
        ),
        (
            rule(r#"{"user": {"contains": [""]}}"#),
            "policy.rules[0].when.user.contains[0] = \"\": must be 1 to 256 bytes",
        ),
        (
            rule(r#"{"headers": {"X-Team": {"present": true}}}"#),
            "policy.rules[0].when.headers.X-Team = \"X-Team\": must be 1 to 64 lower-case letters, digits, \"-\" or \"_\"",
        ),
        (
            r#""canary": {"policy": "b", "share": 0.5}"#.into(),
            "canary.policy = \"b\": must name one of policies: ",
        ),
        (
            r#""policies": {"b": {"thresholds": {"strong": 0.5}}}"#.into(),
            "policies.b.thresholds.strong = 0.5: unknown field; known are cheap",
        ),
        (
            r#""sticky": {"headers": ["X-A", "x-b"]}"#.into(),
            "sticky.headers[0] = \"X-A\": must be 1 to 64 lower-case letters, digits, \"-\" or \"_\"",
        ),
        (r#""sticky": {"fields": [1]}"#.into(), "sticky.fields[0] = 1: must be a string"),
        (
            r#""sticky": {"ttl_seconds": 0}"#.into(),
            "sticky.ttl_seconds = 0: must be a whole number from 1 to 604800",
        ),
        (
            r#""override": {"targets": ["x"]}"#.into(),
            "override.targets[0] = \"x\": must name a target: cheap, strong",
        ),
        (r#""path_prefixes": ["v1"]"#.into(), "path_prefixes[0] = \"v1\": must begin with \"/\""),
        (r#""path_prefixes": []"#.into(), "path_prefixes = []: must name at least one prefix"),
    ] {
        assert_eq!(errors(&with(&field)), [expected], "{field}");
    }
    let with_target = |field: &str| {
        format!(
            r#"{{"targets": [{{"name": "a", "cluster": "a", "model": "m", {field}}}, {{"name": "b", "cluster": "b", "model": "m"}}], "body": {{"rewrite_model": true}}}}"#
        )
    };
    for (field, expected) in [
        (r#""apis": []"#, "targets[0].apis = []: must name at least one API"),
        (
            r#""apis": ["chat", "voice"]"#,
            "targets[0].apis[1] = \"voice\": must be one of chat, completions, responses, messages",
        ),
        (
            r#""parameters": {"max_tokens": 5, "max_output_tokens": 6}"#,
            "targets[0].parameters.max_tokens: must not be set together with max_output_tokens: both limit the answer",
        ),
    ] {
        assert_eq!(errors(&with_target(field)), [expected]);
    }
    let huge = rule(r#"{"user": {"regex": "(a{1000}){1000}"}}"#);
    assert!(errors(&with(&huge))[0].contains("invalid pattern"), "size-limited");
    let long = rule(&format!(r#"{{"user": {{"regex": "{}"}}}}"#, "a".repeat(513)));
    assert!(errors(&with(&long))[0].ends_with("must be at most 512 bytes"));
    let unnamed = r#"{"targets": [{"name": "a", "cluster": "a", "parameters": {"model": "x"}}, {"name": "b", "cluster": "b", "model": "m"}], "body": {"rewrite_model": true}}"#;
    assert_eq!(
        errors(unnamed),
        [
            "targets[0].model: is required, because body.rewrite_model is true",
            "targets[0].parameters.model = \"x\": must not be set here: this field holds the question"
        ]
    );
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed = include_str!("../../../../docs/configuration.schema.json");
    let generated = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    assert!(
        committed == generated,
        "docs/configuration.schema.json is old: pointsman schema > docs/configuration.schema.json"
    );
}

/// A schema that disagrees with the reader would mislead an editor.
#[test]
fn schema_and_reader_agree() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let agrees = |json: &str| {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let read = Config::from_json(json.as_bytes()).is_ok();
        assert_eq!(schema.is_valid(&value), read, "{json}");
    };
    agrees(GOOD);
    for field in [
        r#""defualt": "x""#,
        r#""mode": "off""#,
        r#""mode": "on""#,
        r#""body": {"max_bytes": 10}"#,
        r#""body": {"max_bytes": 4096, "rewrite_model": false}"#,
        r#""body": {"hold_bytes": 10}"#,
        r#""body": {"hold_bytes": 4194304}"#,
        r#""response_headers": {"score": 1}"#,
        r#""policy": {"order": "luck"}"#,
        r#""policy": {"rules": "default", "order": "rules_only"}"#,
        r#""policy": {"rules": "mine"}"#,
        r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {"tool_loop": true, "housekeeping": false, "stream": false}}]}"#,
        r#""policy": {"rules": [{"name": "a b", "target": "cheap", "when": {}}]}"#,
        r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {"weather": true}}]}"#,
        r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {"words": {}}}]}"#,
        r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {"user": {"contains": "x", "regex": "y"}}}]}"#,
        r#""policy": {"rules": [{"name": "a", "target": "cheap", "when": {"headers": {"X": {"present": true}}}}]}"#,
        r#""policies": {"b": {"thresholds": {"cheap": 0.5}}}, "canary": {"policy": "b", "share": 0.1}"#,
        r#""policies": {"b": {"thresholds": {"cheap": 1.5}}}"#,
        r#""policies": {"b": {"classifier": {}}}"#,
        r#""sticky": {"header": "x-a", "ttl_seconds": 9, "max_conversations": 100}"#,
        r#""sticky": {"max_conversations": 1}"#,
        r#""sticky": {"headers": ["x-a"], "fields": []}"#,
        r#""sticky": {"headers": ["X A"]}"#,
        r#""tenant_header": "x-tenant""#,
        r#""tenant_header": """#,
        r#""override": {"targets": ["cheap"], "skip": true}"#,
        r#""health": {}"#,
        r#""health": {"consecutive_failures": 0}"#,
        r#""path_prefixes": []"#,
        r#""prompt": {"strip_tags": ["a-b"]}"#,
        r#""prompt": {"strip_tags": ["<a>"]}"#,
    ] {
        agrees(&with(field));
    }
}
