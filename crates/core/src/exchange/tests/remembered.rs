//! What is remembered from one request to another, and of whom.

use super::*;
use crate::answer::Fault;

/// What `prove` begins with goes to the strong target, everything else to the cheap one.
const UP: &str = r#", "sticky": {"header": "x-chat"}, "override": {"targets": ["strong"]},
    "policy": {"rules": [{"name": "up", "when": {"user": {"contains": "prove"}}, "target": "strong"}]}"#;

/// A request with more headers, to what the host before remembers.
fn asks(before: &OfflineHost, path: &str, headers: &[(&str, &str)], body: &str) -> OfflineHost {
    let mut host = host(body);
    host.set_request_header(":path", Some(path));
    for (name, value) in headers {
        host.set_request_header(name, Some(value));
    }
    host.shared = before.shared.clone();
    host.clock.set(Duration::from_secs(1000));
    host
}

const CHATS: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn says(text: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

/// The same beginning, an answer, and then this.
fn goes_on(text: &str) -> String {
    format!(
        r#"{{"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":"Hello!"}},
            {{"role":"user","content":"{text}"}}]}}"#
    )
}

#[test]
fn a_conversation_is_its_callers_own() {
    let worker = worker(UP);
    let names: [(&str, &str, &str); 4] = [
        ("authorization", "Bearer a", "Bearer b"),
        ("x-api-key", "a", "b"),
        ("cookie", "session=a", "session=b"),
        ("authorization", "Bearer a", ""),
    ];
    for (name, one, other) in names {
        let fresh = host("");
        let first = asks(&fresh, CHATS, &[(name, one)], &goes_on("prove it"));
        assert_eq!(went(&request(&worker, &first)).0, 1);
        let own = asks(&first, CHATS, &[(name, one)], &goes_on("thanks"));
        assert_eq!(went(&request(&worker, &own)), (1, Reason::Conversation), "{name}");
        let others = asks(&first, CHATS, &[(name, other)], &goes_on("thanks"));
        assert_eq!(went(&request(&worker, &others)), (0, Reason::ScoreReachedThreshold), "{name}");
    }
}

#[test]
fn a_session_is_known_by_the_name_that_its_client_gives_it() {
    let worker = worker(UP);
    let fresh = host("");
    let uuid = "0199f3a1-7c3e-7d11-9d0a-3b1f2c4d5e6f";
    let keyed = |text: &str, key: &str| {
        says(text).replacen('{', &format!(r#"{{"prompt_cache_key":"{key}","#), 1)
    };
    for name in ["x-chat", "x-claude-code-session-id", "session-id"] {
        let first = asks(&fresh, CHATS, &[(name, "s-1")], &says("prove it"));
        request(&worker, &first);
        let later = asks(&first, CHATS, &[(name, "s-1")], &says("hi"));
        assert_eq!(went(&request(&worker, &later)), (1, Reason::Conversation), "{name}");
        assert_eq!(sent(&later, "x-chat"), None, "one's own header ends here");
        let another = asks(&first, CHATS, &[(name, "s-2")], &says("hi"));
        assert_eq!(went(&request(&worker, &another)).0, 0, "{name}");
    }
    let first = asks(&fresh, CHATS, &[], &keyed("prove it", uuid));
    request(&worker, &first);
    let later = asks(&first, CHATS, &[], &keyed("hi", uuid));
    assert_eq!(went(&request(&worker, &later)), (1, Reason::Conversation));
    let shared = asks(&fresh, CHATS, &[], &keyed("prove it", "my-app"));
    request(&worker, &shared);
    let other = asks(&shared, CHATS, &[], &keyed("hi", "my-app"));
    assert_eq!(went(&request(&worker, &other)).0, 0, "one key for all that an application asks");
}

#[test]
fn what_one_request_needs_or_wants_holds_for_no_other() {
    let gated = UP.replace(r#", "override""#, r#", "body": {}, "override""#);
    let json = format!(
        r#"{{"targets": [{{"name": "cheap", "cluster": "east", "threshold": 0.0, "images": false}},
            {{"name": "strong", "cluster": "west"}}]{gated}}}"#
    );
    let worker = Worker::new(Config::from_json(json.as_bytes()).unwrap()).unwrap();
    let fresh = host("");
    let wanted = asks(&fresh, CHATS, &[("x-pointsman-target", "strong")], &goes_on("thanks"));
    assert_eq!(went(&request(&worker, &wanted)), (1, Reason::ClientHeader));
    let image = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Hello!"},
        {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}"#;
    let image = asks(&wanted, CHATS, &[], image);
    assert_eq!(went(&request(&worker, &image)), (1, Reason::Images));
    let later = asks(&image, CHATS, &[], &goes_on("thanks"));
    assert_eq!(went(&request(&worker, &later)), (0, Reason::ScoreReachedThreshold));
}

#[test]
fn results_of_tools_alone_belong_to_no_conversation() {
    let worker = worker(UP);
    let results = r#"{"messages":[{"role":"tool","content":"prove"}]}"#;
    let first = asks(&host(""), CHATS, &[], results);
    request(&worker, &first);
    assert!(first.shared.borrow().is_empty());
}

#[test]
fn a_response_is_continued_by_the_target_that_gave_it() {
    let worker = worker(UP);
    let who = [("authorization", "Bearer a")];
    let first = asks(&host(""), RESPONSES, &who, r#"{"input":"hi"}"#);
    let mut exchange = request(&worker, &first);
    assert_eq!(went(&exchange).0, 0);
    let stored = r#"{"id":"resp_1","object":"response","status":"completed","output":[
        {"type":"reasoning","id":"rs_1","encrypted_content":"gAAAAAB"}]}"#;
    answer(&worker, &first, &mut exchange, "200", stored);
    for (body, expected) in [
        (r#"{"previous_response_id":"resp_1","input":"prove it"}"#, (0, Reason::ProviderState)),
        (r#"{"previous_response_id":"resp_1","input":[]}"#, (0, Reason::ProviderState)),
        (
            r#"{"input":[{"type":"reasoning","encrypted_content":"gAAAAAB"},{"role":"user","content":"prove it"}]}"#,
            (0, Reason::ProviderState),
        ),
        (r#"{"previous_response_id":"resp_2","input":"hi"}"#, (1, Reason::UnknownState)),
        (r#"{"conversation":"conv_1","input":"hi"}"#, (1, Reason::UnknownState)),
        (r#"{"input":"prove it"}"#, (1, Reason::Rule(0))),
    ] {
        let next = asks(&first, RESPONSES, &who, body);
        assert_eq!(went(&request(&worker, &next)), expected, "{body}");
    }
    let body = r#"{"previous_response_id":"resp_1","input":"hi"}"#;
    let another = asks(&first, RESPONSES, &[("authorization", "Bearer b")], body);
    assert_eq!(went(&request(&worker, &another)), (1, Reason::UnknownState));
}

#[test]
fn what_is_stored_is_fetched_and_deleted_where_it_is() {
    let worker = worker(UP);
    let first = asks(&host(""), RESPONSES, &[], r#"{"input":"hi"}"#);
    let mut exchange = request(&worker, &first);
    let stored = r#"{"id":"resp_1","object":"response","status":"completed","output":[],
        "usage":{"input_tokens":1,"output_tokens":1}}"#;
    answer(&worker, &first, &mut exchange, "200", stored);
    for (method, path) in [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1?x=y"),
        ("POST", "/v1/responses/resp_1/cancel"),
    ] {
        let host = asks(&first, path, &[(":method", method)], "");
        let mut exchange = Exchange::default();
        assert_eq!(exchange.on_request_headers(&worker, &host, true), Flow::Continue);
        assert_eq!(went(&exchange), (0, Reason::ProviderState), "{method} {path}");
        assert_eq!(sent(&host, header::CLUSTER).as_deref(), Some("east"));
        answer(&worker, &host, &mut exchange, "200", stored);
        let paid = |sample: &Sample| matches!(sample, Sample::Answered { .. });
        assert!(!host.samples.borrow().iter().any(paid), "nobody pays for it twice");
    }
    for path in ["/v1/responses/resp_2", "/v1/models/resp_1"] {
        let host = asks(&first, path, &[(":method", "GET")], "");
        let mut exchange = Exchange::default();
        assert_eq!(exchange.on_request_headers(&worker, &host, true), Flow::Continue);
        assert!(exchange.decided().is_none(), "{path}");
        assert_eq!(sent(&host, header::CLUSTER), None);
    }
}

#[test]
fn an_error_with_a_good_status_counts_as_a_failure() {
    let more = r#", "health": {"consecutive_failures": 2, "ejection_seconds": 10}"#;
    let worker = worker(more);
    let ask = |body: &str| {
        let host = host(CHAT);
        host.clock.set(Duration::from_secs(100));
        let mut exchange = request(&worker, &host);
        let went = went(&exchange);
        answer(&worker, &host, &mut exchange, "200", body);
        let faulty = host.samples.borrow().iter().find_map(|sample| match sample {
            Sample::Faulty { fault, .. } => Some(*fault),
            _ => None,
        });
        (went.0, faulty)
    };
    let error = r#"{"error":{"message":"overloaded"}}"#;
    assert_eq!(ask(error), (0, Some(Fault::Error)));
    assert_eq!(ask(r#"{"choices":[{"message":{"content":"4"}}]}"#), (0, None), "ends the row");
    assert_eq!(ask(r#"{"detail":"maintenance"}"#), (0, Some(Fault::NoAnswer)));
    assert_eq!(ask(error), (0, Some(Fault::Error)));
    assert_eq!(ask(error), (1, Some(Fault::Error)));
}

#[test]
fn nobody_is_paid_for_what_a_cache_had() {
    let worker = worker("");
    let body = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
    let usage = billed(5, 7);
    for (outcome, expected) in [
        ("hit-exact", Sample::Saved { target: 0, usage }),
        ("hit-semantic", Sample::Saved { target: 0, usage }),
        ("miss", Sample::Answered { target: 0, usage }),
    ] {
        let host = host(CHAT);
        let mut exchange = request(&worker, &host);
        host.set_response_header(header::CACHE, Some(outcome));
        answer(&worker, &host, &mut exchange, "200", body);
        let is_paid = |it: &&Sample| matches!(it, Sample::Saved { .. } | Sample::Answered { .. });
        assert_eq!(host.samples.borrow().iter().find(is_paid), Some(&expected), "{outcome}");
    }
}
