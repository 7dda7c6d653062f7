//! What the documented deployment lets through on its two sides: paths, headers, credentials, errors.

use std::sync::Arc;

use anyhow::{Context, Result};
use http::Request;
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{PROTOCOLS, Stage, chat_body, post};
use pointsman_testkit::client::{self, Protocol, Response};

pub const CASES: &[Case] = &[
    ("a_websocket_is_refused_with_the_status_that_agents_understand", websocket),
    ("other_spellings_of_a_path_are_decided_on_as_well", spellings),
    ("what_is_the_gateways_own_reaches_no_provider", internal_headers),
    ("the_credentials_for_one_provider_do_not_reach_the_other", credentials),
    (
        "a_body_too_large_to_send_twice_is_refused_with_503_until_the_other_target_is_asked_first",
        too_large_to_retry,
    ),
    ("envoys_own_answers_are_json_errors", local_replies),
    ("what_one_provider_keeps_is_asked_of_no_other", provider_state),
];

const EASY: &str = "What is the capital of Mongolia?";

fn error_of(response: &Response) -> Result<Value> {
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&response.body)?;
    assert_eq!(body["type"], "error", "{body}");
    let error = body.get("error").context("no error")?;
    assert_eq!(error["code"], response.status, "{body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    Ok(error.clone())
}

fn websocket(stage: &Stage) -> Result<()> {
    for (name, value) in [("upgrade", "websocket"), ("upgrade", "WebSocket")] {
        let request = Request::get("/v1/responses")
            .header("connection", "Upgrade")
            .header(name, value)
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "eHh4eHh4eHh4eHh4eHh4eA==")
            .body(client::empty())?;
        let response = stage.send(Protocol::Http1, request)?;
        assert_eq!(response.status, 426, "{value}");
        error_of(&response)?;
    }
    Ok(())
}

fn spellings(stage: &Stage) -> Result<()> {
    let body = serde_json::to_vec(&chat_body(EASY))?;
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        for (turn, slash) in ["//", "%2F", "%2f", "/./", "/x/../"].into_iter().enumerate() {
            let sent = format!("/spelt-{number}-{turn}/v1{slash}chat/completions");
            let response = stage.send(protocol, post(&sent).body(client::whole(body.clone()))?)?;
            assert_eq!(response.status, 200, "{sent}");
            assert!(response.header("x-pointsman-source").is_some(), "{sent} is decided on");
            stage.landing(&format!("/spelt-{number}-{turn}/v1/chat/completions"))?;
        }
    }
    Ok(())
}

fn internal_headers(stage: &Stage) -> Result<()> {
    for protocol in PROTOCOLS {
        let path = stage.path();
        let request = post(&path)
            .header("authorization", "Bearer client")
            .header("accept-encoding", "gzip, br")
            .header("x-conversation-id", "talk-7")
            .header("x-forwarded-for", "10.1.2.3")
            .header("x_pointsman_target", "strong")
            .header("user-agent", "test")
            .body(client::whole(serde_json::to_vec(&chat_body(EASY))?))?;
        assert_eq!(stage.send(protocol, request)?.status, 200);
        let headers = stage.landing(&path)?.1.headers;
        for name in [
            "accept-encoding",
            "x-conversation-id",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-envoy-external-address",
            "x-envoy-expected-rq-timeout-ms",
            "x-pointsman-cluster",
            "x-pointsman-target",
            "x_pointsman_target",
        ] {
            assert!(!headers.contains_key(name), "{name} in {headers:?}");
        }
        assert_eq!(headers["authorization"], "Bearer client");
        assert_eq!(headers["user-agent"], "test");
    }
    Ok(())
}

/// The documented deployment, in which everything is decided for a cheap target that is down.
fn cheap_is_down(stage: &Stage) -> Result<Arc<Stage>> {
    stage.variant("cheap-is-down", |deployment| {
        let mut configuration = deployment.filter_configuration()?;
        configuration["targets"][0]["threshold"] = json!(0.0);
        deployment.set_filter_configuration(&configuration.to_string())?;
        let nobody = "127.0.0.1:1".parse()?;
        // Nor is there a cache of the other, so that requests go to its provider.
        for name in ["cheap-cache", "cheap-model", "strong-cache"] {
            deployment.set_upstream(name, nobody)?;
        }
        Ok(())
    })
}

fn credentials(stage: &Stage) -> Result<()> {
    let stage = &*cheap_is_down(stage)?;
    for protocol in PROTOCOLS {
        let path = format!("{}?credentials-{protocol:?}", stage.path());
        let request = post(&path)
            .header("authorization", "Bearer key-of-cheap")
            .header("x-api-key", "key-of-cheap")
            .header("api-key", "key-of-cheap")
            .header("x-goog-api-key", "key-of-cheap")
            .header("cookie", "session=key-of-cheap")
            .header("proxy-authorization", "Basic key-of-cheap")
            .header("ocp-apim-subscription-key", "key-of-cheap")
            .header("x-litellm-api-key", "key-of-cheap")
            .header("helicone-auth", "Bearer key-of-cheap")
            .header("x-forwarded-access-token", "key-of-cheap")
            .body(client::whole(serde_json::to_vec(&chat_body(EASY))?))?;
        let response = stage.send(protocol, request)?;
        assert_eq!(response.header("x-pointsman-target"), Some("cheap"));
        let (cluster, record) = stage.landing(&path)?;
        assert_eq!(cluster, "strong", "the other answers");
        let shown = record
            .headers
            .values()
            .any(|it| it.to_str().is_ok_and(|value| value.contains("key-of-cheap")));
        assert!(!shown, "{:?}", record.headers);
    }
    Ok(())
}

fn too_large_to_retry(stage: &Stage) -> Result<()> {
    let stage = &*cheap_is_down(stage)?;
    let mut body = chat_body(EASY);
    let mut send = |megabytes: usize, path: &str| {
        body["metadata"] = json!({"filler": "x".repeat(megabytes << 20)});
        let request = post(path).body(client::whole(serde_json::to_vec(&body)?))?;
        stage.send(Protocol::Http1, request)
    };
    let path = format!("{}?three", stage.path());
    assert_eq!(send(3, &path)?.status, 200);
    assert_eq!(stage.landing(&path)?.0, "strong");
    let old = stage
        .binary
        .components()
        .any(|part| part.as_os_str().to_string_lossy().starts_with("1.36"));
    // What was sent of the body when the first one fails may be too much to keep for another try: then
    // the client is told to try again. Once Envoy knows that nobody is there, nothing needs to be kept.
    for number in 0..60 {
        let path = format!("{}?nine-{number}", stage.path());
        let response = send(9, &path)?;
        if response.status == 200 {
            let (target, record) = stage.landing(&path)?;
            assert_eq!(target, "strong");
            assert_eq!(serde_json::from_slice::<Value>(&record.body)?["model"], "large-model");
            return Ok(());
        }
        // 1.36 may also refuse the backlog of a fast sender: docs/runbook.md, 413.
        assert!(response.status == 503 || old && response.status == 413, "{}", response.status);
        error_of(&response)?;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    // 1.36 keeps a body for the second list of clusters, too, and has no room for it.
    anyhow::ensure!(old, "the other target is never asked");
    Ok(())
}

fn local_replies(stage: &Stage) -> Result<()> {
    let stage = &*stage.variant("nobody", |deployment| {
        let nobody = "127.0.0.1:1".parse()?;
        let clusters = ["cheap-cache", "cheap-model", "strong-cache", "strong-model"];
        clusters.into_iter().try_for_each(|name| deployment.set_upstream(name, nobody))
    })?;
    let sent = stage.chat(&chat_body(EASY))?;
    assert_eq!(sent.response.status, 503);
    error_of(&sent.response).map(drop)
}

fn provider_state(stage: &Stage) -> Result<()> {
    let ask = |path: &str, who: &str, body: Value| -> Result<Response> {
        let request = post(path)
            .header("authorization", who)
            .header("x-reply", "response")
            .body(client::whole(serde_json::to_vec(&body)?))?;
        stage.send(Protocol::Http1, request)
    };
    let first = ask("/state-1/v1/responses", "Bearer a", json!({"input": EASY}))?;
    assert_eq!(first.header("x-pointsman-target"), Some("cheap"));
    let id = serde_json::from_slice::<Value>(&first.body)?["id"].as_str().context("id")?.to_owned();
    let hard =
        "Design a lock-free skip list with hazard pointers and prove that it is linearizable.";
    // Every connection may be on another worker.
    for number in 2..8 {
        let next = json!({"previous_response_id": id, "input": hard});
        let next = ask(&format!("/state-{number}/v1/responses"), "Bearer a", next)?;
        assert_eq!(next.header("x-pointsman-target"), Some("cheap"));
        assert_eq!(next.header("x-pointsman-reason"), Some("provider_state"));
    }
    let others = json!({"previous_response_id": id, "input": EASY});
    let others = ask("/state-8/v1/responses", "Bearer b", others)?;
    assert_eq!(others.header("x-pointsman-target"), Some("strong"));
    assert_eq!(others.header("x-pointsman-reason"), Some("unknown_state"));
    for (method, path) in
        [("GET", ""), ("DELETE", "?x=y"), ("POST", "/cancel"), ("GET", "/input_items")]
    {
        let path = format!("/state-9/v1/responses/{id}{path}");
        let request = Request::builder().method(method).uri(&path);
        let request = request.header("authorization", "Bearer a").body(client::empty())?;
        let response = stage.send(Protocol::Http1, request)?;
        assert_eq!(response.header("x-pointsman-reason"), Some("provider_state"), "{method}");
        assert_eq!(stage.landing(&path)?.0, "cheap", "{method} {path}");
    }
    Ok(())
}
