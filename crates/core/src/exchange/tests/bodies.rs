//! What is read of a body, and what is written into it.

use super::*;

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
