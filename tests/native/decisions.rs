//! The cases of `tests/cases` through the native exchange: the same decisions as in the filter.

use pointsman_core::config::Config;
use pointsman_core::exchange::{Exchange, Flow, OfflineHost, Worker};
use pointsman_testkit::cases::{self, Expect};

#[test]
fn the_exchange_decides_every_case_as_written() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, configuration, case) in cases::all() {
        let config = Config::from_json(configuration.to_string().as_bytes()).unwrap();
        let worker = Worker::new(config).unwrap();
        let pseudo = [(":method", &case.method), (":path", &case.path)];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.clone().into_bytes()));
        let headers = case.headers.iter().map(|(n, v)| (n.clone(), v.clone().into_bytes()));
        let body = case.body().unwrap_or_default();
        let size = body.len();
        let host = OfflineHost::new(pseudo.into_iter().chain(headers), body);
        let mut exchange = Exchange::default();
        if exchange.on_request_headers(&worker, &host, size == 0) == Flow::Pause {
            assert_eq!(exchange.on_request_body(&worker, &host, size, true), Flow::Continue);
        }
        let found = match exchange.decided() {
            None => Expect::Passed,
            Some(decided) => Expect::Decision {
                target: worker.router.target(&decided.decision).unwrap().name.clone(),
                source: decided.decision.source().name().into(),
                reason: worker.config().reason_name(decided.decision.reason).into(),
            },
        };
        assert_eq!(exchange.passed().is_some(), found == Expect::Passed, "{}", case.name);
        if found != case.expect {
            wrong.push(format!("{file}: {}: {found:?}, not {:?}", case.name, case.expect));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 50, "only {checked} cases");
}
