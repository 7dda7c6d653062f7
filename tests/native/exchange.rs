//! Hostile traffic against the native exchange: whatever comes, in whatever order, each request
//! gets at most one decision, with a named reason, and nothing panics.

use pointsman_core::config::Config;
use pointsman_core::control_plane::paths;
use pointsman_core::exchange::{Exchange, Flow, Host, OfflineHost, Worker};
use pointsman_core::header;
use pointsman_core::reason::Reason;
use pointsman_core::telemetry::Sample;
use pointsman_testkit::{mutate, root};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const PATHS: [&str; 4] =
    ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

/// All that a filter can do at once.
const CONFIGURATION: &str = r#"{"targets": [
        {"name": "cheap", "cluster": "east", "model": "small", "context_tokens": 4000,
         "images": false, "price": {"input": 1, "output": 2}},
        {"name": "strong", "cluster": "west", "model": "large", "parameters": {"n": 1},
         "price": {"input": 10, "output": 20}}],
    "policy": {"rules": "default", "bandit": {}},
    "sticky": {"header": "x-session", "user": true},
    "override": {"targets": ["cheap"], "skip": true},
    "health": {"consecutive_failures": 2},
    "body": {"rewrite_model": true, "max_bytes": 65536},
    "control": {"cluster": "plane", "key": "a-key-that-is-long-enough",
        "token": "a-token-that-is-long-enough", "implicit": {"ok": 1, "truncated": 0,
        "asked_again": {"seconds": 60, "reward": 0}}}}"#;

fn worker() -> Worker {
    Worker::new(Config::from_json(CONFIGURATION.as_bytes()).unwrap()).unwrap()
}

fn host(path: &str, body: &[u8], more: &[(&str, &[u8])]) -> OfflineHost {
    let length = body.len().to_string();
    let usual: [(&str, &[u8]); 4] = [
        (":method", b"POST"),
        (":path", path.as_bytes()),
        ("content-type", b"application/json"),
        ("content-length", length.as_bytes()),
    ];
    let headers = usual.iter().chain(more);
    OfflineHost::new(headers.map(|(n, v)| ((*n).to_owned(), v.to_vec())), body.to_vec())
}

fn corpus() -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(root().join("fuzz/corpus/body")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn decisions(host: &OfflineHost) -> usize {
    host.samples.borrow().iter().filter(|it| matches!(it, Sample::Decided { .. })).count()
}

/// What must hold of a request that is on its way.
fn holds(worker: &Worker, host: &OfflineHost, exchange: &Exchange) {
    let cluster = host.request_header(header::CLUSTER);
    let Some(decided) = exchange.decided() else {
        assert!(exchange.passed().is_some(), "neither decided nor passed");
        assert_eq!((decisions(host), cluster), (0, None));
        return;
    };
    assert_eq!(decisions(host), 1);
    let target = worker.router.target(&decided.decision).unwrap();
    assert_eq!(cluster.as_deref(), Some(target.cluster.as_bytes()));
    let reason = worker.config().reason_name(decided.decision.reason);
    assert!(!reason.is_empty());
    let record = host.record.borrow().clone().unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        (&record["reason"], &record["target"]),
        (&reason.into(), &target.name.as_str().into())
    );
    let length = host.request_header("content-length").unwrap();
    let length: usize = String::from_utf8(length).unwrap().parse().unwrap();
    assert_eq!(length, host.request_body.borrow().len(), "what is announced is what is sent");
}

/// The request in pieces, with or without trailers, as the random numbers have it.
fn send(worker: &Worker, host: &OfflineHost, random: &mut impl Rng) -> Exchange {
    let mut exchange = Exchange::default();
    let size = host.request_body.borrow().len();
    if exchange.on_request_headers(worker, host, size == 0) == Flow::Continue {
        return exchange;
    }
    let trailers = random.random_bool(0.3);
    let mut here = 0;
    while here < size {
        here = random.random_range(here + 1..=size);
        exchange.on_request_body(worker, host, here, here == size && !trailers);
        if exchange.decided().is_some() {
            // Nothing changes any more, however the rest comes.
            exchange.on_request_body(worker, host, size, true);
            break;
        }
    }
    exchange.on_request_trailers(worker, host);
    exchange
}

#[test]
fn broken_bodies_in_pieces_get_one_decision_each() {
    let worker = worker();
    let corpus = corpus();
    assert!(corpus.len() >= 15);
    let mut random = SmallRng::seed_from_u64(11);
    for round in 0..60 {
        for body in &corpus {
            let mut body = body.clone();
            if round > 0 {
                mutate::body(&mut body, &corpus, &mut random);
            }
            let host = host(PATHS[round % PATHS.len()], &body, &[]);
            let exchange = send(&worker, &host, &mut random);
            holds(&worker, &host, &exchange);
        }
    }
}

#[test]
fn a_body_that_is_cut_anywhere_gets_one_decision() {
    let worker = worker();
    let body = br#"{"model":"auto","messages":[{"role":"user","content":"caf\u00e9 \ud83d\ude00 \u20ac?"}],"n":2}"#;
    for end in 0..=body.len() {
        let host = host(PATHS[0], &body[..end], &[]);
        let mut exchange = Exchange::default();
        if exchange.on_request_headers(&worker, &host, end == 0) == Flow::Pause {
            exchange.on_request_body(&worker, &host, end, true);
        }
        holds(&worker, &host, &exchange);
        let reason = exchange.decided().unwrap().decision.reason;
        match end {
            0 => assert_eq!(reason, Reason::EmptyBody),
            end if end < body.len() => assert_eq!(reason, Reason::MalformedJson, "cut at {end}"),
            _ => assert_ne!(reason, Reason::MalformedJson),
        }
    }
}

#[test]
fn forged_headers_neither_steer_nor_break() {
    let worker = worker();
    let body = br#"{"messages":[{"role":"user","content":"Hello"}]}"#;
    let values: [&[u8]; 6] =
        [b"", b"admin", b"west\r\nx: y", b"\xff\xfe\x00", b"skip ", b"99999999999999999999"];
    let names = [
        header::CLUSTER,
        header::TARGET,
        header::SOURCE,
        header::DECISION_ID,
        "x-session",
        "authorization",
        "content-encoding",
        "content-type",
        "x-other",
    ];
    for name in names {
        for value in values {
            let host = host(PATHS[0], body, &[(name, value)]);
            let mut exchange = Exchange::default();
            if exchange.on_request_headers(&worker, &host, false) == Flow::Pause {
                exchange.on_request_body(&worker, &host, body.len(), true);
            }
            holds(&worker, &host, &exchange);
            assert_eq!(host.request_header(header::TARGET), None, "{name}: {value:?}");
        }
    }
    for path in [&b"\xff/v1/chat/completions"[..], b"", b"/v1/chat/completions\xff?x", b"//"] {
        let host = host("", body, &[(":path", path)]);
        let mut exchange = Exchange::default();
        exchange.on_request_headers(&worker, &host, false);
        exchange.on_request_body(&worker, &host, body.len(), true);
        holds(&worker, &host, &exchange);
    }
}

#[test]
fn trailers_without_a_body_and_answers_without_a_request_change_nothing() {
    let worker = worker();
    let host = host(PATHS[0], b"", &[]);
    let mut exchange = Exchange::default();
    assert_eq!(exchange.on_request_headers(&worker, &host, false), Flow::Pause);
    assert_eq!(exchange.on_request_trailers(&worker, &host), Flow::Continue);
    assert_eq!(exchange.decided().unwrap().decision.reason, Reason::EmptyBody);
    holds(&worker, &host, &exchange);

    let stray = self::host(PATHS[0], b"{}", &[]);
    let mut exchange = Exchange::default();
    stray.set_response_header(":status", Some("200"));
    exchange.on_response_headers(&worker, &stray, false);
    exchange.on_response_body(&worker, &stray, 10, true);
    exchange.on_end(&worker, &stray);
    assert_eq!(stray.response_headers.borrow().len(), 1);
    assert!(stray.samples.borrow().is_empty());
}

#[test]
fn a_request_without_an_answer_is_neither_charged_nor_rewarded() {
    let worker = worker();
    let body = br#"{"messages":[{"role":"user","content":"Hello"}]}"#;
    let host = host(PATHS[0], body, &[]);
    let mut exchange = Exchange::default();
    exchange.on_request_headers(&worker, &host, false);
    exchange.on_request_body(&worker, &host, body.len(), true);
    exchange.on_end(&worker, &host);
    assert!(!host.samples.borrow().iter().any(|it| matches!(it, Sample::Answered { .. })));
    let plane = OfflineHost::new([], Vec::new());
    worker.control_plane.as_ref().unwrap().tick(&plane);
    let calls = plane.calls.borrow();
    assert!(calls.iter().all(|(headers, _)| headers[1].1 != paths::FEEDBACK));
}

#[derive(Clone, Debug)]
enum Callback {
    RequestHeaders(bool),
    RequestBody(usize, bool),
    RequestTrailers,
    ResponseHeaders(u16, bool),
    ResponseBody(Vec<u8>, bool),
    ResponseTrailers,
    End,
}

fn callback() -> impl Strategy<Value = Callback> {
    prop_oneof![
        any::<bool>().prop_map(Callback::RequestHeaders),
        (0..100_usize, any::<bool>()).prop_map(|(size, end)| Callback::RequestBody(size, end)),
        Just(Callback::RequestTrailers),
        (any::<u16>(), any::<bool>()).prop_map(|(s, end)| Callback::ResponseHeaders(s, end)),
        (prop::collection::vec(any::<u8>(), 0..40), any::<bool>())
            .prop_map(|(bytes, end)| Callback::ResponseBody(bytes, end)),
        Just(Callback::ResponseTrailers),
        Just(Callback::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn callbacks_in_any_order_make_at_most_one_decision_per_request(
        callbacks in prop::collection::vec(callback(), 0..12)
    ) {
        let worker = worker();
        let body = br#"{"messages":[{"role":"user","content":"Hello"}]}"#;
        let host = host(PATHS[0], body, &[]);
        let mut exchange = Exchange::default();
        let mut requests = 0;
        for callback in callbacks {
            match callback {
                Callback::RequestHeaders(ended) => {
                    requests += 1;
                    exchange.on_request_headers(&worker, &host, ended);
                }
                Callback::RequestBody(size, ended) => {
                    exchange.on_request_body(&worker, &host, size, ended);
                }
                Callback::RequestTrailers => {
                    exchange.on_request_trailers(&worker, &host);
                }
                Callback::ResponseHeaders(status, ended) => {
                    host.set_response_header(":status", Some(&status.to_string()));
                    exchange.on_response_headers(&worker, &host, ended);
                }
                Callback::ResponseBody(bytes, ended) => {
                    let size = bytes.len();
                    *host.response_body.borrow_mut() = bytes;
                    exchange.on_response_body(&worker, &host, size, ended);
                }
                Callback::ResponseTrailers => exchange.on_response_trailers(),
                Callback::End => exchange.on_end(&worker, &host),
            }
        }
        prop_assert!(decisions(&host) <= requests);
    }
}
