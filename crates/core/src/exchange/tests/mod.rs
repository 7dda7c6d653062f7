use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::control_plane::{Answered, Caller, paths};
use crate::policy::bandit::fixture::snapshot;
use crate::reason::Reason;
use crate::target::{Billed, Usage};

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
        host.set_response_header(name, value);
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
fn the_body_names_the_targets_model_and_its_length_is_exact() {
    let worker = worker(r#", "body": {"rewrite_model": true}"#);
    let host = host(CHAT);
    request(&worker, &host);
    let body = String::from_utf8(host.request_body(usize::MAX)).unwrap();
    assert_eq!(body, CHAT.replace("auto", "small"));
    assert_eq!(sent(&host, "content-length"), Some(body.len().to_string()));
}

/// What is sent of a body that comes in pieces, and the length that was promised.
fn streamed(worker: &Worker, body: &str, size: usize) -> (OfflineHost, String) {
    let host = host(body);
    host.request_body.borrow_mut().clear();
    let mut exchange = Exchange::default();
    assert_eq!(exchange.on_request_headers(worker, &host, false), Flow::Pause);
    let (mut sent, mut held) = (Vec::new(), true);
    let count = body.len().div_ceil(size);
    for (number, piece) in body.as_bytes().chunks(size).enumerate() {
        host.request_body.borrow_mut().extend_from_slice(piece);
        let buffered = host.request_body.borrow().len();
        let flow = exchange.on_request_body(worker, &host, buffered, number + 1 == count);
        held = flow == Flow::Pause;
        if !held {
            sent.append(&mut host.request_body.borrow_mut());
        }
    }
    assert!(!held);
    (host, String::from_utf8(sent).unwrap())
}

#[test]
fn the_model_is_named_wherever_it_stands_in_a_body_longer_than_is_read() {
    let worker = worker(r#", "body": {"rewrite_model": true, "max_bytes": 1024}"#);
    let long = |before: &str, behind: &str| {
        let words = "word ".repeat(1000);
        format!(r#"{{{before}"messages":[{{"role":"user","content":"Why? {words}"}}]{behind}}}"#)
    };
    for (before, behind) in [
        (r#""model":"auto","#, ""),
        ("", r#","model":"auto""#),
        (r#""model":"auto","#, r#","stream":true,"model":"o1-pro""#),
        ("", ""),
    ] {
        let body = long(before, behind);
        for size in [100, 1000, 3000] {
            let (host, sent_body) = streamed(&worker, &body, size);
            assert_eq!(sent(&host, "content-length"), Some(sent_body.len().to_string()));
            let model = sent_body.matches(r#""model""#).count();
            assert_eq!((model, sent_body.matches("small").count()), (1, 1), "{behind} {size}");
            let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
            expected["model"] = "small".into();
            let value: serde_json::Value = serde_json::from_str(&sent_body).unwrap();
            assert_eq!(value, expected);
            let samples = host.samples.borrow();
            assert!(samples.contains(&Sample::BodyCut), "{samples:?}");
            let decided = samples.iter().filter(|it| matches!(it, Sample::Decided { .. }));
            assert_eq!(decided.count(), 1, "decided once");
            assert!(host.record.borrow().as_ref().unwrap().contains(r#""body_cut":true"#));
        }
    }
}

#[test]
fn a_body_that_says_how_long_it_is_may_be_waited_for_and_is_read_to_its_end() {
    let ask = r#", "policy": {"rules": [{"name": "asked", "target": "strong",
        "when": {"user": {"contains": "at the end"}}}]}"#;
    let long = CHAT.replace(
        "What is 2 + 2?\"}",
        &format!(
            r#"{}"}},{{"role":"user","content":"This stands at the end."}}"#,
            "word ".repeat(1000)
        ),
    );
    for (body, reason, cut) in [
        (r#", "body": {"max_bytes": 1024, "hold_bytes": 8192}"#, Reason::Rule(0), false),
        (r#", "body": {"max_bytes": 1024}"#, Reason::ScoreReachedThreshold, true),
        ("", Reason::Rule(0), false),
    ] {
        let worker = worker(&format!("{ask}{body}"));
        let (host, sent_body) = streamed(&worker, &long, 500);
        assert_eq!(sent_body, long);
        let record = host.record.borrow().clone().unwrap();
        assert_eq!(record.contains(r#""body_cut":true"#), cut, "{body}");
        let decided =
            host.samples.borrow().iter().any(
                |it| matches!(it, Sample::Decided { reason: decided, .. } if *decided == reason),
            );
        assert!(decided, "{body}: {record}");
    }
}

#[test]
fn steps_that_need_no_body_hold_when_it_cannot_be_read() {
    let more = r#", "default": "cheap", "override": {"targets": ["strong"]}, "sticky": {"header": "x-talk"},
        "health": {"consecutive_failures": 1, "ejection_seconds": 10},
        "policy": {"rules": [
            {"name": "short", "target": "strong", "when": {"words": {"gte": 0}}},
            {"name": "legal", "target": "strong", "when": {"headers": {"x-team": {"equals": "legal"}}}}]}"#;
    let bodies: [(&[u8], (&str, &str), Reason); 4] = [
        (b"\x1f\x8b\x08", ("content-encoding", "gzip"), Reason::ContentEncoded),
        (b"(\xb5/\xfd", ("content-encoding", "zstd"), Reason::ContentEncoded),
        (b"{\"messages\":[", ("x-other", "1"), Reason::MalformedJson),
        (b"a=b", ("content-type", "application/x-www-form-urlencoded"), Reason::NotJson),
    ];
    for (body, (name, value), reason) in bodies {
        let worker = worker(more);
        let send = |more: &[(&str, &str)], second: u64| {
            let mut host = host("");
            host.clock.set(Duration::from_secs(second));
            *host.request_body.borrow_mut() = body.to_vec();
            for (name, value) in [(name, value)].iter().chain(more) {
                host.set_request_header(name, Some(value));
            }
            host.shared = Default::default();
            host
        };
        let go = |host: &OfflineHost| went(&request(&worker, host));
        assert_eq!(go(&send(&[], 0)), (0, reason), "nothing else decides");
        assert_eq!(go(&send(&[("x-pointsman-target", "strong")], 0)), (1, Reason::ClientHeader));
        for team in ["legal", "sales, legal"] {
            assert_eq!(go(&send(&[("x-team", team)], 0)), (1, Reason::Rule(1)), "{team}");
        }
        let talk = [("x-talk", "7")];
        let before = host(CHAT);
        before.set_request_header("x-talk", Some("7"));
        before.set_request_header("x-team", Some("legal"));
        assert_eq!(went(&request(&worker, &before)).0, 1);
        let again = send(&talk, 1);
        *again.shared.borrow_mut() = before.shared.borrow().clone();
        assert_eq!(go(&again), (1, Reason::Conversation));
        let failing = send(&[], 2);
        let mut exchange = request(&worker, &failing);
        answer(&worker, &failing, &mut exchange, "503", "");
        assert_eq!(go(&send(&[], 3)), (1, reason), "the default target is down");
    }
}

#[test]
fn a_body_that_cannot_be_read_goes_nowhere_where_it_might_not_be_taken() {
    let more = r#", "override": {"targets": ["cheap"]}"#;
    let json = format!(
        r#"{{"targets": [{{"name": "cheap", "cluster": "a", "images": false, "apis": ["chat"]}},
            {{"name": "strong", "cluster": "b"}}]{more}}}"#
    );
    let worker = Worker::new(Config::from_json(json.as_bytes()).unwrap()).unwrap();
    let host = host("{");
    host.set_request_header("x-pointsman-target", Some("cheap"));
    assert_eq!(went(&request(&worker, &host)), (1, Reason::MalformedJson));
}

#[test]
fn a_body_that_should_name_the_model_and_cannot_is_counted_and_recorded() {
    let worker = worker(r#", "body": {"rewrite_model": true}"#);
    for (body, encoding, not_rewritten) in
        [(CHAT, None, false), ("{\"messages\":[", None, true), (CHAT, Some("gzip"), true)]
    {
        let host = host(body);
        encoding.into_iter().for_each(|it| host.set_request_header("content-encoding", Some(it)));
        request(&worker, &host);
        assert_eq!(host.samples.borrow().contains(&Sample::NotRewritten), not_rewritten, "{body}");
        let record = host.record.borrow().clone().unwrap();
        assert_eq!(record.contains(r#""not_rewritten":true"#), not_rewritten, "{record}");
    }
}

#[test]
fn a_count_of_tokens_goes_to_the_default_target_and_names_its_model() {
    let rewriting = r#", "default": "cheap", "body": {"rewrite_model": true}"#;
    let count = |more: &str, path: &str| {
        let host = host_at(path);
        let exchange = request(&worker(more), &host);
        let passed = exchange.passed().map(Pass::name);
        let body = String::from_utf8(host.request_body(usize::MAX)).unwrap();
        assert_eq!(sent(&host, "content-length"), Some(body.len().to_string()));
        (passed, sent(&host, header::CLUSTER), body)
    };
    for path in
        ["/v1/messages/count_tokens", "/v1/responses/input_tokens/", "/v1/responses/compact"]
    {
        let renamed =
            (Some("side_endpoint"), Some("east".to_owned()), CHAT.replace("auto", "small"));
        assert_eq!(count(rewriting, path), renamed, "{path}");
        for more in ["", r#", "mode": "observe", "body": {"rewrite_model": true}"#] {
            assert_eq!(count(more, path), (Some("out_of_scope"), None, CHAT.to_owned()), "{more}");
        }
    }
    let embedding = count(rewriting, "/v1/embeddings");
    assert_eq!(embedding, (Some("out_of_scope"), None, CHAT.to_owned()));
}

#[test]
fn a_model_that_the_path_names_is_the_targets() {
    for (more, path) in [
        (r#", "body": {"rewrite_model": true}"#, "/openai/deployments/small/chat/completions"),
        ("", "/openai/deployments/x/chat/completions"),
    ] {
        let worker = worker(more);
        for encoding in [None, Some("gzip")] {
            let host = host_at("/openai/deployments/x/chat/completions");
            encoding
                .into_iter()
                .for_each(|it| host.set_request_header("content-encoding", Some(it)));
            request(&worker, &host);
            let expected =
                if encoding.is_some() { path.replace("small", "large") } else { path.into() };
            assert_eq!(sent(&host, ":path"), Some(expected));
            assert!(!host.samples.borrow().contains(&Sample::NotRewritten));
        }
    }
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

const CONTROL: &str = r#", "policy": {"bandit": {}}, "control": {"cluster": "plane",
    "key": "a-key-that-is-long-enough", "token": "a-token-that-is-long-enough",
    "implicit": {"ok": 0.9, "truncated": 0.2, "asked_again": {"seconds": 60, "reward": 0.1}}}"#;

/// Has the worker ask the control plane for a policy, which answers so.
fn load(worker: &Worker, status: &str, body: Vec<u8>) -> Answered {
    let mut plane = OfflineHost::new([], Vec::new());
    let client = worker.control_plane.as_ref().unwrap();
    client.tick(&plane);
    let policy = |(headers, _): &(Vec<(String, String)>, Vec<u8>)| headers[1].1 == paths::POLICY;
    let token = plane.calls.borrow().iter().position(policy).unwrap() + 1;
    let headers = [(":status", status.as_bytes()), ("etag", b"\"3\"")];
    plane.call_headers = headers.map(|(n, v)| (n.to_owned(), v.to_vec())).into();
    let size = body.len();
    plane.call_body = body;
    client.on_response(&plane, token as u32, size)
}

#[test]
fn the_bandit_draws_once_it_has_a_policy_and_records_its_propensity() {
    let worker = worker(CONTROL);
    let before = host(CHAT);
    assert_eq!(went(&request(&worker, &before)), (0, Reason::ScoreReachedThreshold));
    let missing = Sample::BanditFallback(FallbackReason::NoSnapshot);
    assert!(before.samples.borrow().contains(&missing));
    assert!(
        matches!(load(&worker, "200", snapshot().to_json().into_bytes()), Answered::Loaded(version) if version == "3")
    );
    for (draw, expected, propensity) in [
        (u64::MAX / 2, (1, Reason::BanditBest), 0.9),
        (u64::MAX / 20, (0, Reason::BanditExplored), 0.1),
    ] {
        let host = host(CHAT);
        // Two draws make the decision ID.
        *host.draws.borrow_mut() = vec![1, 2, draw];
        let exchange = request(&worker, &host);
        assert_eq!(went(&exchange), expected);
        assert!((exchange.decided().unwrap().decision.propensity - propensity).abs() < 1e-6);
        let record = host.record.borrow().clone().unwrap();
        assert!(record.contains(r#""snapshot":"3""#), "{record}");
        let cluster = if expected.0 == 1 { "west" } else { "east" };
        assert_eq!(sent(&host, header::CLUSTER).as_deref(), Some(cluster));
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_refused_and_said_once() {
    let worker = worker(CONTROL);
    assert!(matches!(load(&worker, "200", b"not a snapshot".to_vec()), Answered::Refused(_)));
    assert!(matches!(load(&worker, "200", b"not a snapshot".to_vec()), Answered::Done));
    assert_eq!(went(&request(&worker, &host(CHAT))).1, Reason::ScoreReachedThreshold);
}

#[test]
fn a_control_plane_without_our_paths_is_named_once_and_nothing_is_lost() {
    let worker = worker(CONTROL);
    for (status, said) in [("410", true), ("404", false)] {
        let answered = load(&worker, status, Vec::new());
        let named = matches!(&answered, Answered::UnknownPath(it) if it == status);
        assert_eq!(named, said, "{answered:?}");
    }
    let client = worker.control_plane.as_ref().unwrap();
    request(&worker, &host(CHAT));
    let mut plane = OfflineHost::new([], Vec::new());
    client.tick(&plane);
    plane.call_headers = [(":status".to_owned(), b"410".to_vec())].into();
    for token in [1, 2] {
        client.on_response(&plane, token, 0);
    }
    assert!(posted(&worker, paths::DECISIONS).contains("decision_id"));
    assert_eq!(went(&request(&worker, &host(CHAT))).1, Reason::ScoreReachedThreshold);
}

#[test]
fn posts_name_their_content_type_and_looks_for_a_policy_have_none() {
    let worker = worker(CONTROL);
    request(&worker, &host(CHAT));
    let plane = OfflineHost::new([], Vec::new());
    worker.control_plane.as_ref().unwrap().tick(&plane);
    for (headers, body) in plane.calls.borrow().iter() {
        let found = headers.iter().find(|(name, _)| name == "content-type");
        let expected = (!body.is_empty()).then_some(paths::NDJSON);
        assert_eq!(found.map(|(_, value)| value.as_str()), expected, "{headers:?}");
    }
}

/// What the control plane is posted.
fn posted(worker: &Worker, path: &str) -> String {
    let plane = OfflineHost::new([], Vec::new());
    worker.control_plane.as_ref().unwrap().tick(&plane);
    let calls = plane.calls.borrow();
    let found = calls.iter().find(|(headers, _)| headers[1].1 == path);
    found.map(|(_, body)| String::from_utf8(body.clone()).unwrap()).unwrap_or_default()
}

#[test]
fn answers_are_rewarded_by_their_own_signs_and_questions_that_come_again() {
    let worker = worker(CONTROL);
    let host = host(CHAT);
    *host.draws.borrow_mut() = vec![7; 16];
    let mut exchange = request(&worker, &host);
    let cut = r#"{"choices":[{"finish_reason":"length","message":{"content":"4"}}]}"#;
    answer(&worker, &host, &mut exchange, "200", cut);
    let id = exchange.decided().unwrap().id.clone();
    *host.request_body.borrow_mut() = CHAT.into();
    request(&worker, &host);
    let rewards = posted(&worker, paths::FEEDBACK);
    let implicit = format!(r#"{{"decision_id":"{id}","reward":0.2,"source":"implicit"}}"#);
    let again = format!(r#"{{"decision_id":"{id}","reward":0.1,"source":"asked_again"}}"#);
    assert_eq!(rewards, format!("{implicit}\n{again}\n"));
}

#[test]
fn decisions_wait_for_a_control_plane_that_does_not_answer_and_go_again() {
    let worker = worker(CONTROL);
    request(&worker, &host(CHAT));
    let client = worker.control_plane.as_ref().unwrap();
    let mut unreachable = OfflineHost::new([], Vec::new());
    unreachable.reachable = false;
    client.tick(&unreachable);
    assert_eq!(unreachable.samples.borrow()[..], [Sample::ControlCallFailed; 2]);
    let mut plane = OfflineHost::new([], Vec::new());
    client.tick(&plane);
    assert_eq!(plane.calls.borrow().len(), 2, "decisions and a look for a policy");
    let batch = plane.calls.borrow()[0].1.clone();
    client.tick(&plane);
    assert_eq!(plane.calls.borrow().len(), 2, "one call at a time");
    // No status: the host gave up.
    client.on_response(&plane, 1, 0);
    plane.call_headers = [(":status".to_owned(), b"304".to_vec())].into();
    client.on_response(&plane, 2, 0);
    client.tick(&plane);
    assert_eq!(plane.calls.borrow()[2].1, batch, "the same decisions again");
    plane.call_headers = [(":status".to_owned(), b"200".to_vec())].into();
    client.on_response(&plane, 3, 0);
    client.on_response(&plane, 99, 0);
    assert_eq!(posted(&worker, paths::DECISIONS), "");
    assert_eq!(Caller::call_body(&plane, 10), b"");
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
