//! What a gateway's operator can say: rules, capabilities, conversations, steering by clients and
//! routes, the model's name in the body.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, chat_body, post};
use pointsman_testkit::client::{self, Protocol};

pub const CASES: &[Case] = &[
    ("every_api_format_is_decided_on_and_embeddings_pass", formats),
    ("a_rule_routes_and_its_name_is_the_reason", rules),
    ("a_target_gets_only_what_it_can_serve", gates),
    ("the_targets_model_name_is_in_the_body_and_its_length_is_exact", rewrite),
    ("of_a_long_body_the_beginning_is_rewritten_and_the_rest_streams", rewrite_beginning),
    ("a_conversation_stays_on_its_target_and_moves_only_upwards", sticky),
    ("a_tool_loop_stays_on_its_target", tool_loop),
    ("a_client_may_ask_for_a_target_of_the_list_or_to_be_skipped", client_override),
    ("a_route_chooses_the_policy_and_the_mode", route_metadata),
    ("an_observed_request_is_decided_on_and_not_routed", observe),
    ("a_runtime_key_switches_the_filter_off_and_on", kill_switch),
    ("a_target_that_fails_is_left_out_and_tried_again", health),
    ("an_observed_failure_counts_for_the_target_that_answered", observed_failures),
    ("a_canary_gets_its_share_of_conversations_with_exact_propensity", canary),
];

/// The classifier always says cheap here, so that whatever goes to strong has another cause.
fn configuration() -> Value {
    json!({
        "targets": [
            {"name": "cheap", "cluster": "cheap", "threshold": 0.0, "model": "small-1",
             "context_tokens": 4000, "images": false, "tools": false, "response_format": false},
            {"name": "strong", "cluster": "strong", "model": "large-\"2\"",
             "parameters": {"max_tokens": 77, "seed": 1}},
        ],
        "policy": {"rules": [
            {"name": "proof", "target": "strong", "when": {"user": {"regex": "(?i)\\bprove\\b"}}},
            {"name": "legal-team", "target": "strong",
             "when": {"headers": {"x-team": {"equals": "legal"}}}},
            {"name": "beta-path", "target": "strong", "when": {"path": {"contains": "/beta/"}}},
        ]},
        "policies": {"strict": {"thresholds": {"cheap": 1.0}, "rules": []}},
        "sticky": {"header": "x-conversation-id"},
        "override": {"targets": ["strong"], "skip": true},
        "body": {"max_bytes": 65536, "rewrite_model": true},
    })
}

/// Routes next to the documented ones: five tenants.
fn routes() -> Vec<Value> {
    let to_strong = json!({"cluster": "strong", "timeout": "0s"});
    let metadata = |value: Value| json!({"filter_metadata": {"pointsman": value}});
    let mut routes = Vec::new();
    for (tenant, value) in [
        ("strict", json!({"policy": "strict"})),
        ("observed", json!({"mode": "observe"})),
        ("off", json!({"mode": "off"})),
        // What YAML makes of a bare `off`.
        ("bare-off", json!({"mode": false})),
        ("mistaken", json!({"policy": "no-such-policy", "mode": 7})),
    ] {
        routes.push(json!({
            "match": {"prefix": "/", "headers": [
                {"name": "x-tenant", "string_match": {"exact": tenant}}]},
            "route": to_strong,
            "metadata": metadata(value),
        }));
    }
    routes
}

fn gateway(stage: &Stage) -> Result<Arc<Stage>> {
    stage.variant("gateway", |deployment| {
        deployment.set_filter_configuration(&configuration().to_string())?;
        deployment.add_routes(routes())
    })
}

/// Posts a JSON body with more headers and returns what came of it.
fn send(stage: &Stage, body: &Value, headers: &[(&str, &str)]) -> Result<Sent> {
    send_to(stage, stage.path(), body, headers)
}

fn send_to(stage: &Stage, path: String, body: &Value, headers: &[(&str, &str)]) -> Result<Sent> {
    let mut request = post(&path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(client::whole(serde_json::to_vec(body)?))?;
    let response = stage.send(Protocol::Http1, request)?;
    assert_eq!(response.status, 200, "{path}");
    Ok(Sent { path, response })
}

/// Where it arrived, who decided and why.
fn outcome(stage: &Stage, sent: &Sent) -> Result<(String, String, String)> {
    let header = |name| sent.response.header(name).unwrap_or("none").to_owned();
    let cluster = stage.landing(&sent.path)?.0.to_owned();
    let source = header("x-pointsman-source");
    if source != "none" {
        let decision = stage.decision(&sent.path)?;
        assert_eq!(decision["source"], source, "the access log tells the same");
        assert_eq!(decision["reason"], header("x-pointsman-reason"));
    }
    Ok((cluster, source, header("x-pointsman-reason")))
}

fn assert_outcome(stage: &Stage, sent: &Sent, expected: [&str; 3]) -> Result<()> {
    let (cluster, source, reason) = outcome(stage, sent)?;
    assert_eq!([&cluster, &source, &reason], expected, "{}", sent.path);
    Ok(())
}

const REACHED: [&str; 3] = ["cheap", "classifier", "score_reached_threshold"];

fn formats(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    for (path, easy, hard) in [
        (
            "v1/completions",
            json!({"model": "auto", "prompt": "The capital of France is"}),
            json!({"model": "auto", "prompt": ["Prove it:", "x"]}),
        ),
        (
            "v1/responses",
            json!({"model": "auto", "input": "What is the capital of France?"}),
            json!({"model": "auto", "instructions": "Be brief.", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Prove it."}]}]}),
        ),
        (
            "v1/messages",
            json!({"model": "auto", "max_tokens": 9, "system": "Be brief.",
                   "messages": [{"role": "user", "content": "Hello"}]}),
            json!({"model": "auto", "max_tokens": 9, "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Prove it."}]}]}),
        ),
    ] {
        let path = || stage.path().replace("v1/chat/completions", path);
        assert_outcome(stage, &send_to(stage, path(), &easy, &[])?, REACHED)?;
        let sent = send_to(stage, path(), &hard, &[])?;
        assert_outcome(stage, &sent, ["strong", "rule", "proof"])?;
    }
    let embeddings = json!({"model": "auto", "input": "Prove it."});
    let path = stage.path().replace("chat/completions", "embeddings?pass");
    let sent = send_to(stage, path, &embeddings, &[])?;
    assert_outcome(stage, &sent, ["strong", "none", "none"])?;
    let body = stage.landing(&sent.path)?.1.body;
    assert_eq!(body, serde_json::to_vec(&embeddings)?, "untouched");
    Ok(())
}

fn rules(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let easy = chat_body("What is the capital of France?");
    assert_outcome(stage, &send(stage, &easy, &[])?, REACHED)?;
    let sent = send(stage, &chat_body("Can you PROVE that?"), &[])?;
    assert_outcome(stage, &sent, ["strong", "rule", "proof"])?;
    let sent = send(stage, &easy, &[("x-team", "legal")])?;
    assert_outcome(stage, &sent, ["strong", "rule", "legal-team"])?;
    assert_outcome(stage, &send(stage, &easy, &[("x-team", "sales")])?, REACHED)?;
    let sent =
        send_to(stage, format!("/beta{}", stage.path()).replace("/t", "/beta/t"), &easy, &[])?;
    assert_outcome(stage, &sent, ["strong", "rule", "beta-path"])?;
    let counted = stage.envoy.admin_get("/stats?filter=source.rule.reason.proof")?;
    assert!(!counted.trim().ends_with(": 0") && counted.contains("target.strong"), "{counted}");
    Ok(())
}

fn gates(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let with = |field: &str, value: Value| {
        let mut body = chat_body("What is the capital of France?");
        body[field] = value;
        body
    };
    let image = json!([{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]);
    for (body, reason) in [
        (with("tools", json!([{"type": "function"}])), "tools"),
        (with("response_format", json!({"type": "json_object"})), "response_format"),
        (with("messages", image), "images"),
        (with("max_tokens", json!(3999)), "context_window"),
        (chat_body(&"word ".repeat(4000)), "context_window"),
    ] {
        let sent = send(stage, &body, &[])?;
        assert_outcome(stage, &sent, ["strong", "gate", reason])?;
    }
    assert_outcome(stage, &send(stage, &with("max_tokens", json!(3000)), &[])?, REACHED)
}

fn rewrite(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let body = |text: &str| {
        format!(
            "{{ \"x\" :[1.0e0],\"messages\":[{{\"content\":\"{text} é \\u00e9\"}}] , \"model\":\"auto\" }}\n"
        )
    };
    let small = body("Hello").replace("auto", "small-1");
    let large = body("Prove it").replace("auto", "large-\\\"2\\\"").replacen(
        '{',
        "{\"max_tokens\":77,\"seed\":1,",
        1,
    );
    for protocol in PROTOCOLS {
        for (sent, expected) in [(body("Hello"), &small), (body("Prove it"), &large)] {
            let pieces = || sent.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", HeaderValue::from_static("abc"));
            for (kind, content) in [
                ("whole", client::whole(sent.clone())),
                ("pieces", client::pieces(pieces(), None)),
                ("trailers", client::pieces(pieces(), Some(trailers))),
            ] {
                let path = stage.path();
                let request = post(&path).header("trailer", "x-checksum").body(content)?;
                let response = stage.send(protocol, request)?;
                assert_eq!(response.status, 200, "{protocol:?} {kind}");
                let record = stage.landing(&path)?.1;
                let found = String::from_utf8_lossy(&record.body).into_owned();
                assert_eq!(&found, expected, "{protocol:?} {kind}");
                if kind == "whole" {
                    let length = record.headers.get("content-length").context("no length")?;
                    assert_eq!(length.to_str()?, expected.len().to_string(), "{protocol:?}");
                }
            }
        }
    }
    // What the filter cannot read it does not change.
    for body in ["{\"model\":\"auto\"", "[1]"] {
        let path = stage.path();
        let request = post(&path).body(client::whole(body))?;
        stage.send(Protocol::Http1, request)?;
        assert_eq!(stage.landing(&path)?.1.body, body);
    }
    Ok(())
}

fn rewrite_beginning(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let filler = "a bit of everything, again and again; ".repeat(2 * 1024 * 1024 / 38);
    let at_front = format!(r#"{{"model":"auto","messages":[{{"content":"{filler}"}}]}}"#);
    let at_end = format!(r#"{{"messages":[{{"content":"{filler}"}}],"model":"auto"}}"#);
    for protocol in PROTOCOLS {
        for sent in [&at_front, &at_end] {
            let mut expected: Value = serde_json::from_str(sent)?;
            expected["model"] = "large-\"2\"".into();
            expected["max_tokens"] = 77.into();
            expected["seed"] = 1.into();
            let pieces = || sent.as_bytes().chunks(30_000).map(Bytes::copy_from_slice).collect();
            for content in [client::whole(sent.clone()), client::pieces(pieces(), None)] {
                let path = stage.path();
                let response = stage.send(protocol, post(&path).body(content)?)?;
                assert_eq!(response.status, 200, "{protocol:?}");
                let record = stage.landing(&path)?.1;
                if let Some(length) = record.headers.get("content-length") {
                    assert_eq!(length.to_str()?, record.body.len().to_string(), "{protocol:?}");
                }
                let text = String::from_utf8_lossy(&record.body);
                assert_eq!(
                    text.matches("\"model\"").count(),
                    1,
                    "{protocol:?}: once, wherever it stood"
                );
                let body: Value = serde_json::from_slice(&record.body)?;
                assert!(body == expected, "{protocol:?}: {} bytes", record.body.len());
            }
        }
    }
    Ok(())
}

fn sticky(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let (easy, hard) = (chat_body("What is 2 + 2?"), chat_body("Prove that 2 + 2 = 4."));
    let talk = [("x-conversation-id", "talk-1")];
    assert_outcome(stage, &send(stage, &easy, &talk)?, REACHED)?;
    let sent = send(stage, &easy, &talk)?;
    assert_outcome(stage, &sent, ["cheap", "sticky", "conversation"])?;
    assert_outcome(stage, &send(stage, &hard, &talk)?, ["strong", "rule", "proof"])?;
    // Every connection may be on another worker.
    for _ in 0..8 {
        let sent = send(stage, &easy, &talk)?;
        assert_outcome(stage, &sent, ["strong", "sticky", "conversation"])?;
    }
    assert_outcome(stage, &send(stage, &easy, &[("x-conversation-id", "talk-2")])?, REACHED)?;

    // Without the header, by how the conversation begins.
    let mut messages = vec![json!({"role": "user", "content": "Prove Fermat's last theorem."})];
    let sent = send(stage, &json!({"messages": messages}), &[])?;
    assert_outcome(stage, &sent, ["strong", "rule", "proof"])?;
    messages.push(json!({"role": "assistant", "content": "The margin is too small."}));
    messages.push(json!({"role": "user", "content": "Thank you anyway."}));
    let sent = send(stage, &json!({"messages": messages}), &[])?;
    assert_outcome(stage, &sent, ["strong", "sticky", "conversation"])
}

fn tool_loop(stage: &Stage) -> Result<()> {
    // The cheap target takes no tools there; results of a tool alone are not gated.
    let stage = &*gateway(stage)?;
    let talk = [("x-conversation-id", "loop-1")];
    assert_outcome(stage, &send(stage, &chat_body("Look it up."), &talk)?, REACHED)?;
    let body = json!({"messages": [
        {"role": "user", "content": "Prove it."},
        {"role": "tool", "tool_call_id": "1", "content": "42"}]});
    let sent = send(stage, &body, &talk)?;
    assert_outcome(stage, &sent, ["cheap", "sticky", "tool_loop"])
}

fn client_override(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let easy = chat_body("What is the capital of France?");
    let asking = |target: &'static str| [("x-pointsman-target", target)];
    let sent = send(stage, &easy, &asking("strong"))?;
    assert_outcome(stage, &sent, ["strong", "override", "client_header"])?;
    let record = stage.landing(&sent.path)?.1;
    assert!(!record.headers.contains_key("x-pointsman-target"), "{:?}", record.headers);
    // Not on the list, or no target at all.
    let hard = chat_body("Prove it.");
    let sent = send(stage, &hard, &asking("cheap"))?;
    assert_outcome(stage, &sent, ["strong", "rule", "proof"])?;
    assert_outcome(stage, &send(stage, &easy, &asking("gpt-9"))?, REACHED)?;
    let sent = send(stage, &easy, &asking("skip"))?;
    assert_outcome(stage, &sent, ["strong", "none", "none"])?;
    assert_eq!(stage.landing(&sent.path)?.1.body, serde_json::to_vec(&easy)?, "untouched");
    assert_eq!(stage.decision(&sent.path)?, json!({"passed": "skipped"}));
    Ok(())
}

fn route_metadata(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let easy = chat_body("What is the capital of France?");
    let sent = send(stage, &easy, &[("x-tenant", "strict")])?;
    assert_outcome(stage, &sent, ["strong", "classifier", "score_below_threshold"])?;
    let decision = stage.decision(&sent.path)?;
    assert_eq!((&decision["threshold"], &decision["policy"]), (&json!(1.0), &json!("strict")));
    for off in ["off", "bare-off"] {
        let sent = send(stage, &easy, &[("x-tenant", off)])?;
        assert_outcome(stage, &sent, ["strong", "none", "none"])?;
        assert_eq!(stage.decision(&sent.path)?, json!({"passed": "mode_off"}));
    }
    // A mistake in a route costs no request: the main policy holds. It is counted.
    assert_outcome(stage, &send(stage, &easy, &[("x-tenant", "mistaken")])?, REACHED)?;
    let counted = stage.envoy.admin_get("/stats?filter=^wasmcustom.pointsman_misdirected$")?;
    assert_eq!(counted.trim(), "wasmcustom.pointsman_misdirected: 1");
    Ok(())
}

fn observe(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let body = chat_body("What is the capital of France?");
    let sent = send(stage, &body, &[("x-tenant", "observed")])?;
    assert_outcome(stage, &sent, ["strong", "classifier", "score_reached_threshold"])?;
    let decision = stage.decision(&sent.path)?;
    assert_eq!(decision["cluster"], "cheap", "decided, but not routed");
    assert_eq!(decision["mode"], "observe");
    assert_eq!(stage.landing(&sent.path)?.1.body, serde_json::to_vec(&body)?, "untouched");
    // The documented listener drops a forged header before routing; here nothing but the filter
    // stands in its way.
    let bare = &*stage.variant("bare", |deployment| {
        deployment.set_filter_configuration(
            &json!({"targets": configuration()["targets"].as_array().map(|targets| {
                targets.iter().map(|target| json!({"name": target["name"], "cluster": target["cluster"]}))
                    .collect::<Vec<_>>()
            }), "mode": "observe"})
            .to_string(),
        )?;
        deployment.keep_client_route_header()
    })?;
    let sent = send(bare, &body, &[("x-pointsman-cluster", "cheap")])?;
    assert_eq!(bare.landing(&sent.path)?.0, "strong", "the forged header did not steer");
    Ok(())
}

fn kill_switch(stage: &Stage) -> Result<()> {
    let stage = &*gateway(stage)?;
    let easy = chat_body("What is the capital of France?");
    assert_outcome(stage, &send(stage, &easy, &[])?, REACHED)?;
    stage.envoy.admin_post("/runtime_modify?pointsman.off=100")?;
    let mut switched = Vec::new();
    // Workers learn of it one after the other.
    for _ in 0..100 {
        let sent = send(stage, &easy, &[])?;
        switched.push(sent.response.header("x-pointsman-source").is_none());
        if switched.ends_with(&[true; 8]) {
            break;
        }
    }
    assert!(switched.ends_with(&[true; 8]), "{switched:?}");
    stage.envoy.admin_post("/runtime_modify?pointsman.off=0")?;
    for _ in 0..100 {
        if send(stage, &easy, &[])?.response.header("x-pointsman-source").is_some() {
            return Ok(());
        }
    }
    panic!("the filter did not come back");
}

fn health(stage: &Stage) -> Result<()> {
    // Nothing listens where the cheap target should be, and its cluster falls back to no other.
    let stage = &*stage.variant("health", |deployment| {
        deployment.set_upstream("cheap-cache", "127.0.0.1:9".parse()?)?;
        let mut configuration = configuration();
        configuration["targets"][0]["cluster"] = json!("cheap-cache");
        configuration["health"] = json!({"consecutive_failures": 2, "ejection_seconds": 2});
        deployment.set_filter_configuration(&configuration.to_string())
    })?;
    let easy = serde_json::to_vec(&chat_body("Hello"))?;
    let ask = || -> Result<(u16, String)> {
        let request = post(&stage.path()).body(client::whole(easy.clone()))?;
        let response = stage.send(Protocol::Http1, request)?;
        Ok((response.status, response.header("x-pointsman-reason").unwrap_or("none").to_owned()))
    };
    let gated = (200, "health".to_owned());
    let mut answers = Vec::new();
    // Each of the workers finds out by itself.
    while !answers.ends_with(&[gated.clone(), gated.clone(), gated.clone()]) {
        answers.push(ask()?);
        anyhow::ensure!(answers.len() < 50, "{answers:?}");
    }
    let failed = answers.iter().filter(|(status, _)| *status == 503).count();
    assert!(failed >= 2, "not at the first failure: {answers:?}");
    for _ in 0..200 {
        if ask()?.0 == 503 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it is never tried again");
}

fn observed_failures(stage: &Stage) -> Result<()> {
    // Where Envoy's own routes lead, nothing listens.
    let stage = &*stage.variant("observed-failures", |deployment| {
        for cluster in ["strong-cache", "strong-model"] {
            deployment.set_upstream(cluster, "127.0.0.1:9".parse()?)?;
        }
        let mut configuration = configuration();
        configuration["mode"] = json!("observe");
        configuration["health"] = json!({"consecutive_failures": 2, "ejection_seconds": 60});
        deployment.set_filter_configuration(&configuration.to_string())
    })?;
    let easy = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for _ in 0..12 {
        let request = post(&stage.path()).body(client::whole(easy.clone()))?;
        let response = stage.send(Protocol::Http1, request)?;
        assert_eq!(response.status, 503);
        let of = |name| response.header(name);
        assert_eq!(of("x-pointsman-target"), Some("cheap"), "{:?}", of("x-pointsman-reason"));
    }
    Ok(())
}

fn canary(stage: &Stage) -> Result<()> {
    let stage = &*stage.variant("canary", |deployment| {
        let mut configuration = configuration();
        configuration["canary"] = json!({"policy": "strict", "share": 0.25});
        configuration["policy"] = json!({});
        configuration["policies"] = json!({"strict": {"thresholds": {"cheap": 1.0}}});
        deployment.set_filter_configuration(&configuration.to_string())
    })?;
    let mut drawn = 0;
    for number in 0..80 {
        let talk = format!("canary-{number}");
        let sent = send(stage, &chat_body("Hello"), &[("x-conversation-id", &talk)])?;
        let decision = stage.decision(&sent.path)?;
        if decision["policy"] == "strict" {
            assert_eq!(
                (&decision["target"], &decision["propensity"]),
                (&json!("strong"), &json!(0.25))
            );
            drawn += 1;
        } else {
            assert_eq!(
                (&decision["target"], &decision["propensity"]),
                (&json!("cheap"), &json!(0.75))
            );
        }
    }
    // The draw is a hash of the conversation: the same on every run.
    assert!((10..=30).contains(&drawn), "{drawn} of 80 conversations");
    Ok(())
}
