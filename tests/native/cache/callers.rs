//! Who shares answers with whom, and who can operate a cache.

use anyhow::Result;
use http::Request;
use serde_json::json;

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::Model;
use pointsman_testkit::program;
use pointsman_testkit::proxy::{Proxy, chat, outcome};

const QUESTION: &str = "How can I learn to play the guitar?";

/// A cache that does not answer callers whom it cannot tell apart.
fn strict(model: &Model, more: &[&str]) -> Result<Proxy> {
    Proxy::run(&program()?, &[], model.address, "cheap", more)
}

fn bypasses(proxy: &Proxy, reason: &str) -> Result<u64> {
    proxy.metric(&format!("pointsman_cache_bypasses_total{{target=\"cheap\",reason=\"{reason}\"}}"))
}

#[test]
fn callers_without_credentials_share_nothing_unless_that_is_wanted() -> Result<()> {
    let model = Model::start()?;
    let proxy = strict(&model, &[])?;
    let unknown = [("x-litellm-api-key", "k"), ("cookie", "session=a")];
    for headers in [&[][..], &unknown[..1], &unknown[1..], &[("authorization", "")]] {
        for _ in 0..2 {
            assert_eq!(outcome(&proxy.post(&chat(QUESTION), headers)?), "bypass", "{headers:?}");
        }
    }
    assert_eq!(bypasses(&proxy, "anonymous")?, 8);
    let ask = |more: &[(&str, &str)]| {
        let headers = [&[("authorization", "Bearer k")][..], more].concat();
        proxy.post(&chat(QUESTION), &headers).map(|response| outcome(&response).to_owned())
    };
    assert_eq!(ask(&[])?, "miss");
    assert_eq!(ask(&[])?, "hit-exact");
    assert_eq!(ask(&[("x-request-id", "1"), ("traceparent", "00-1-1-00")])?, "hit-exact");
    for header in ["cookie", "x-auth-token", "x-forwarded-user", "accept-language"] {
        assert_eq!(ask(&[(header, "a")])?, "miss", "{header}");
        assert_eq!(ask(&[(header, "a")])?, "hit-exact", "{header}");
        assert_eq!(ask(&[(header, "b")])?, "miss", "{header}");
    }
    Ok(())
}

#[test]
fn a_credential_that_goes_no_further_opens_nothing() -> Result<()> {
    let model = Model::start()?;
    let proxy = strict(&model, &[])?;
    let key = ("authorization", "Bearer k");
    assert_eq!(outcome(&proxy.post(&chat(QUESTION), &[key])?), "miss");
    let nominated = proxy.post(&chat(QUESTION), &[key, ("connection", "authorization")])?;
    assert_eq!((nominated.status, outcome(&nominated)), (200, "bypass"));
    Ok(())
}

#[test]
fn two_values_of_what_decides_are_not_decided_on() -> Result<()> {
    let model = Model::start()?;
    let proxy = strict(&model, &["--tenant-header", "x-tenant"])?;
    let ask = |headers: &[(&str, &str)]| {
        proxy.post(&chat(QUESTION), headers).map(|response| outcome(&response).to_owned())
    };
    let tenant = ("x-tenant", "a");
    assert_eq!(ask(&[tenant])?, "miss");
    assert_eq!(ask(&[tenant, ("x-tenant", "b")])?, "bypass");
    assert_eq!(ask(&[tenant, ("content-type", "text/plain")])?, "bypass", "the second one of two");
    assert_eq!(bypasses(&proxy, "ambiguous")?, 2);
    let encoded = [tenant, ("content-encoding", "identity"), ("content-encoding", "gzip")];
    assert_eq!(ask(&encoded)?, "bypass");
    let wish = "x-pointsman-cache";
    assert_eq!(ask(&[tenant, (wish, "on"), (wish, "bypass")])?, "bypass");
    assert_eq!(ask(&[tenant])?, "hit-exact");
    Ok(())
}

#[test]
fn a_page_in_a_browser_cannot_operate_the_cache() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    proxy.ask(QUESTION)?;
    let send = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/pointsman/v1/purge");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(client::whole(json!({}).to_string()))?;
        anyhow::Ok(client::exchange(proxy.admin, Protocol::Http1, request)?.status)
    };
    let json = ("content-type", "application/json");
    assert_eq!(send(&[("content-type", "text/plain")])?, 415);
    assert_eq!(send(&[])?, 415);
    assert_eq!(send(&[json, ("origin", "http://evil.example")])?, 403);
    assert_eq!(send(&[json, ("host", "evil.example")])?, 403);
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "hit-exact", "nothing was purged");
    assert_eq!(send(&[json])?, 200);
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    Ok(())
}
