//! The cases of `tests/cases`, through the native router: the same decisions as in the filter.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cases;

use cases::Expect;
use pointsman::config::Config;
use pointsman::decision::Decision;
use pointsman::policy::Facts;
use pointsman::router::Router;
use pointsman::scope::{Header, Ours, Scope};

fn decide(router: &Router, ours: Ours, body: &mut Vec<u8>, header: Header) -> Decision {
    match router.read(ours.format, body, false) {
        Ok(prompt) => {
            let facts = Facts { header, policy: ours.policy, ..Facts::default() };
            router.decide_prompt(&prompt, &facts)
        }
        Err(error) => router.fall_back(error.into()),
    }
}

#[test]
fn the_router_decides_every_case_as_written() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, configuration, case) in cases::all() {
        let config = Config::from_json(configuration.to_string().as_bytes()).unwrap();
        let router = Router::new(config).unwrap();
        let header = |name: &str| match name {
            ":method" => Some(case.method.clone().into_bytes()),
            ":path" => Some(case.path.clone().into_bytes()),
            _ => case.headers.get(name).map(|value| value.clone().into_bytes()),
        };
        let mut body = case.body().unwrap_or_default();
        let found = match Scope::of(router.config(), &header, &|_| None, body.is_empty()) {
            Scope::Passes(_) => Expect::Passed,
            Scope::Ours(ours) => {
                let decision = match ours.unreadable {
                    Some(reason) => router.fall_back(reason),
                    None => decide(&router, ours, &mut body, &header),
                };
                Expect::Decision {
                    target: router.target(&decision).unwrap().name.clone(),
                    source: decision.source().name().into(),
                    reason: router.config().reason_name(decision.reason).into(),
                }
            }
        };
        if found != case.expect {
            wrong.push(format!("{file}: {}: {found:?}, not {:?}", case.name, case.expect));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 50, "only {checked} cases");
}
