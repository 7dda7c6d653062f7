//! The cases of `tests/cases`, through the filter.

use pointsman_testkit::cases::{self, Case, Expect};
use pointsman_testkit::wasm::plugin::{Exchange, Plugin, Request};

fn request(case: &Case) -> Request {
    let mut request = Request::chat("")
        .with_header(":method", case.method.as_bytes())
        .with_header(":path", case.path.as_bytes());
    request.headers.retain(|(name, _)| name != "content-type");
    request.body = case.body().into_iter().collect();
    for (name, value) in &case.headers {
        request = request.with_header(name, value.as_bytes());
    }
    request
}

/// What became of a request, read from what the filter did to its headers.
fn outcome(exchange: &Exchange) -> Expect {
    let header = |name| exchange.response_header(name).map(str::to_string);
    let decision =
        (header("x-pointsman-target"), header("x-pointsman-source"), header("x-pointsman-reason"));
    match (exchange.request_header("x-pointsman-cluster"), decision) {
        (None, (None, None, None)) if !exchange.recorded("passed").is_empty() => Expect::Passed,
        (Some(cluster), (Some(target), Some(source), Some(reason))) => {
            // Both cluster and target carry the same name in the cases' configurations.
            assert_eq!(cluster, target);
            assert_eq!(exchange.recorded("cluster"), cluster);
            assert_eq!(exchange.recorded("target"), target);
            assert_eq!(exchange.recorded("source"), source);
            assert_eq!(exchange.recorded("reason"), reason);
            Expect::Decision { target, source, reason }
        }
        other => panic!("half a decision: {other:?}"),
    }
}

#[test]
fn the_filter_decides_every_case_as_written() {
    let mut wrong = Vec::new();
    for (file, configuration, case) in cases::all() {
        let mut plugin = Plugin::start(configuration.to_string().as_bytes()).unwrap();
        let found = outcome(&plugin.exchange(&request(&case)).unwrap());
        if found != case.expect {
            wrong.push(format!("{file}: {}: {found:?}, not {:?}", case.name, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn how_a_body_arrives_does_not_change_its_decision() {
    for (file, configuration, case) in cases::all() {
        let mut plugin = Plugin::start(configuration.to_string().as_bytes()).unwrap();
        let whole = request(&case);
        if whole.body.concat().is_empty() {
            continue;
        }
        for size in [1, 7, 64] {
            let chunks = plugin.exchange(&whole.clone().in_chunks(size)).unwrap();
            assert_eq!(outcome(&chunks), case.expect, "{file}: {}: by {size}", case.name);
            let mut with_trailers = whole.clone().in_chunks(size);
            with_trailers.trailers = true;
            let exchange = plugin.exchange(&with_trailers).unwrap();
            assert_eq!(outcome(&exchange), case.expect, "{file}: {}: trailers", case.name);
        }
    }
}
