//! What goes where by its path, and what goes nowhere.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{CLIENTS_KEY, Running, Site, body, error_of};
use crate::Case;
use crate::stage::Stage;
use pointsman_testkit::client::{self, Response};

pub const CASES: &[Case] = &[
    ("a_target_gets_no_request_of_an_api_that_it_does_not_serve", by_api),
    ("paths_that_no_provider_takes_are_refused_with_an_error_in_json", refused),
    ("side_endpoints_go_to_the_provider_that_has_them", side_endpoints),
];

/// Chat only, messages only, and chat with responses, which is the default. Nobody serves text
/// completions.
fn site() -> Result<(Site, Value)> {
    let mut site = Site::new()?;
    site.add("one", "mistral", "cheap-model")?;
    site.add("two", "anthropic", "middle-model")?;
    site.add("three", "openai", "strong-model")?;
    let targets = json!([
        {"name": "cheap", "model": "one/cheap-model"},
        {"name": "middle", "model": "two/middle-model"},
        {"name": "strong", "model": "three/strong-model", "apis": ["chat", "responses"]},
    ]);
    Ok((site, targets))
}

fn by_api(stage: &Stage) -> Result<()> {
    let (site, targets) = site()?;
    let running = site.start(stage, targets)?;
    for (target, api, models) in [
        ("cheap", "chat/completions", &["cheap-model"][..]),
        ("cheap", "messages", &["middle-model"]),
        ("middle", "messages", &["middle-model"]),
        ("middle", "chat/completions", &["cheap-model", "strong-model"]),
        ("strong", "messages", &["middle-model"]),
        ("cheap", "responses", &["strong-model"]),
    ] {
        let model = running.answered(target, api)?;
        ensure!(models.contains(&model.as_str()), "{target} {api}: {model}");
    }
    // Nor when everybody else fails.
    let before = site.counts();
    site.provider("two").set_status(503);
    for target in ["cheap", "middle", "strong"] {
        let response = running.ask(target, "messages", &body("messages"))?;
        assert_eq!(response.status, 503, "{target}");
    }
    assert_eq!(site.counts(), [before[0], before[1] + 3, before[2]]);
    site.provider("three").set_status(503);
    assert_eq!(running.ask("cheap", "responses", &body("responses"))?.status, 503);
    assert_eq!(site.counts(), [before[0], before[1] + 3, before[2] + 1]);
    site.assert_no_faults();
    Ok(())
}

fn refused(stage: &Stage) -> Result<()> {
    let (site, targets) = site()?;
    let running = site.start(stage, targets)?;
    let response = running.ask("strong", "completions", &body("completions"))?;
    assert_eq!(response.status, 404);
    assert_eq!(error_of(&response)?, "no target serves the API of this path (completions)");
    for (method, path, status, message) in [
        ("GET", "/v1/chat/completions", 405, "this path takes POST"),
        ("GET", "/v1/messages", 405, "this path takes POST"),
        ("DELETE", "/v1/responses", 405, "this path takes POST"),
        ("GET", "/v1/completions", 404, "no target serves the API of this path (completions)"),
        ("POST", "/v1/nothing", 404, "no provider here has this path"),
        ("GET", "/", 404, "no provider here has this path"),
        ("GET", "/v1/files/../../admin", 404, "no provider here has this path"),
    ] {
        let response = send(&running, method, path, None)?;
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(error_of(&response)?, message, "{method} {path}");
    }
    for path in ["/v1/responses", "/v1/realtime"] {
        let upgrade = Request::get(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(client::empty())?;
        let response = running.send(upgrade)?;
        assert_eq!(response.status, 426, "{path}");
        ensure!(error_of(&response)?.contains("WebSocket"), "{path}");
    }
    assert_eq!(site.counts(), [0, 0, 0]);
    Ok(())
}

fn side_endpoints(stage: &Stage) -> Result<()> {
    let (site, targets) = site()?;
    let running = site.start(stage, targets)?;
    let file = Value::from("not JSON at all");
    let embedding = json!({"model": "an-embedding-model", "input": "Hello"});
    let messages = body("messages");
    let input = body("responses");
    for (method, path, sent, provider) in [
        ("GET", "/v1/models", None, "three"),
        ("POST", "/v1/files", Some(&file), "three"),
        ("GET", "/v1/files/file-1", None, "three"),
        ("GET", "/v1/responses/resp_1", None, "three"),
        ("POST", "/v1/responses/input_tokens", Some(&input), "three"),
        ("POST", "/v1/embeddings", Some(&embedding), "three"),
        ("POST", "/v1/messages/count_tokens", Some(&messages), "two"),
        ("POST", "/v1/ocr", Some(&embedding), "one"),
    ] {
        let response = send(&running, method, path, sent)?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status == 200, "{method} {path}: {} {text}", response.status);
        let seen = site.provider(provider).seen();
        let last = seen.last().with_context(|| format!("{method} {path}"))?;
        assert_eq!((last.method.as_str(), last.path.as_str()), (method, path));
        if !path.ends_with("tokens") {
            let sent = sent.map(ToString::to_string).unwrap_or_default();
            assert_eq!(last.body, sent, "{method} {path}");
        }
    }
    assert_eq!(site.counts(), [1, 1, 6]);
    site.assert_only_seen_by(None, CLIENTS_KEY);
    site.assert_no_faults();
    Ok(())
}

fn send(running: &Running, method: &str, path: &str, body: Option<&Value>) -> Result<Response> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {CLIENTS_KEY}"))
        .header("x-pointsman-key", CLIENTS_KEY);
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(client::whole(Bytes::from(body.to_string())))?,
        None => request.body(client::empty())?,
    };
    running.send(request)
}
