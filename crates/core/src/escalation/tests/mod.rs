use std::cell::Cell;
use std::time::Duration;

mod pairs;

use super::ledger::Known;
use super::*;
use crate::config::Role;
use crate::exchange::{Flow, Host, OfflineHost};
use crate::header;
use crate::telemetry::Sample;
use crate::verdict::Sign;

const BODY: &str = r#"{"model":"auto","messages":[{"role":"user","content":"What is 2 + 2?"}]}"#;
const SOUND: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"It is 4."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
const FILTERED: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"It"},"finish_reason":"content_filter"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;

fn inspector(more: &str) -> Inspector {
    let json =
        format!(r#"{{"hold": {{"target": "cheap", "escalate": {{"to": "strong"{more}}}}}}}"#);
    match Role::from_json(json.as_bytes()) {
        Some(Ok(Role::Hold { target, escalate })) => Inspector::new(target, escalate).unwrap(),
        other => panic!("{other:?}"),
    }
}

thread_local! {
    /// Of the request at hand: each has its own.
    static NUMBER: Cell<u64> = const { Cell::new(8) };
}

fn token() -> Token {
    Token::new([7, NUMBER.get()])
}

fn host() -> OfflineHost {
    let headers =
        [(":path", "/v1/chat/completions".to_owned()), (header::HOLD, token().to_string())]
            .map(|(name, value)| (name.to_owned(), value.into_bytes()));
    OfflineHost::new(headers, BODY.into())
}

/// The request goes by, and the answer's headers are here.
fn asked(inspector: &Inspector, host: &OfflineHost, status: &str, media: &str) -> Inspection {
    let mut inspection = Inspection::default();
    assert_eq!(inspection.on_request_headers(inspector, host, false), Flow::Continue);
    inspection.on_request_body(inspector, host, BODY.len(), true);
    host.set_response_header(":status", Some(status));
    host.set_response_header("content-type", Some(media));
    inspection
}

/// What happens to a whole answer to a new request: its status and its bytes.
fn answered(inspector: &Inspector, host: &OfflineHost, status: &str, body: &str) -> (u16, String) {
    if host.request_header(header::HOLD).is_some() {
        NUMBER.set(NUMBER.get() + 1);
        host.set_request_header(header::HOLD, Some(&token().to_string()));
    }
    answered_again(inspector, host, status, body)
}

/// The same for a request that comes once more.
fn answered_again(
    inspector: &Inspector,
    host: &OfflineHost,
    status: &str,
    body: &str,
) -> (u16, String) {
    let mut inspection = asked(inspector, host, status, "application/json");
    inspection.on_response_headers(inspector, host, false);
    *host.response_body.borrow_mut() = body.into();
    assert_eq!(inspection.on_response_body(inspector, host, body.len(), true), Flow::Continue);
    inspection.on_end(inspector, host);
    let body = String::from_utf8(host.response_body.borrow().clone()).unwrap();
    (host.status().unwrap(), body)
}

fn outcomes(host: &OfflineHost) -> Vec<Outcome> {
    let outcome = |sample: &Sample| match sample {
        Sample::Inspected { outcome, .. } => Some(*outcome),
        _ => None,
    };
    host.samples.borrow().iter().filter_map(outcome).collect()
}

fn kept(host: &OfflineHost) -> Option<String> {
    host.response_header(header::KEPT).map(|value| String::from_utf8(value).unwrap())
}

/// The request comes to the other target, which answers with this status.
fn stands_in(host: &OfflineHost, status: &str) -> Flow {
    host.set_request_header(header::HOLD, Some(&token().to_string()));
    let mut stand_in = StandIn::default();
    stand_in.on_request_headers(host, None);
    host.response_headers.borrow_mut().clear();
    host.set_response_header(":status", Some(status));
    stand_in.on_response_headers(host, "strong")
}

#[test]
fn a_sound_answer_goes_on_byte_for_byte() {
    let (inspector, host) = (inspector(""), host());
    assert_eq!(answered(&inspector, &host, "200", SOUND), (200, SOUND.to_owned()));
    assert_eq!(outcomes(&host), [Outcome::Passed]);
    assert_eq!(host.replies.get(), 0);
}

#[test]
fn an_answer_to_an_unmarked_request_is_not_looked_at() {
    let (inspector, host) = (inspector(""), host());
    host.set_request_header(header::HOLD, None);
    assert_eq!(answered(&inspector, &host, "200", FILTERED), (200, FILTERED.to_owned()));
    assert_eq!(outcomes(&host), []);
}

#[test]
fn a_bad_answer_becomes_a_failure_and_the_other_targets_answer_says_why() {
    let (inspector, host) = (inspector(""), host());
    let (status, body) = answered(&inspector, &host, "200", FILTERED);
    assert_eq!(status, STATUS);
    assert!(!body.contains("choices"), "{body}");
    assert_eq!(outcomes(&host), [Outcome::Escalated]);
    assert_eq!(stands_in(&host, "200"), Flow::Continue);
    assert_eq!(host.response_header(header::ESCALATED).unwrap(), b"content_filter; 9; 1");
    assert_eq!(host.request_header(header::HOLD), None, "nothing is escalated twice");
}

#[test]
fn a_target_that_gave_a_bad_answer_is_not_asked_again_by_another_way() {
    let (inspector, host) = (inspector(""), host());
    answered(&inspector, &host, "200", FILTERED);
    let mut again = Inspection::default();
    assert_eq!(again.on_request_headers(&inspector, &host, false), Flow::Pause);
    assert_eq!((host.status(), host.replies.get()), (Some(STATUS), 1));
}

#[test]
fn a_request_that_had_its_second_chance_is_not_held_again() {
    let (inspector, host) = (inspector(""), host());
    answered(&inspector, &host, "404", "{}");
    assert_eq!(stands_in(&host, "503"), Flow::Continue);
    assert_eq!(host.response_header(header::ESCALATED).unwrap(), b"status");
    // Envoy begins its list once more.
    host.set_request_header(header::HOLD, Some(&token().to_string()));
    assert_eq!(answered_again(&inspector, &host, "404", "{}"), (404, "{}".to_owned()));
}

#[test]
fn a_request_that_is_answered_before_its_end_is_not_held() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = Inspection::default();
    inspection.on_request_headers(&inspector, &host, false);
    inspection.on_request_body(&inspector, &host, 10, false);
    host.set_response_header(":status", Some("400"));
    assert_eq!(inspection.on_response_headers(&inspector, &host, false), Flow::Continue);
    assert_eq!((outcomes(&host), host.status()), (vec![Outcome::LongRequest], Some(400)));
}

#[test]
fn when_the_other_target_fails_the_held_answer_is_given_back() {
    let (inspector, host) = (inspector(""), host());
    answered(&inspector, &host, "200", FILTERED);
    assert_eq!(stands_in(&host, "503"), Flow::Pause);
    assert_eq!(host.status(), Some(200));
    assert_eq!(*host.response_body.borrow(), FILTERED.as_bytes());
    assert_eq!(kept(&host).as_deref(), Some("content_filter; unavailable"));
}

#[test]
fn a_failure_of_a_request_that_was_not_escalated_stays_as_it_is() {
    let host = host();
    assert_eq!(stands_in(&host, "503"), Flow::Continue);
    assert_eq!((host.status(), host.replies.get()), (Some(503), 0));
    assert_eq!(host.response_header(header::ESCALATED), None);
}

#[test]
fn after_five_failures_of_the_other_target_bad_answers_are_kept_for_a_while() {
    let (inspector, host) = (inspector(r#", "max_share": 1"#), host());
    let marked = || host.set_request_header(header::HOLD, Some(&token().to_string()));
    for _ in 0..5 {
        answered(&inspector, &host, "200", FILTERED);
        stands_in(&host, "503");
        marked();
    }
    assert_eq!(answered(&inspector, &host, "200", FILTERED), (200, FILTERED.to_owned()));
    assert_eq!(kept(&host).as_deref(), Some("content_filter; unavailable"));
    host.clock.set(Duration::from_secs(11));
    host.response_headers.borrow_mut().clear();
    assert_eq!(answered(&inspector, &host, "200", FILTERED).0, STATUS);
    assert_eq!(stands_in(&host, "200"), Flow::Continue);
    marked();
    assert_eq!(answered(&inspector, &host, "200", FILTERED).0, STATUS);
}

#[test]
fn where_another_target_shows_the_same_sign_each_time_bad_answers_are_kept() {
    let (inspector, host) = (inspector(r#", "max_share": 1"#), host());
    let escalate_once = |second: &str| {
        assert_eq!(answered(&inspector, &host, "200", FILTERED).0, STATUS);
        host.set_request_header(header::HOLD, Some(&token().to_string()));
        let mut stand_in = StandIn::default();
        stand_in.on_request_headers(&host, None);
        stand_in.on_request_body(&host, BODY.len(), true);
        host.set_response_header(":status", Some("200"));
        host.set_response_header("content-type", Some("application/json"));
        stand_in.on_response_headers(&host, "strong");
        *host.response_body.borrow_mut() = second.into();
        stand_in.on_response_body(&host, "strong", second.len(), true);
        host.set_request_header(header::HOLD, Some(&token().to_string()));
    };
    (0..10).for_each(|_| escalate_once(SOUND));
    (0..10).for_each(|_| escalate_once(FILTERED));
    (0..20).for_each(|_| escalate_once(FILTERED));
    assert_eq!(answered(&inspector, &host, "200", FILTERED), (200, FILTERED.to_owned()));
    assert_eq!(kept(&host).as_deref(), Some("content_filter; no_help"));
    host.clock.set(Duration::from_secs(301));
    host.response_headers.borrow_mut().clear();
    assert_eq!(answered(&inspector, &host, "200", FILTERED).0, STATUS);
}

#[test]
fn a_share_of_nothing_switches_escalation_off() {
    let (inspector, host) = (inspector(r#", "max_share": 0"#), host());
    assert_eq!(answered(&inspector, &host, "200", FILTERED), (200, FILTERED.to_owned()));
    assert_eq!(kept(&host).as_deref(), Some("content_filter; max_share"));
    assert_eq!(host.response_header("cache-control").unwrap(), b"no-store");
    assert_eq!(outcomes(&host), [Outcome::Kept]);
}

#[test]
fn only_the_signs_that_are_asked_for_count() {
    let (inspector, host) = (inspector(r#", "signs": ["empty"]"#), host());
    assert_eq!(answered(&inspector, &host, "200", FILTERED), (200, FILTERED.to_owned()));
    let (status, _) = answered(&inspector, &host, "404", r#"{"error": {"message": "no model"}}"#);
    assert_eq!(status, 404);
}

#[test]
fn a_target_that_refuses_a_request_by_its_status_is_left() {
    let (inspector, host) = (inspector(""), host());
    let (status, _) = answered(&inspector, &host, "404", r#"{"error": {"message": "no model"}}"#);
    assert_eq!(status, STATUS);
    assert_eq!(stands_in(&host, "503"), Flow::Continue, "an error is nothing to give back");
    for status in ["401", "402", "403", "407", "429", "500", "503", "302"] {
        let mut inspection = asked(&inspector, &host, status, "application/json");
        let flow = inspection.on_response_headers(&inspector, &host, false);
        assert_eq!((flow, host.status()), (Flow::Continue, status.parse().ok()));
    }
}

#[test]
fn an_answer_without_a_body_is_judged_by_its_headers() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = asked(&inspector, &host, "200", "application/json");
    assert_eq!(inspection.on_response_headers(&inspector, &host, true), Flow::Continue);
    assert_eq!(host.status(), Some(STATUS));
}

#[test]
fn what_cannot_be_read_passes_and_is_counted() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = asked(&inspector, &host, "200", "image/png");
    assert_eq!(inspection.on_response_headers(&inspector, &host, false), Flow::Continue);
    let mut inspection = asked(&inspector, &host, "200", "application/json");
    host.set_response_header("content-encoding", Some("gzip"));
    assert_eq!(inspection.on_response_headers(&inspector, &host, false), Flow::Continue);
    assert_eq!(outcomes(&host), [Outcome::Unreadable, Outcome::Unreadable]);
}

#[test]
fn an_answer_that_is_too_long_goes_on_after_what_may_be_held() {
    let (inspector, host) = (inspector(r#", "hold_bytes": 300"#), host());
    let mut inspection = asked(&inspector, &host, "200", "application/json");
    assert_eq!(inspection.on_response_headers(&inspector, &host, false), Flow::Pause);
    let long = SOUND.replace("It is 4.", &"It is 4, as everybody knows. ".repeat(20));
    *host.response_body.borrow_mut() = long.as_bytes()[..200].to_vec();
    assert_eq!(inspection.on_response_body(&inspector, &host, 200, false), Flow::Pause);
    *host.response_body.borrow_mut() = long.as_bytes()[..310].to_vec();
    assert_eq!(inspection.on_response_body(&inspector, &host, 310, false), Flow::Continue);
    assert_eq!((outcomes(&host), host.status()), (vec![Outcome::TooLong], Some(200)));
}

#[test]
fn a_request_that_is_too_long_to_be_kept_is_not_held() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = Inspection::default();
    inspection.on_request_headers(&inspector, &host, false);
    inspection.on_request_body(&inspector, &host, 2 << 20, true);
    host.set_response_header(":status", Some("200"));
    assert_eq!(inspection.on_response_headers(&inspector, &host, false), Flow::Continue);
    assert_eq!(outcomes(&host), [Outcome::LongRequest]);
}

#[test]
fn after_its_time_an_answer_goes_on_or_the_other_target_is_asked() {
    for (on_timeout, status, outcome) in
        [("release", 200, Outcome::TimedOut), ("escalate", STATUS, Outcome::Escalated)]
    {
        let more = format!(r#", "hold_ms": 100, "on_timeout": "{on_timeout}""#);
        let (inspector, host) = (inspector(&more), host());
        let mut inspection = asked(&inspector, &host, "200", "application/json");
        inspection.on_response_headers(&inspector, &host, false);
        host.clock.set(Duration::from_millis(60));
        let left = inspection.holds_for(&inspector, host.instant());
        assert_eq!(left, Some(Duration::from_millis(40)));
        host.clock.set(Duration::from_millis(100));
        inspection.on_timeout(&inspector, &host);
        assert_eq!(inspection.holds_for(&inspector, host.instant()), None);
        assert_eq!((host.status(), outcomes(&host)), (Some(status), vec![outcome]));
    }
}

#[test]
fn what_comes_after_a_time_out_waits_for_a_tick_or_for_the_next_piece() {
    let (inspector, host) = (inspector(r#", "hold_ms": 100"#), host());
    let mut inspection = asked(&inspector, &host, "200", "text/event-stream");
    inspection.on_response_headers(&inspector, &host, false);
    *host.response_body.borrow_mut() = b"data: {}\n\n".to_vec();
    assert_eq!(inspection.on_response_body(&inspector, &host, 10, false), Flow::Pause);
    host.clock.set(Duration::from_millis(100));
    inspection.on_timeout(&inspector, &host);
    for _ in 0..3 {
        assert!(inspection.holds_for(&inspector, host.instant()) > Some(Duration::ZERO));
        assert_eq!(inspection.on_response_body(&inspector, &host, 10, false), Flow::Pause);
        assert_eq!(inspection.holds_for(&inspector, host.instant()), Some(Duration::ZERO));
        inspection.on_timeout(&inspector, &host);
    }
    assert_eq!(inspection.on_response_body(&inspector, &host, 10, false), Flow::Pause);
    assert_eq!(inspection.on_response_body(&inspector, &host, 20, false), Flow::Continue);
    assert_eq!(inspection.holds_for(&inspector, host.instant()), None);
    assert_eq!(outcomes(&host), [Outcome::TimedOut]);
}

#[test]
fn a_client_that_leaves_ends_the_hold() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = asked(&inspector, &host, "200", "application/json");
    inspection.on_response_headers(&inspector, &host, false);
    inspection.on_end(&inspector, &host);
    inspection.on_end(&inspector, &host);
    assert_eq!(outcomes(&host), [Outcome::Aborted]);
    assert!(inspector.has_room());
}

#[test]
fn what_comes_after_a_bad_verdict_is_dropped() {
    let (inspector, host) = (inspector(""), host());
    let mut inspection = asked(&inspector, &host, "200", "text/event-stream");
    inspection.on_response_headers(&inspector, &host, false);
    let event = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    *host.response_body.borrow_mut() = event.into();
    inspection.on_response_body(&inspector, &host, event.len(), false);
    assert_eq!(host.status(), Some(STATUS));
    *host.response_body.borrow_mut() = event.into();
    inspection.on_response_body(&inspector, &host, event.len(), true);
    assert_eq!(*host.response_body.borrow(), b"");
}

#[test]
fn the_head_of_a_stream_is_enough_where_it_is_to_be() {
    let (inspector, host) = (inspector(r#", "hold": "head", "hold_tokens": 3"#), host());
    let mut inspection = asked(&inspector, &host, "200", "text/event-stream");
    inspection.on_response_headers(&inspector, &host, false);
    let event = |word: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n")
    };
    let first = event("One");
    *host.response_body.borrow_mut() = first.clone().into();
    assert_eq!(
        inspection.on_response_body(&inspector, &host, first.len(), false),
        Flow::Pause,
        "one token is not a head"
    );
    let more = [first, event(" two three four five six")].concat();
    *host.response_body.borrow_mut() = more.clone().into();
    assert_eq!(inspection.on_response_body(&inspector, &host, more.len(), false), Flow::Continue);
    assert_eq!(outcomes(&host), [Outcome::Passed]);
}

#[test]
fn the_ledger_keeps_many_apart_and_forgets_in_time() {
    let host = host();
    let entry = |sign| ledger::Entry { sign, usage: None, answer: None };
    // Tokens that all want the same eight places: the highest bits of their pairs name none.
    let pair = |number: u64, way: u64| way | (number >> way & 1) << 15;
    let four =
        |number, first: u64| (first..first + 4).fold(0, |all, way| all << 16 | pair(number, way));
    let token = |number: u64| Token::new([four(number, 0), four(number, 4)]);
    for number in 0..8 {
        assert!(ledger::put(&host, token(number), &entry(Sign::Empty)));
    }
    assert!(!ledger::put(&host, token(8), &entry(Sign::Empty)), "there is no room");
    assert_eq!(ledger::find(&host, token(3)), Some(Known::Waiting));
    assert_eq!(ledger::take(&host, token(3)), Some(entry(Sign::Empty)));
    assert_eq!(ledger::find(&host, token(3)), Some(Known::Taken));
    assert!(!ledger::put(&host, token(8), &entry(Sign::Error)), "its retries may still come");
    host.clock.set(Duration::from_secs(2));
    assert!(ledger::put(&host, token(8), &entry(Sign::Error)));
    assert_eq!(ledger::find(&host, token(3)), None);
    assert_eq!(ledger::find(&host, token(8)), Some(Known::Waiting));
    host.clock.set(Duration::from_secs(100));
    assert!(ledger::put(&host, token(9), &entry(Sign::Refusal)));
}
