use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::control_plane::{Answered, Caller, paths};
use crate::policy::bandit::fixture::snapshot;
use crate::reason::Reason;
use crate::target::{Billed, Usage};

mod bodies;
mod control_plane;
mod remembered;

/// Everything goes to the cheap target, unless `more` says otherwise.
fn worker(more: &str) -> Worker {
    let json = format!(
        r#"{{"targets": [
            {{"name": "cheap", "cluster": "east", "model": "small", "threshold": 0.0,
              "price": {{"input": 1, "output": 2}}}},
            {{"name": "strong", "cluster": "west", "model": "large",
              "price": {{"input": 10, "output": 20}}}}]{more}}}"#
    );
    Worker::new(Config::from_json(json.as_bytes()).unwrap()).unwrap()
}

const CHAT: &str = r#"{"model":"auto","messages":[{"role":"user","content":"What is 2 + 2?"}]}"#;
const LATER: &str = r#"{"model":"auto","messages":[{"role":"user","content":"What is 2 + 2?"},
    {"role":"assistant","content":"4"},{"role":"user","content":"And 3 + 3?"}]}"#;

const CONTROL: &str = r#", "policy": {"bandit": {}}, "control": {"cluster": "plane",
    "key": "a-key-that-is-long-enough", "token": "a-token-that-is-long-enough",
    "implicit": {"ok": 0.9, "truncated": 0.2, "asked_again": {"seconds": 60, "reward": 0.1}}}"#;

fn host(body: &str) -> OfflineHost {
    let headers = [
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("content-type", "application/json"),
        ("content-length", &body.len().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    OfflineHost::new(headers, body.into())
}

fn host_at(path: &str) -> OfflineHost {
    let host = host(CHAT);
    host.set_request_header(":path", Some(path));
    host
}

/// The request until it is on its way.
fn request(worker: &Worker, host: &OfflineHost) -> Exchange {
    let mut exchange = Exchange::default();
    let size = host.request_body.borrow().len();
    if exchange.on_request_headers(worker, host, size == 0) == Flow::Pause {
        assert_eq!(exchange.on_request_body(worker, host, size, true), Flow::Continue);
    }
    exchange
}

/// The answer from the target that was decided on.
fn answer(worker: &Worker, host: &OfflineHost, exchange: &mut Exchange, status: &str, body: &str) {
    let headers = [(":status", status), ("content-type", "application/json")];
    for (name, value) in headers {
        host.set_response_header(name, Some(value));
    }
    *host.response_body.borrow_mut() = body.into();
    exchange.on_response_headers(worker, host, body.is_empty());
    exchange.on_response_body(worker, host, body.len(), true);
    exchange.on_end(worker, host);
}

fn billed(input: u64, output: u64) -> Option<Billed> {
    Some(Billed { usage: Usage { input, output }, ..Billed::default() })
}

fn went(exchange: &Exchange) -> (usize, Reason) {
    let decision = &exchange.decided().unwrap().decision;
    (decision.target, decision.reason)
}

fn sent(host: &OfflineHost, name: &str) -> Option<String> {
    host.request_header(name).map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn a_request_is_routed_recorded_and_counted_and_its_answer_says_so() {
    let worker = worker("");
    let host = host(CHAT);
    let mut exchange = request(&worker, &host);
    assert_eq!(went(&exchange), (0, Reason::ScoreReachedThreshold));
    assert_eq!(sent(&host, header::CLUSTER).as_deref(), Some("east"));
    assert_eq!(host.reroutes.get(), 1);
    assert_eq!(host.request_body(usize::MAX), CHAT.as_bytes(), "no rewrite is configured");
    let record = host.record.borrow().clone().unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["target"], "cheap");
    assert_eq!(record["decision_id"], exchange.decided().unwrap().id.as_str());
    let body = r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
    answer(&worker, &host, &mut exchange, "200", body);
    assert_eq!(host.response_header(header::TARGET).unwrap(), b"cheap");
    assert_eq!(host.response_header(header::SOURCE).unwrap(), b"classifier");
    let usage = billed(5, 7);
    let samples = host.samples.borrow();
    assert!(matches!(samples.first(), Some(Sample::Decided { target: 0, .. })), "{samples:?}");
    assert_eq!(samples.last(), Some(&Sample::Answered { target: 0, usage }));
    assert_eq!(samples.len(), 2);
}

#[test]
fn observing_decides_and_records_and_changes_nothing() {
    let worker = worker(r#", "mode": "observe", "body": {"rewrite_model": true}"#);
    let host = host(CHAT);
    host.set_request_header(header::CLUSTER, Some("forged"));
    let exchange = request(&worker, &host);
    assert_eq!(went(&exchange).0, 0);
    assert_eq!(sent(&host, header::CLUSTER), None, "a forged one goes, whatever the mode");
    assert_eq!(host.reroutes.get(), 0);
    assert_eq!(host.request_body(usize::MAX), CHAT.as_bytes());
    assert!(host.record.borrow().is_some());
}

#[test]
fn a_conversation_stays_where_it_went() {
    let sticky = worker(r#", "sticky": {}"#);
    let first = host(CHAT);
    first.clock.set(Duration::from_secs(1000));
    assert_eq!(went(&request(&sticky, &first)).0, 0);
    // Another worker, with other thresholds, shares the memory.
    let strict = r#", "sticky": {}, "policy": {"rules": [
        {"name": "up", "when": {"turns": {"gte": 3}}, "target": "strong"}]}"#;
    for (more, target) in [("", (0, Reason::Conversation)), (strict, (1, Reason::Rule(0)))] {
        let again =
            worker(&if more.is_empty() { r#", "sticky": {}"#.into() } else { more.to_owned() });
        let mut later = host(LATER);
        later.shared = first.shared.clone();
        later.clock.set(Duration::from_secs(1010));
        assert_eq!(went(&request(&again, &later)), target, "{more}");
    }
    let late = host(LATER);
    *late.shared.borrow_mut() = first.shared.borrow().clone();
    late.clock.set(Duration::from_secs(1000 + 3600));
    assert_eq!(went(&request(&sticky, &late)).1, Reason::ScoreReachedThreshold, "forgotten");
}

#[test]
fn a_worker_that_is_overtaken_tries_again_and_then_gives_up() {
    let worker = worker(r#", "sticky": {}"#);
    for (overtaken, remembered) in [(2, 1), (3, 0)] {
        let host = host(CHAT);
        host.overtaken.set(overtaken);
        request(&worker, &host);
        assert_eq!(host.shared.borrow().len(), remembered, "{overtaken}");
    }
}

#[test]
fn a_target_that_fails_is_left_out_and_the_way_round_it_is_not_remembered() {
    let more = r#", "sticky": {}, "health": {"consecutive_failures": 2, "ejection_seconds": 10}"#;
    let worker = worker(more);
    for second in 0..2 {
        let host = host(CHAT);
        host.clock.set(Duration::from_secs(100 + second));
        let mut exchange = request(&worker, &host);
        assert_eq!(went(&exchange).0, 0);
        answer(&worker, &host, &mut exchange, "503", "");
    }
    let down = host(CHAT);
    down.clock.set(Duration::from_secs(105));
    assert_eq!(went(&request(&worker, &down)), (1, Reason::Health));
    assert!(down.shared.borrow().is_empty(), "where it goes in the meantime is not remembered");
    let up = host(CHAT);
    up.clock.set(Duration::from_secs(111));
    assert_eq!(went(&request(&worker, &up)).0, 0);
}

#[test]
fn an_answer_is_booked_on_whoever_gave_it() {
    let body = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let usage = billed(1, 1);
    for (mode, upstream, cluster, booked) in [
        ("route", None, None, Some(0)),
        ("route", Some("strong"), None, Some(1)),
        ("route", None, Some("west"), Some(1)),
        ("observe", None, None, None),
        ("observe", None, Some("west"), Some(1)),
        ("route", Some("another"), Some("east"), Some(0)),
    ] {
        let worker = worker(&format!(r#", "mode": "{mode}""#));
        let mut host = host(CHAT);
        host.upstream_target = upstream.map(str::to_owned);
        host.upstream_cluster = cluster.map(str::to_owned);
        let mut exchange = request(&worker, &host);
        answer(&worker, &host, &mut exchange, "200", body);
        let samples = host.samples.borrow();
        let answered = samples.iter().find(|it| matches!(it, Sample::Answered { .. }));
        let expected = booked.map(|target| Sample::Answered { target, usage });
        assert_eq!(answered, expected.as_ref(), "{mode} {upstream:?} {cluster:?}");
    }
}

#[test]
fn callbacks_out_of_order_do_nothing() {
    let worker = worker(CONTROL);
    let host = host(CHAT);
    let mut exchange = Exchange::default();
    exchange.on_response_headers(&worker, &host, false);
    exchange.on_response_body(&worker, &host, 10, true);
    exchange.on_response_trailers();
    exchange.on_end(&worker, &host);
    assert_eq!(exchange.on_request_body(&worker, &host, 10, true), Flow::Continue);
    assert_eq!(exchange.on_request_trailers(&worker, &host), Flow::Continue);
    assert!(exchange.decided().is_none() && exchange.passed().is_none());
    assert!(host.samples.borrow().is_empty() && host.record.borrow().is_none());
}

#[test]
fn trailers_end_a_body() {
    let worker = worker("");
    let host = host(CHAT);
    let mut exchange = Exchange::default();
    assert_eq!(exchange.on_request_headers(&worker, &host, false), Flow::Pause);
    assert_eq!(exchange.on_request_body(&worker, &host, 30, false), Flow::Pause);
    assert_eq!(exchange.on_request_trailers(&worker, &host), Flow::Continue);
    assert_eq!(went(&exchange).1, Reason::ScoreReachedThreshold);
}

#[test]
fn the_way_to_another_target_names_its_model() {
    let model = crate::target::Edit::set("model", "\"other\"");
    let host = host(CHAT);
    let mut passage = Passage::default();
    assert_eq!(passage.on_request_headers(&host, &model, false), Flow::Pause);
    assert_eq!(passage.on_request_body(&host, &model, 10, false), Flow::Pause);
    assert_eq!(passage.on_request_body(&host, &model, CHAT.len(), true), Flow::Continue);
    let body = String::from_utf8(host.request_body(usize::MAX)).unwrap();
    assert_eq!(body, CHAT.replace("auto", "other"));
    assert_eq!(sent(&host, "content-length"), Some(body.len().to_string()));
    let azure = host_at("/openai/deployments/x/chat/completions");
    assert_eq!(Passage::default().on_request_headers(&azure, &model, false), Flow::Pause);
    assert_eq!(sent(&azure, ":path").unwrap(), "/openai/deployments/other/chat/completions");
    assert_eq!(passage.on_request_trailers(&host, &model), Flow::Continue, "done once");
    assert_eq!(host.request_body(usize::MAX), body.as_bytes());
}

#[test]
fn a_long_body_passes_by_under_the_other_model() {
    let model = crate::target::Edit::set("model", "\"other\"");
    let filler = "x".repeat(100_000);
    let body = format!(r#"{{"messages": ["{filler}"], "model": "auto"}}"#);
    let (first, rest) = body.split_at(70_000);
    let host = host(first);
    host.set_request_header("content-length", Some(&body.len().to_string()));
    let mut passage = Passage::default();
    assert_eq!(passage.on_request_headers(&host, &model, false), Flow::Pause);
    assert_eq!(passage.on_request_body(&host, &model, first.len(), false), Flow::Continue);
    let mut sent_on = host.request_body(usize::MAX);
    *host.request_body.borrow_mut() = rest.into();
    assert_eq!(passage.on_request_body(&host, &model, rest.len(), true), Flow::Continue);
    sent_on.extend(host.request_body(usize::MAX));
    assert_eq!(sent(&host, "content-length"), Some(sent_on.len().to_string()));
    let read: serde_json::Value = serde_json::from_slice(&sent_on).unwrap();
    assert_eq!(read, serde_json::json!({"messages": [filler], "model": "other"}));
}
