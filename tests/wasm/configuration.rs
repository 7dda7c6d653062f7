//! A configuration is accepted whole or refused with every reason.

use pointsman_testkit::wasm::plugin::{Plugin, Request};

const GOOD: &str = r#"{"targets":[{"name":"cheap","cluster":"cheap"},
    {"name":"strong","cluster":"strong"}],"default":"strong"}"#;

/// The log of a refused configuration.
fn refused(configuration: &str) -> String {
    match Plugin::start(configuration.as_bytes()) {
        Ok(_) => panic!("accepted: {configuration}"),
        Err(failure) => {
            assert_eq!(failure.what, "proxy_on_configure returned false", "{failure:?}");
            failure.log.join("\n")
        }
    }
}

#[test]
fn the_smallest_configuration_is_accepted() {
    let mut plugin = Plugin::start(GOOD.as_bytes()).unwrap();
    let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    assert!(plugin.exchange(&Request::chat(body)).unwrap().record.is_some());
}

#[test]
fn what_is_no_configuration_is_refused() {
    for configuration in ["", "{", "[]", "null", "{}", "\u{0}", r#"{"targets":[]}"#] {
        let log = refused(configuration);
        assert!(log.contains("error: "), "{configuration:?}: no reason: {log}");
        assert!(!log.contains("panicked"), "{configuration:?}: {log}");
    }
}

#[test]
fn every_mistake_is_named_at_once() {
    let log = refused(
        r#"{"targets":[{"name":"cheap","cluster":"cheap","threshold":1.5,"colour":"red"},
            {"name":"cheap","cluster":""}],"default":"elsewhere","body":{"max_bytes":0}}"#,
    );
    for part in ["threshold", "1.5", "colour", "cluster", "elsewhere", "max_bytes"] {
        assert!(log.contains(part), "{part} is not named in: {log}");
    }
}
