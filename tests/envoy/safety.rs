//! What a hostile client can send.

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;

use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, chat_body, demo_prompts, post};
use pointsman_testkit::client;

pub const CASES: &[Case] = &[
    ("a_forged_cluster_header_neither_wins_nor_reaches_the_upstream", forged_header),
    ("the_header_that_asks_for_a_target_reaches_no_upstream", asked_target),
    ("header_bytes_that_are_not_utf8_harm_no_request", header_bytes),
    ("prompt_text_reaches_no_log_no_statistic_and_no_header", canary),
];

fn forged_header(stage: &Stage) -> Result<()> {
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for protocol in PROTOCOLS {
        // In scope: the decision wins. Each cluster is forged, so that one of the two is wrong.
        for forged in ["cheap", "strong", "no-such-cluster"] {
            let path = stage.path();
            let request = post(&path)
                .header("x-pointsman-cluster", forged)
                .body(client::whole(body.clone()))?;
            let response = stage.send(protocol, request)?;
            let (_, record) = stage.landing(&path)?;
            assert!(!record.headers.contains_key("x-pointsman-cluster"), "{:?}", record.headers);
            stage.assert_routed_by_the_classifier(&Sent { path, response })?;
        }
        // Out of scope: the filter says nothing, and the client does not get to either.
        for (number, forged) in ["cheap", "no-such-cluster"].into_iter().enumerate() {
            let tag = format!("forged-{protocol:?}-{number}");
            let path = format!("/{tag}/v1/models?{tag}");
            let request = http::Request::get(&path)
                .header("x-pointsman-cluster", forged)
                .body(client::empty())?;
            let response = stage.send(protocol, request)?;
            assert_eq!(response.status, 200, "{protocol:?}, forged {forged}");
            let (cluster, record) = stage.landing(&path)?;
            assert_eq!(cluster, "strong");
            assert!(!record.headers.contains_key("x-pointsman-cluster"), "{:?}", record.headers);
        }
    }
    Ok(())
}

fn asked_target(stage: &Stage) -> Result<()> {
    // The documented configuration lets clients ask for nothing, so the filter leaves it alone.
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for protocol in PROTOCOLS {
        for (path, route) in
            [(stage.path(), "decided"), (stage.path() + "/files?asked", "side-endpoint")]
        {
            let request = post(&path)
                .header("x-pointsman-target", "strong")
                .body(client::whole(body.clone()))?;
            assert_eq!(stage.send(protocol, request)?.status, 200);
            let (_, record) = stage.landing(&path)?;
            assert!(!record.headers.contains_key("x-pointsman-target"), "{:?}", record.headers);
            assert_eq!(stage.logged(&path)?["route"], route, "{path}");
        }
    }
    Ok(())
}

fn header_bytes(stage: &Stage) -> Result<()> {
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    let bad = HeaderValue::from_bytes(b"\xff\xfe\x80 caf\xe9")?;
    // Requests that wait for the rest of their bodies, enough of them to be on every worker.
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let path = stage.path();
        let (mut sender, content) = client::open_ended();
        let request = post(&path).body(content)?;
        let head = Bytes::copy_from_slice(&body[..10]);
        ensure!(sender.try_send(hyper::body::Frame::data(head)).is_ok());
        let listener = stage.envoy.listener;
        let answer = std::thread::spawn(move || {
            client::exchange(listener, client::Protocol::Http1, request)
        });
        waiting.push((path, sender, answer));
    }
    for protocol in PROTOCOLS {
        for name in ["x-note", "user-agent", "accept-language", "x-request-id"] {
            for _ in 0..2 {
                let path = stage.path();
                let request = post(&path).header(name, &bad).body(client::whole(body.clone()))?;
                let response = stage.send(protocol, request)?;
                if name == "x-note" {
                    assert_eq!(stage.landing(&path)?.1.headers[name], bad);
                }
                stage.assert_routed_by_the_classifier(&Sent { path, response })?;
            }
        }
        // The headers that the filter looks at: undecidable, so the default target.
        let path = stage.path();
        let request = http::Request::post(&path)
            .header("content-type", &bad)
            .body(client::whole(body.clone()))?;
        let response = stage.send(protocol, request)?;
        stage.assert_defaulted(&Sent { path, response }, "not_json")?;
        let path = stage.path();
        let request =
            post(&path).header("content-encoding", &bad).body(client::whole(body.clone()))?;
        let response = stage.send(protocol, request)?;
        stage.assert_defaulted(&Sent { path, response }, "content_encoded")?;
    }
    for (path, mut sender, answer) in waiting {
        let rest = Bytes::copy_from_slice(&body[10..]);
        ensure!(sender.try_send(hyper::body::Frame::data(rest)).is_ok());
        drop(sender);
        let response = answer.join().expect("the client does not panic")?;
        assert_eq!(stage.landing(&path)?.1.body, body);
        stage.assert_routed_by_the_classifier(&Sent { path, response })?;
    }
    Ok(())
}

fn canary(stage: &Stage) -> Result<()> {
    const CANARY: &str = "zyxcanaryprompt7731";
    let mut bodies = vec![
        json!({"model": CANARY, "user": CANARY, "messages": [
            {"role": "system", "content": format!("Never say {CANARY}.")},
            {"role": "user", "content": [{"type": "text", "text": format!("What is {CANARY}?")}]},
        ], "tools": [{"type": "function", "function": {"name": CANARY, "description": CANARY}}],
        "metadata": {CANARY: CANARY}})
        .to_string(),
        // Error paths like to quote what they could not read.
        format!(r#"{{"messages": [{{"role": "user", "content": "{CANARY}"#),
        format!(r#"{{"messages": {CANARY}}}"#),
        format!(r#"{{"{CANARY}": []}}"#),
        format!(r#"{{"messages": [{{"role": "{CANARY}", "content": "{CANARY}"}}]}}"#),
        format!(r#"{{"a": {}"{CANARY}"{}}}"#, "[".repeat(500), "]".repeat(500)),
        CANARY.to_owned(),
    ];
    bodies.extend(demo_prompts()?.iter().take(3).map(|body| body.to_string()));
    let mut paths = Vec::new();
    for body in &bodies {
        for protocol in PROTOCOLS {
            let path = stage.path();
            let request = post(&path).body(client::whole(body.clone()))?;
            let response = stage.send(protocol, request)?;
            assert!(response.header("x-pointsman-source").is_some(), "the filter decided");
            assert!(!format!("{:?}", response.headers).contains(CANARY), "response headers");
            let (_, record) = stage.landing(&path)?;
            assert_eq!(record.body, body.as_bytes());
            assert!(!format!("{:?}", record.headers).contains(CANARY), "request headers");
            paths.push(path);
        }
    }
    for path in &paths {
        stage.logged(path)?;
    }
    let log = stage.envoy.log_since(0);
    assert!(log.contains("wasm"), "the wasm log is part of what is searched");
    assert!(!log.contains(CANARY), "Envoy's log");
    assert!(!stage.envoy.access_log().contains(CANARY), "the access log");
    for page in ["/stats", "/stats/prometheus", "/clusters", "/config_dump"] {
        assert!(!stage.envoy.admin_get(page)?.contains(CANARY), "{page}");
    }
    Ok(())
}
