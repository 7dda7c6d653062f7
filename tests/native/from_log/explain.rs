//! `pointsman explain` says what the filter would do.

use std::fs;

use pointsman_core::config::Config;
use pointsman_core::prompt::ApiFormat;
use pointsman_core::router::Router;
use serde_json::{Value, json};

use crate::from_log::{path, root, run, stderr, stdout};
use pointsman_testkit::cases::{self, Expect};

fn explain(body: &[u8]) -> Value {
    serde_json::from_str(&stdout(&["explain", "--json"], body)).unwrap()
}

#[test]
fn the_decision_is_the_routers_for_every_demo_prompt() {
    let config = json!({"targets": [{"name": "cheap", "cluster": "cheap"},
                                    {"name": "strong", "cluster": "strong"}]});
    let router = Router::new(Config::from_json(config.to_string().as_bytes()).unwrap()).unwrap();
    let prompts = fs::read_to_string(root().join("envoy/prompts.jsonl")).unwrap();
    for line in prompts.lines().take(8) {
        let body = serde_json::from_str::<Value>(line).unwrap()["request"].to_string();
        let decision =
            router.decide(ApiFormat::ChatCompletions, &mut body.clone().into_bytes(), false);
        let explained = explain(body.as_bytes());
        assert_eq!(explained["target"], router.target(&decision).unwrap().name.as_str());
        assert_eq!(explained["reason"], decision.reason.name());
        let score = explained["score"].as_f64().map(|score| score as f32);
        assert_eq!(score, decision.score);
        assert_eq!(explained["prompt_tokens_estimate"], decision.prompt_tokens_estimate);
    }
}

#[test]
fn features_come_with_their_contributions_largest_first() {
    let body = json!({"messages": [{"role": "user", "content": "```\nlet x = 1;\n```\nWhy?"}]});
    let explained = explain(body.to_string().as_bytes());
    let lines = explained["contributions"].as_array().unwrap();
    let size = |line: &Value| line["contribution"].as_f64().unwrap().abs();
    assert!(lines.windows(2).all(|pair| size(&pair[0]) >= size(&pair[1])));
    let names: Vec<&str> = lines.iter().map(|line| line["feature"].as_str().unwrap()).collect();
    assert!(names.contains(&"code_fences") && names.contains(&"(word n-grams)"), "{names:?}");
    assert!(!names.contains(&"cjk"), "what is not there contributes nothing: {names:?}");
}

#[test]
fn what_speaks_for_and_against_is_said_in_words() {
    let body = json!({"messages": [{"role": "user",
        "content": "Prove that every bounded sequence of $x_n \\in \\mathbb{R}$ has a convergent subsequence."}]});
    let body = body.to_string();
    let explained = explain(body.as_bytes());
    let groups = explained["groups"].as_array().unwrap();
    let size = |group: &Value| group["contribution"].as_f64().unwrap().abs();
    assert!(groups.windows(2).all(|pair| size(&pair[0]) >= size(&pair[1])));
    let names: Vec<&str> = groups.iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 12, "{names:?}");
    let mathematics = &groups[names.iter().position(|name| *name == "mathematics").unwrap()];
    assert!(mathematics["most"].as_array().unwrap().contains(&json!("latex")), "{mathematics}");
    let text = stdout(&["explain"], body.as_bytes());
    assert!(text.lines().any(|line| line.starts_with("against   ")), "{text}");
    assert!(!text.contains("contribution"), "numbers of single features only when asked for");
    assert!(stdout(&["explain", "--features"], body.as_bytes()).contains("contribution"));
}

#[test]
fn the_path_tells_the_format() {
    let body = json!({"model": "m", "max_tokens": 9, "system": "Be brief.",
                      "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]});
    let arguments = ["explain", "--json", "--path", "/v1/messages"];
    let explained: Value =
        serde_json::from_str(&stdout(&arguments, body.to_string().as_bytes())).unwrap();
    assert_eq!(
        (&explained["format"], &explained["source"]),
        (&json!("messages"), &json!("classifier"))
    );
    let embeddings = ["explain", "--json", "--path", "/v1/embeddings"];
    let explained: Value = serde_json::from_str(&stdout(&embeddings, b"{}")).unwrap();
    assert_eq!(
        (&explained["passes"], &explained["target"]),
        (&json!("out_of_scope"), &Value::Null)
    );
}

/// The same file that the filter is held to, in the bare host and natively.
#[test]
fn every_case_that_the_filter_decides_is_explained_alike() {
    for (file, configuration, case) in cases::all() {
        // A body on the command line is always posted.
        if case.method != "POST" {
            continue;
        }
        let config = tempfile::NamedTempFile::new().unwrap();
        fs::write(&config, configuration.to_string()).unwrap();
        let headers = case.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let headers: Vec<String> = headers.flat_map(|it| ["--header".to_owned(), it]).collect();
        let fixed = ["explain", "--json", "--path", &case.path, "--config"];
        let mut arguments = [&fixed[..], &[path(config.path())]].concat();
        arguments.extend(headers.iter().map(String::as_str));
        let explained: Value =
            serde_json::from_str(&stdout(&arguments, &case.body().unwrap_or_default())).unwrap();
        let text = |field: &str| explained[field].as_str().unwrap().to_owned();
        let found = match explained["passes"].is_null() {
            false => Expect::Passed,
            true => Expect::Decision {
                target: text("target"),
                source: text("source"),
                reason: text("reason"),
            },
        };
        assert_eq!(found, case.expect, "{file}: {}", case.name);
    }
}

#[test]
fn a_request_that_passes_says_why() {
    let with = |more: Value, arguments: &[&str]| -> Value {
        let mut config = json!({"targets": [{"name": "cheap", "cluster": "c"},
                                            {"name": "strong", "cluster": "s"}]});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, config.to_string()).unwrap();
        let body = br#"{"messages": [{"role": "user", "content": "Why?"}]}"#;
        let fixed = ["explain", "--json", "--config", path(file.path())];
        serde_json::from_str(&stdout(&[&fixed[..], arguments].concat(), body)).unwrap()
    };
    let skip = ["--header", "x-pointsman-target: skip"];
    let off = with(json!({"mode": "off"}), &[]);
    assert_eq!((&off["passes"], &off["mode"]), (&json!("mode_off"), &json!("off")));
    assert_eq!(with(json!({"path_prefixes": ["/llm"]}), &[])["passes"], "out_of_scope");
    assert_eq!(with(json!({"override": {"skip": true}}), &skip)["passes"], "skipped");
    assert_eq!(with(json!({}), &skip)["passes"], Value::Null);
    let observed = with(json!({"mode": "observe"}), &[]);
    assert_eq!((&observed["mode"], &observed["source"]), (&json!("observe"), &json!("classifier")));
    assert_eq!((&observed["policy"], &observed["propensity"]), (&json!(""), &json!(1.0)));
}

#[test]
fn a_canarys_conversation_is_explained_by_the_canarys_thresholds_and_rules() {
    let config = json!({
        "targets": [{"name": "cheap", "cluster": "c", "threshold": 0.0},
                    {"name": "strong", "cluster": "s"}],
        "policies": {"careful": {"thresholds": {"cheap": 1.0},
            "rules": [{"name": "long", "target": "strong", "when": {"words": {"gte": 500}}}]}},
        "canary": {"policy": "careful", "share": 0.5},
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, config.to_string()).unwrap();
    let mut policies = std::collections::BTreeSet::new();
    for number in 0..12 {
        let body = format!(r#"{{"messages": [{{"role": "user", "content": "Hi {number}"}}]}}"#);
        let arguments = ["explain", "--json", "--config", path(file.path())];
        let explained: Value = serde_json::from_str(&stdout(&arguments, body.as_bytes())).unwrap();
        let policy = explained["policy"].as_str().unwrap();
        assert_eq!(explained["targets"][0]["threshold"], explained["threshold"]);
        assert_eq!(explained["rules"].as_array().unwrap().len(), usize::from(policy == "careful"));
        assert_eq!(explained["propensity"], 0.5);
        policies.insert(policy.to_owned());
    }
    assert_eq!(policies.len(), 2, "{policies:?}");
}

#[test]
fn a_bandit_is_named_as_the_one_who_would_draw() {
    let file = root().join("crates/core/src/config/partial.json");
    let body = br#"{"messages": [{"role": "user", "content": "Why?"}]}"#;
    let arguments = ["explain", "--json", "--config", path(&file)];
    let explained: Value = serde_json::from_str(&stdout(&arguments, body)).unwrap();
    assert_eq!(
        (&explained["source"], &explained["bandit_fallback"]),
        (&json!("classifier"), &json!("no_snapshot"))
    );
}

#[test]
fn what_cannot_be_decided_is_explained_by_its_reason() {
    let explained = explain(b"{\"messages\": ");
    assert_eq!(explained["reason"], "malformed_json");
    assert_eq!((&explained["source"], &explained["target"]), (&json!("default"), &json!("strong")));
    assert_eq!(explained["contributions"], json!([]));
    let output = run(&["explain", "--config", "README.md"], b"{}");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("README.md: configuration: not JSON"), "{}", stderr(&output));
}

#[test]
fn a_configuration_has_one_version_however_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let version = |text: &str| {
        let file = directory.path().join("config.json");
        fs::write(&file, text).unwrap();
        let arguments = ["explain", "--json", "--config", path(&file)];
        let explained: Value = serde_json::from_str(&stdout(&arguments, b"{}")).unwrap();
        explained["policy_version"].as_str().unwrap().to_owned()
    };
    let targets = r#""targets": [{"name": "a", "cluster": "a"}, {"name": "b", "cluster": "b"}]"#;
    let one = version(&format!(r#"{{{targets}, "mode": "route"}}"#));
    assert_eq!(one, version(&format!("{{\n  \"mode\":\"route\", {targets}\n}}")));
    assert_ne!(one, version(&format!(r#"{{{targets}, "mode": "observe"}}"#)));
}

#[test]
fn gates_rules_scores_and_what_headers_change_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let config = json!({
        "targets": [{"name": "cheap", "cluster": "c", "images": false, "threshold": 0.0},
                    {"name": "strong", "cluster": "s"}],
        "sticky": {"header": "x-talk"},
        "policy": {"classifier": {"novelty_limit": 8},
                   "rules": [{"name": "pro", "target": "strong",
                              "when": {"headers": {"x-tier": {"equals": "pro"}}}}]},
    });
    fs::write(&file, config.to_string()).unwrap();
    let explain = |more: &[&str], content: Value| -> Value {
        let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
        let arguments = [&["explain", "--json", "--config", path(&file)], more].concat();
        serde_json::from_str(&stdout(&arguments, body.as_bytes())).unwrap()
    };
    let plain = explain(&[], json!("Why?"));
    assert_eq!((&plain["target"], &plain["source"]), (&json!("cheap"), &json!("classifier")));
    assert_eq!(plain["targets"][0]["score"], plain["score"]);
    assert_eq!(plain["targets"][0]["gate"], Value::Null);
    assert_eq!(plain["rules"], json!([{"rule": "pro", "target": "strong", "matches": false}]));
    assert!(plain["novelty"].as_f64().unwrap() < plain["novelty_limit"].as_f64().unwrap());
    let pro = explain(&["--header", "X-Tier: pro"], json!("Why?"));
    assert_eq!((&pro["reason"], &pro["rules"][0]["matches"]), (&json!("pro"), &json!(true)));
    let stays = explain(&["--previous", "strong", "--header", "x-talk: 7"], json!("Why?"));
    assert_eq!((&stays["target"], &stays["reason"]), (&json!("strong"), &json!("conversation")));
    assert_eq!(stays["previous"], "strong");
    let begins = explain(&["--previous", "strong"], json!("Why?"));
    assert_eq!((&begins["target"], &begins["previous"]), (&json!("cheap"), &Value::Null));
    let image = json!([{"type": "image_url", "image_url": {"url": "data:,"}}]);
    let gated = explain(&[], image);
    assert_eq!(
        (&gated["source"], &gated["targets"][0]["gate"]),
        (&json!("gate"), &json!("images"))
    );
    let wrong = run(&["explain", "--config", path(&file), "--previous", "b"], b"{}");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("must be one of cheap, strong"), "{}", stderr(&wrong));
}
