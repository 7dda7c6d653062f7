//! Filters that people run next to ours: what each order leaves of decision, body, answer and record.

mod access;
mod coding;
mod grpc;
mod managed;
mod messages;
mod processing;
mod twice;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{Stage, chat_body, noise, post};
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::recorder::Record;

pub fn cases() -> Vec<Case> {
    [access::CASES, coding::CASES, managed::CASES, processing::CASES, twice::CASES].concat()
}

/// Decided for `cheap`, and for `strong`.
const EASY: &str = "What is the capital of Mongolia?";
const HARD: &str =
    "Design a lock-free skip list with hazard pointers and prove that it is linearizable.";

/// What an upstream answers that is asked for `usage`.
const ANSWER: &str = r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":200}}"#;

/// A listener with more filters than ours.
#[derive(Clone, Default)]
struct Chain {
    name: &'static str,
    /// The configuration of another filter of ours, which is the first.
    first: Option<Value>,
    before: Vec<Value>,
    behind: Vec<Value>,
    /// Fields of our filter's configuration that differ from the documented one.
    fields: Option<Value>,
    /// What all routes say to filters, by their names.
    routes: Option<Value>,
}

/// Every chain is a listener of one Envoy.
fn chained(stage: &Stage) -> Result<Arc<Stage>> {
    let has_manager = managed::has_manager(stage)?;
    stage.variant("chains", |deployment| {
        deployment.add_grpc_cluster("grpc", grpc::address()?)?;
        let configuration = deployment.filter_configuration()?;
        let mut chains = [
            access::chains(),
            coding::chains(),
            processing::chains(),
            twice::chains(&configuration),
        ]
        .concat();
        if has_manager {
            chains.extend(managed::chains());
        }
        for chain in chains {
            deployment
                .add_listener_with(chain.name, |manager| chain.set(manager, &configuration))?;
        }
        Ok(())
    })
}

impl Chain {
    fn set(&self, manager: &mut Value, documented: &Value) -> Result<()> {
        let routes = &mut manager["route_config"]["virtual_hosts"][0];
        routes["rate_limits"] = access::rate_limits();
        if let Some(said) = &self.routes {
            routes["typed_per_filter_config"] = said.clone();
        }
        let filters = manager["http_filters"].as_array_mut().context("no HTTP filters")?;
        let place = filters.iter().position(|filter| filter["name"] == "pointsman");
        let place = place.context("our filter is not there")?;
        let ours = filters[place].clone();
        if let Some(fields) = &self.fields {
            configure(&mut filters[place], &merged(documented, fields));
        }
        filters.splice(place + 1..place + 1, self.behind.iter().cloned());
        filters.splice(place..place, self.before.iter().cloned());
        if let Some(configuration) = &self.first {
            let mut first = ours;
            first["name"] = json!("first");
            configure(&mut first, configuration);
            filters.insert(0, first);
        }
        Ok(())
    }
}

fn configure(filter: &mut Value, configuration: &Value) {
    filter["typed_config"]["config"]["configuration"]["value"] = json!(configuration.to_string());
}

/// A configuration with some of its fields replaced.
fn merged(configuration: &Value, fields: &Value) -> Value {
    let mut merged = configuration.clone();
    for (name, value) in fields.as_object().into_iter().flatten() {
        merged[name] = value.clone();
    }
    merged
}

/// The targets of a configuration; the cheap one takes everything from this score on.
fn targets(configuration: &Value, threshold: f64) -> Value {
    let mut targets = configuration["targets"].clone();
    targets[0]["threshold"] = json!(threshold);
    targets
}

/// An HTTP filter of Envoy's.
fn filter(name: &str, kind: &str, mut configuration: Value) -> Value {
    configuration["@type"] = json!(format!("type.googleapis.com/envoy.extensions.{kind}"));
    json!({"name": name, "typed_config": configuration})
}

/// A chat body of 1.6 MB.
fn long_body() -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&chat_body(&format!("Summarise this. {}", noise(1_600_000))))?)
}

fn short_body(text: &str) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&chat_body(text))?)
}

/// A request through a chain, and its answer.
struct Asked {
    path: String,
    response: Response,
}

fn ask(
    stage: &Stage,
    chain: &str,
    protocol: Protocol,
    content: client::Body,
    headers: &[(&str, &str)],
) -> Result<Asked> {
    ask_at(stage, chain, protocol, stage.path(), content, headers)
}

fn ask_at(
    stage: &Stage,
    chain: &str,
    protocol: Protocol,
    path: String,
    content: client::Body,
    headers: &[(&str, &str)],
) -> Result<Asked> {
    let mut request = post(&path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if headers.iter().all(|(name, _)| *name != "x-reply") {
        request = request.header("x-reply", "usage");
    }
    let listener = stage.envoy.listener_named(chain)?;
    let response = client::exchange(listener, protocol, request.body(content)?)?;
    Ok(Asked { path, response })
}

/// Asserts that a request is decided on, once, goes where the decision says with these bytes, and
/// that its answer comes back whole; gives what arrived.
fn assert_passes(
    stage: &Stage,
    chain: &str,
    protocol: Protocol,
    (content, expected): (client::Body, &[u8]),
    headers: &[(&str, &str)],
) -> Result<(Asked, &'static str, Record)> {
    let what = format!("{chain} over {protocol:?}");
    let before = decisions(stage)?;
    let asked = ask(stage, chain, protocol, content, headers)?;
    let Asked { path, response } = &asked;
    ensure!(response.status == 200, "{what}: {} {}", response.status, text(&response.body));
    let (cluster, record) = stage.landing(path)?;
    assert_eq!(record.body.len(), expected.len(), "{what}");
    assert!(record.body == expected, "{what}: the body has other bytes");
    assert_eq!(text(&coding::plain(response)?), ANSWER, "{what}");
    assert_eq!(response.header("x-pointsman-target"), Some(cluster), "{what}");
    assert_eq!(stage.decision(path)?["target"], cluster, "{what}");
    assert_eq!(decisions(stage)? - before, 1, "{what}");
    Ok((asked, cluster, record))
}

/// The same, and that the answer was read.
fn assert_whole(
    stage: &Stage,
    chain: &str,
    protocol: Protocol,
    content: (client::Body, &[u8]),
    headers: &[(&str, &str)],
) -> Result<(Asked, &'static str, Record)> {
    let passed = assert_passes(stage, chain, protocol, content, headers)?;
    let usage = usage(stage, &passed.0.path)?.with_context(|| format!("{chain}: no usage"))?;
    assert_eq!((&usage["target"], &usage["output"]), (&json!(passed.1), &json!(200)), "{chain}");
    Ok(passed)
}

/// What the access log says of the answer's tokens.
fn usage(stage: &Stage, path: &str) -> Result<Option<Value>> {
    let line = stage.logged(path)?;
    Ok(line["usage"].as_str().map(serde_json::from_str).transpose()?)
}

/// Decisions that the filters have counted.
fn decisions(stage: &Stage) -> Result<u64> {
    counted(stage, "pointsman_decisions")
}

/// The sum of a counter's series.
fn counted(stage: &Stage, name: &str) -> Result<u64> {
    let text = stage.envoy.admin_get(&format!("/stats?filter=^wasmcustom.{name}"))?;
    let values = text.lines().filter_map(|line| line.rsplit_once(": "));
    Ok(values.map(|(_, value)| value.parse::<u64>()).sum::<Result<u64, _>>()?)
}

/// Asserts that a request is refused before our filter sees it: nothing is decided, counted or sent.
fn assert_refused_unseen(
    stage: &Stage,
    chain: &str,
    status: u16,
    headers: &[(&str, &str)],
) -> Result<()> {
    let count = || Ok::<_, anyhow::Error>((decisions(stage)?, counted(stage, "pointsman_passed")?));
    let before = count()?;
    let content = client::whole(short_body(EASY)?);
    let asked = ask(stage, chain, Protocol::Http1, content, headers)?;
    assert_eq!(asked.response.status, status, "{chain}");
    assert_eq!(asked.response.header("x-pointsman-source"), None, "{chain}");
    assert!(stage.logged(&asked.path)?["decision"].is_null(), "{chain}");
    assert_eq!(count()?, before, "{chain}");
    assert_not_sent(stage, &asked);
    Ok(())
}

/// Asserts that a request is refused behind our filter: decided on for nothing.
fn assert_refused_behind(
    stage: &Stage,
    chain: &str,
    (status, question): (u16, &str),
    headers: &[(&str, &str)],
) -> Result<()> {
    let (before, answers) = (decisions(stage)?, counted(stage, "pointsman_answers")?);
    let content = client::whole(short_body(question)?);
    let asked = ask(stage, chain, Protocol::Http1, content, headers)?;
    assert_eq!(asked.response.status, status, "{chain}");
    assert!(asked.response.header("x-pointsman-source").is_some(), "{chain}");
    assert_eq!(decisions(stage)? - before, 1, "{chain}");
    assert_eq!(counted(stage, "pointsman_answers")?, answers, "{chain}: it is no target's answer");
    assert_not_sent(stage, &asked);
    Ok(())
}

fn assert_not_sent(stage: &Stage, asked: &Asked) {
    for upstream in [&stage.cheap, &stage.strong] {
        assert!(upstream.find(&asked.path).is_none(), "{} was sent on", asked.path);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
