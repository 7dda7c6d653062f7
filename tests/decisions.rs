//! The cases of `tests/cases`, through the native router: the same decisions as in the filter.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cases;

use cases::Expect;
use pointsman::config::Config;
use pointsman::prompt::ApiFormat;
use pointsman::router::Router;

#[test]
fn the_router_decides_every_case_as_written() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, configuration, case) in cases::all() {
        // Method and headers are the filter's business.
        let Some(format) = ApiFormat::of_path(case.path.as_bytes()) else { continue };
        if case.method != cases::post() || case.headers != cases::json() {
            continue;
        }
        let config = Config::from_json(configuration.to_string().as_bytes()).unwrap();
        let router = Router::new(config).unwrap();
        let mut body = case.body().unwrap_or_default();
        let decision = router.decide(format, &mut body, false);
        let found = Expect::Decision {
            target: router.target(&decision).unwrap().name.clone(),
            source: decision.source().name().into(),
            reason: router.config().reason_name(decision.reason).into(),
        };
        if found != case.expect {
            wrong.push(format!("{file}: {}: {found:?}, not {:?}", case.name, case.expect));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 30, "only {checked} cases are about the body");
}
