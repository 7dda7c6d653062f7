//! `pointsman explain` says what the filter would do.

use std::fs;

use pointsman::config::Config;
use pointsman::prompt::ApiFormat;
use pointsman::router::Router;
use serde_json::{Value, json};

use crate::{root, run, stderr, stdout};

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
    let output = run(&["explain", "--path", "/v1/embeddings"], b"{}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_cannot_be_decided_is_explained_by_its_reason() {
    let explained = explain(b"{\"messages\": ");
    assert_eq!(explained["reason"], "malformed_json");
    assert_eq!((&explained["source"], &explained["target"]), (&json!("default"), &json!("strong")));
    assert_eq!(explained["contributions"], json!([]));
    let output = run(&["explain", "--config", "README.md"], b"{}");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not JSON"), "{}", stderr(&output));
}

#[test]
fn gates_rules_scores_and_what_headers_change_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let config = json!({
        "targets": [{"name": "cheap", "cluster": "c", "images": false, "threshold": 0.0},
                    {"name": "strong", "cluster": "s"}],
        "policy": {"classifier": {"novelty_limit": 8},
                   "rules": [{"name": "pro", "target": "strong",
                              "when": {"headers": {"x-tier": {"equals": "pro"}}}}]},
    });
    fs::write(&path, config.to_string()).unwrap();
    let explain = |more: &[&str], content: Value| -> Value {
        let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
        let arguments = [&["explain", "--json", "--config", path.to_str().unwrap()], more].concat();
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
    let stays = explain(&["--previous", "strong"], json!("Why?"));
    assert_eq!((&stays["target"], &stays["reason"]), (&json!("strong"), &json!("conversation")));
    let image = json!([{"type": "image_url", "image_url": {"url": "data:,"}}]);
    let gated = explain(&[], image);
    assert_eq!(
        (&gated["source"], &gated["targets"][0]["gate"]),
        (&json!("gate"), &json!("images"))
    );
    let wrong = run(&["explain", "--config", path.to_str().unwrap(), "--policy", "b"], b"{}");
    assert_eq!(wrong.status.code(), Some(2));
}
