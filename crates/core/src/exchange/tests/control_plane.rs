//! Decisions and rewards on their way to the control plane, and its policy on its way here.

use super::*;

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
