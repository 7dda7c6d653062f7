//! Who may ask, and how often: `jwt_authn`, `local_ratelimit`, `ratelimit`.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Chain, EASY, HARD, assert_refused_behind, assert_refused_unseen, assert_whole, chained, filter,
    short_body,
};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage};
use pointsman_testkit::client::{self, Protocol};

pub const CASES: &[Case] = &[
    ("behind_jwt_authn_only_who_is_known_is_decided_on", known),
    ("in_front_of_jwt_authn_who_is_unknown_is_decided_on_for_nothing", unknown),
    ("behind_a_rate_limit_what_is_above_it_is_not_decided_on", limited),
    ("a_rate_limit_behind_can_be_one_of_a_target", target_limited),
];

/// Signed with the key below (HS256): issuer `gateway`, subject `tenant-7`, without an end.
const TOKEN: &str = "Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6InRlc3QiLCJ0eXAiOiJKV1QifQ.\
                     eyJpc3MiOiJnYXRld2F5Iiwic3ViIjoidGVuYW50LTcifQ.\
                     _GD-K22giN-RdDMXgmfgK4UO6sOwhClNCHnb8ry0YWg";
const KEYS: &str = r#"{"keys": [{"kty": "oct", "alg": "HS256", "kid": "test",
    "k": "YS1zZWNyZXQtdGhhdC1vbmx5LXRlc3RzLWhhdmUtMzI"}]}"#;

/// Requests that a local limit lets pass.
const ALLOWED: usize = 2;

pub(super) fn chains() -> Vec<Chain> {
    let jwt = filter(
        "envoy.filters.http.jwt_authn",
        "filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"gateway": {
                "issuer": "gateway",
                "local_jwks": {"inline_string": KEYS},
                "claim_to_headers": [{"header_name": "x-tenant", "claim_name": "sub"}],
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "gateway"}}],
        }),
    );
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let local = filter(
        "envoy.filters.http.local_ratelimit",
        "filters.http.local_ratelimit.v3.LocalRateLimit",
        json!({
            "stat_prefix": "chain",
            "token_bucket": {
                "max_tokens": ALLOWED, "tokens_per_fill": ALLOWED, "fill_interval": "3600s"},
            "filter_enabled": always,
            "filter_enforced": always,
        }),
    );
    let global = filter(
        "envoy.filters.http.ratelimit",
        "filters.http.ratelimit.v3.RateLimit",
        json!({
            "domain": "chains",
            "timeout": "5s",
            "failure_mode_deny": true,
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": "grpc"}},
                "transport_api_version": "V3",
            },
        }),
    );
    let before = |name, it: &Value| Chain { name, before: vec![it.clone()], ..Chain::default() };
    let behind = |name, it: &Value| Chain { name, behind: vec![it.clone()], ..Chain::default() };
    vec![
        before("jwt-before", &jwt),
        behind("jwt-behind", &jwt),
        before("local-before", &local),
        behind("local-behind", &local),
        before("global-before", &global),
        behind("global-behind", &global),
    ]
}

/// What the service for global limits is told of a request: its tenant, and its target, if there is
/// one already.
pub(super) fn rate_limits() -> Value {
    let header = |name: &str, key: &str| json!({"actions": [{"request_headers": {"header_name": name, "descriptor_key": key}}]});
    json!([header("x-tenant", "tenant"), header("x-pointsman-cluster", "target")])
}

fn known(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    assert_refused_unseen(stage, "jwt-before", 401, &[])?;
    assert_refused_unseen(stage, "jwt-before", 401, &[("authorization", "Bearer e30.e30.e30")])?;
    let body = short_body(EASY)?;
    for protocol in PROTOCOLS {
        let content = (client::whole(body.clone()), &body[..]);
        // Who is known cannot say to be another.
        let headers = [("authorization", TOKEN), ("x-tenant", "tenant-8")];
        let (_, _, record) = assert_whole(stage, "jwt-before", protocol, content, &headers)?;
        let tenants: Vec<_> = record.headers.get_all("x-tenant").iter().collect();
        assert_eq!(tenants, ["tenant-7"]);
        assert!(!record.headers.contains_key("authorization"), "the token stays here");
    }
    Ok(())
}

fn unknown(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    assert_refused_behind(stage, "jwt-behind", (401, EASY), &[])?;
    let body = short_body(EASY)?;
    let content = (client::whole(body.clone()), &body[..]);
    let headers = [("authorization", TOKEN)];
    assert_whole(stage, "jwt-behind", Protocol::Http1, content, &headers).map(drop)
}

fn limited(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let body = short_body(EASY)?;
    let pass = |chain: &str, protocol, headers: &[(&str, &str)]| {
        let content = (client::whole(body.clone()), &body[..]);
        assert_whole(stage, chain, protocol, content, headers).map(drop)
    };
    for chain in ["local-before", "local-behind"] {
        for protocol in PROTOCOLS.iter().cycle().take(ALLOWED) {
            pass(chain, *protocol, &[])?;
        }
    }
    assert_refused_unseen(stage, "local-before", 429, &[])?;
    assert_refused_behind(stage, "local-behind", (429, EASY), &[])?;
    for protocol in PROTOCOLS {
        pass("global-before", protocol, &[("x-tenant", "modest")])?;
    }
    assert_refused_unseen(stage, "global-before", 429, &[("x-tenant", "greedy")])
}

fn target_limited(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let body = short_body(EASY)?;
    for protocol in PROTOCOLS {
        let content = (client::whole(body.clone()), &body[..]);
        let (_, cluster, _) = assert_whole(stage, "global-behind", protocol, content, &[])?;
        assert_eq!(cluster, "cheap");
    }
    // The service refuses what is for the strong target.
    assert_refused_behind(stage, "global-behind", (429, HARD), &[])
}
