//! Escalated requests that are kept with both their answers.

use serde_json::Value;

use super::*;
use crate::escalation::outbox::WAITING_BYTES;
use crate::target::Capture;

const EVENTS: &str = "data: {\"choices\":[]}\n\ndata: [DONE]\n\n";

/// The request comes to the other target, which answers with 200 in two pieces; what is to be sent.
fn captured(
    host: &OfflineHost,
    (share, max_bytes): (f32, usize),
    (media, answer): (&str, &str),
) -> Option<Value> {
    let capture = Capture { cluster: "capture".to_owned(), share, max_bytes };
    host.set_request_header(header::HOLD, Some(&token().to_string()));
    let mut stand_in = StandIn::default();
    stand_in.on_request_headers(host, Some(&capture));
    stand_in.on_request_body(host, BODY.len(), true);
    host.response_headers.borrow_mut().clear();
    host.set_response_header(":status", Some("200"));
    host.set_response_header("content-type", Some(media));
    assert_eq!(stand_in.on_response_headers(host, "strong"), Flow::Continue);
    let (first, rest) = answer.split_at(answer.len() / 2);
    *host.response_body.borrow_mut() = first.into();
    assert_eq!(stand_in.on_response_body(host, "strong", first.len(), false), None);
    *host.response_body.borrow_mut() = rest.into();
    let sent = stand_in.on_response_body(host, "strong", rest.len(), true)?;
    Some(serde_json::from_str(&sent).unwrap())
}

fn escalated() -> OfflineHost {
    let (inspector, host) = (inspector(r#", "max_share": 1"#), host());
    assert_eq!(answered(&inspector, &host, "200", FILTERED).0, STATUS);
    host
}

#[test]
fn a_pair_has_the_request_and_both_answers_as_they_were() {
    let host = escalated();
    host.set_request_header("x-request-id", Some("abc"));
    let pair = captured(&host, (1.0, 4096), ("application/json", SOUND)).unwrap();
    assert_eq!(pair["id"], "abc");
    assert_eq!(pair["path"], "/v1/chat/completions");
    assert_eq!(
        (&pair["sign"], &pair["strong_target"]),
        (&"content_filter".into(), &"strong".into())
    );
    assert_eq!(pair["request"], BODY);
    assert_eq!(pair["cheap_response"], serde_json::json!({"events": false, "body": FILTERED}));
    assert_eq!(pair["response"], serde_json::json!({"events": false, "body": SOUND}));
}

#[test]
fn a_stream_is_kept_as_it_was_and_a_request_without_a_name_gets_one() {
    let host = escalated();
    let pair = captured(&host, (1.0, 4096), ("text/event-stream", EVENTS)).unwrap();
    assert_eq!(pair["response"], serde_json::json!({"events": true, "body": EVENTS}));
    assert_eq!(pair["id"], token().to_string());
}

#[test]
fn only_the_share_is_kept() {
    let host = escalated();
    host.draws.borrow_mut().push(u64::MAX / 2);
    assert_eq!(captured(&host, (0.4, 4096), ("application/json", SOUND)), None);
    let host = escalated();
    host.draws.borrow_mut().push(u64::MAX / 4);
    assert!(captured(&host, (0.4, 4096), ("application/json", SOUND)).is_some());
}

#[test]
fn what_is_too_long_is_left_out_whole() {
    for most in [BODY.len() - 1, FILTERED.len() - 1, SOUND.len() - 1] {
        let host = escalated();
        assert_eq!(captured(&host, (1.0, most), ("application/json", SOUND)), None, "{most}");
    }
    let host = escalated();
    let most = SOUND.len().max(FILTERED.len());
    assert!(captured(&host, (1.0, most), ("application/json", SOUND)).is_some());
}

#[test]
fn a_request_that_was_not_escalated_is_not_kept() {
    assert_eq!(captured(&host(), (1.0, 4096), ("application/json", SOUND)), None);
}

#[test]
fn what_is_no_text_is_not_kept() {
    let host = escalated();
    assert_eq!(captured(&host, (1.0, 4096), ("application/json", "")), None);
    let host = escalated();
    host.request_body.borrow_mut()[0] = 0xff;
    assert_eq!(captured(&host, (1.0, 4096), ("application/json", SOUND)), None);
}

#[test]
fn a_compressed_answer_is_not_kept() {
    let host = escalated();
    let capture = Capture { cluster: "capture".to_owned(), share: 1.0, max_bytes: 4096 };
    host.set_request_header(header::HOLD, Some(&token().to_string()));
    let mut stand_in = StandIn::default();
    stand_in.on_request_headers(&host, Some(&capture));
    stand_in.on_request_body(&host, BODY.len(), true);
    for (name, value) in [(":status", "200"), ("content-encoding", "gzip")] {
        host.set_response_header(name, Some(value));
    }
    stand_in.on_response_headers(&host, "strong");
    *host.response_body.borrow_mut() = SOUND.into();
    assert_eq!(stand_in.on_response_body(&host, "strong", SOUND.len(), true), None);
}

fn outbox() -> Outbox {
    Outbox::new(Capture { cluster: "capture".to_owned(), share: 1.0, max_bytes: 4096 })
}

#[test]
fn what_waits_is_posted_once() {
    let (outbox, host) = (outbox(), host());
    assert!(outbox.is_empty());
    assert_eq!([outbox.keep("{}".to_owned()), outbox.keep("[]".to_owned())], [None, None]);
    assert!(!outbox.is_empty());
    assert_eq!([outbox.send(&host), outbox.send(&host)], [None, None]);
    let calls = host.calls.borrow();
    let bodies: Vec<&[u8]> = calls.iter().map(|(_, body)| &body[..]).collect();
    assert_eq!(bodies, [b"{}", b"[]"]);
    let has = |name: &str, value: &str| calls[0].0.contains(&(name.to_owned(), value.to_owned()));
    assert!(has(":path", "/pointsman/v1/captures") && has("content-type", "application/json"));
}

#[test]
fn what_goes_wrong_is_said_once_until_something_is_taken() {
    let (outbox, mut host) = (outbox(), host());
    host.reachable = false;
    let post = |host: &OfflineHost| {
        assert_eq!(outbox.keep("{}".to_owned()), None);
        outbox.send(host)
    };
    assert!(post(&host).is_some_and(|it| it.contains("capture: the cluster cannot be asked")));
    assert_eq!(post(&host), None);
    let mut answered = |status: &str| {
        host.call_headers.insert(":status".to_owned(), status.into());
        outbox.on_response(&host)
    };
    assert_eq!(answered("507"), None);
    assert_eq!(answered("204"), None);
    assert!(answered("507").is_some_and(|it| it.contains("it answers 507")));
}

#[test]
fn what_cannot_be_sent_in_time_is_left_out() {
    let outbox = outbox();
    assert_eq!(outbox.keep("x".repeat(WAITING_BYTES)), None);
    assert!(outbox.keep("x".to_owned()).is_some_and(|it| it.contains("more comes")));
    assert_eq!(outbox.keep("x".to_owned()), None);
    let host = host();
    assert_eq!(outbox.send(&host), None);
    assert_eq!(host.calls.borrow().len(), 1);
}
