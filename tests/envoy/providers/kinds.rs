//! Every kind of provider gets requests as its documentation has them.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{CLIENTS_KEY, Running, Site, body, request};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::client;
use pointsman_testkit::provider::{DOCUMENTED, events};

pub const CASES: &[Case] = &[
    ("each_kind_of_provider_is_asked_as_it_documents", each_kind),
    ("the_same_from_files_that_envoy_watches", watched),
];

/// A model's name with what a path must have encoded.
fn model(kind: &str) -> String {
    match kind {
        "vllm" => "org/of vllm".to_owned(),
        _ => format!("{kind}-model"),
    }
}

/// A site with all kinds, and a target for each.
fn site() -> Result<(Site, Value)> {
    let mut site = Site::new()?;
    let mut targets = Vec::new();
    for facts in &DOCUMENTED {
        let kind = facts.kind;
        let name = format!("{kind}-1");
        let provider = site.add(&name, kind, &model(kind))?;
        provider.require("x-team", "a \"b\" %REQ(x)%");
        let entry = &mut site.entries[&name];
        entry["headers"] = json!({"x-team": "a \"b\" %REQ(x)%"});
        if kind == "mistral" {
            entry["key"] = json!({"env": "KEY_OF_ENVIRONMENT"});
            site.provider(&name).accept(&["key-of-environment"]);
        }
        targets.push(json!({"name": kind, "model": format!("{name}/{}", model(kind))}));
    }
    Ok((site, Value::Array(targets)))
}

fn each_kind(stage: &Stage) -> Result<()> {
    let (site, targets) = site()?;
    let running = site.start(stage, targets)?;
    check(&site, &running)
}

fn watched(stage: &Stage) -> Result<()> {
    let (site, targets) = site()?;
    let text = site.text(targets, json!({}));
    let running = site.start_with(&stage.binary, &text, "bootstrap.yaml")?;
    check(&site, &running)
}

fn check(site: &Site, running: &Running) -> Result<()> {
    for facts in &DOCUMENTED {
        let kind = facts.kind;
        let provider = site.provider(&format!("{kind}-1"));
        let mut expected = 0;
        for api in facts.apis {
            assert_eq!(running.answered(kind, api).with_context(|| kind)?, model(kind));
            expected += 1;
            let seen = provider.seen();
            assert_eq!(seen.len(), expected, "{kind} {api}");
            let last = seen.last().context("seen")?;
            assert_eq!(last.path.split('?').next(), Some(provider.path(api).as_str()));
            // Nothing but the model's name is another.
            let mut sent = body(api);
            sent["model"] = json!(model(kind));
            assert_eq!(serde_json::from_slice::<Value>(&last.body)?, sent, "{kind} {api}");
        }
        for protocol in PROTOCOLS {
            stream(running, kind, facts.apis[0], protocol, provider)?;
            pieces(running, kind, facts.apis[0], protocol)?;
        }
    }
    site.assert_only_seen_by(None, CLIENTS_KEY);
    site.assert_only_seen_by(None, "203.0.113.7");
    site.assert_no_faults();
    Ok(())
}

/// The first event is here before the second is sent.
fn stream(
    running: &Running,
    kind: &str,
    api: &str,
    protocol: client::Protocol,
    provider: &pointsman_testkit::provider::Provider,
) -> Result<()> {
    let mut asked = body(api);
    asked["stream"] = json!(true);
    let mut exchange =
        client::begin(running.envoy.listener, protocol, request(kind, api, &asked)?)?;
    let mut received = exchange.next_piece()?.context("a first piece")?.to_vec();
    ensure!(exchange.status == 200, "{kind}: {}", String::from_utf8_lossy(&received));
    let events = events(&model(kind));
    assert_eq!(received, events[0], "{kind}");
    provider.go_on();
    while let Some(piece) = exchange.next_piece()? {
        received.extend_from_slice(&piece);
    }
    assert_eq!(received, events.concat(), "{kind}");
    Ok(())
}

/// A body without a length, in pieces.
fn pieces(running: &Running, kind: &str, api: &str, protocol: client::Protocol) -> Result<()> {
    let body = serde_json::to_vec(&body(api))?;
    let halves = body.chunks(body.len().div_ceil(2)).map(Bytes::copy_from_slice).collect();
    let request = Request::post(format!("/v1/{api}"))
        .header("content-type", "application/json")
        .header("x-pointsman-target", kind)
        .body(client::pieces(halves, None))?;
    let response = client::exchange(running.envoy.listener, protocol, request)?;
    let text = String::from_utf8_lossy(&response.body);
    ensure!(response.status == 200, "{kind} in pieces: {} {text}", response.status);
    Ok(())
}
