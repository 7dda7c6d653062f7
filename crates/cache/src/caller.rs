//! Who asks, and which headers an answer may hang on.
//!
//! Gateways and providers tell callers apart by headers that nobody can list. So those are listed
//! that are known to be harmless, and every other one is part of the key.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::cached_target::TargetOptions;
use super::key::{Digest128, NoCacheReason, hash_part};

/// Headers that name who asks.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Headers that neither tell callers apart nor change an answer: about the connection and the body,
/// which are read before; about the way of the request; and what SDKs, agents and gateways number
/// requests, sessions and traces with.
const HARMLESS: [&str; 60] = [
    "accept-encoding",
    "b3",
    "baggage",
    "cache-control",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "conversation_id",
    "date",
    "expect",
    "forwarded",
    // The upstream gets its own.
    "host",
    "idempotency-key",
    "keep-alive",
    "pragma",
    "proxy-connection",
    "request-id",
    "sentry-trace",
    "session-id",
    "session_id",
    "te",
    "thread-id",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "user-agent",
    "via",
    "x-affinity",
    "x-amzn-trace-id",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-claude-code-session-id",
    "x-client-request-id",
    "x-cloud-trace-context",
    "x-codex-turn-metadata",
    "x-codex-window-id",
    "x-conversation-id",
    "x-correlation-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-trace-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-ot-span-context",
    "x-real-ip",
    "x-request-id",
    "x-request-start",
    "x-session-affinity",
    "x-session-id",
    "x-trace-id",
];
/// The same, by how they begin: Envoy's, this project's, and what SDKs say of their platform.
const HARMLESS_PREFIXES: [&str; 3] = ["x-envoy-", "x-pointsman-", "x-stainless-"];

/// The part of a request's key that is in its headers.
pub(super) struct Caller {
    /// The value of the trusted header, or a hash of every credential.
    pub(super) tenant: Digest128,
    /// Every other header that is not known to be harmless, as lines in a fixed order.
    pub(super) headers: Vec<u8>,
}

/// Reads who asks.
///
/// # Errors
///
/// When nobody can be told, and anonymous callers may not share answers.
pub(super) fn caller(
    options: &TargetOptions,
    headers: &HeaderMap,
) -> Result<Caller, NoCacheReason> {
    let mut hash = Sha256::new();
    let mut known = false;
    let mut add = |name: &str, value: &HeaderValue| {
        hash_part(&mut hash, name.as_bytes());
        hash_part(&mut hash, value.as_bytes());
        known |= !value.is_empty();
    };
    if let Some(name) = &options.tenant_header {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => add(name.as_str(), value),
            // One of them is the trusted proxy's, and one is not.
            (Some(_), Some(_)) => return Err(NoCacheReason::Ambiguous),
            _ => return Err(NoCacheReason::NoTenant),
        }
    } else {
        for name in CREDENTIALS {
            headers.get_all(name).iter().for_each(|value| add(name, value));
        }
    }
    if !known && !options.anonymous {
        return Err(NoCacheReason::Anonymous);
    }
    let mut lines: Vec<Vec<u8>> = headers
        .iter()
        .filter(|(name, _)| is_in_key(options, name))
        .map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat())
        .collect();
    lines.sort_unstable();
    Ok(Caller { tenant: Digest128::of(hash), headers: lines.concat() })
}

/// Whether a header is part of the key by itself, and not of the tenant.
fn is_in_key(options: &TargetOptions, name: &HeaderName) -> bool {
    let text = name.as_str();
    let harmless = HARMLESS.binary_search(&text).is_ok()
        || HARMLESS_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || options.ignored_headers.contains(name);
    !harmless && !CREDENTIALS.contains(&text) && options.tenant_header.as_ref() != Some(name)
}

/// Whether requests with one key have all in common that an answer says it varies by (RFC 9110,
/// 12.5.5).
pub(super) fn is_varied_by_key(options: &TargetOptions, answer: &HeaderMap) -> bool {
    let covers = |name: &str| {
        let Ok(name) = name.parse::<HeaderName>() else { return false };
        let text = name.as_str();
        let tenant = match &options.tenant_header {
            Some(header) => *header == name,
            None => CREDENTIALS.contains(&text),
        };
        // Of these the upstream always gets the same.
        let fixed = [header::ACCEPT_ENCODING, header::HOST].contains(&name);
        text != "*" && (fixed || tenant || is_in_key(options, &name))
    };
    answer.get_all(header::VARY).iter().all(|value| {
        let names = value.to_str().map(|value| value.split(',').map(str::trim));
        names.is_ok_and(|mut names| names.all(|name| name.is_empty() || covers(name)))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::Limits;

    fn options() -> TargetOptions {
        TargetOptions {
            name: "cheap".into(),
            upstream: "http://127.0.0.1:9".into(),
            semantic: true,
            limits: Limits::default(),
            ttl: Duration::from_secs(60),
            max_bytes: 1 << 20,
            max_body_bytes: 1 << 20,
            max_answer_bytes: 1 << 20,
            tenant_header: None,
            anonymous: false,
            ignored_headers: Vec::new(),
            store: None,
            index: None,
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    /// What a request with a key and these headers is looked up by.
    fn key(options: &TargetOptions, pairs: &[(&str, &str)]) -> (Digest128, Vec<u8>) {
        let all = [pairs, &[("authorization", "Bearer k")]].concat();
        let caller = caller(options, &headers(&all)).unwrap();
        (caller.tenant, caller.headers)
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(HARMLESS.is_sorted());
    }

    #[test]
    fn every_header_that_is_not_known_to_be_harmless_tells_callers_apart() {
        let options = options();
        let plain = key(&options, &[]);
        for name in [
            "cookie",
            "ocp-apim-subscription-key",
            "x-auth-token",
            "x-litellm-api-key",
            "x-portkey-api-key",
            "x-portkey-config",
            "cf-access-jwt-assertion",
            "x-forwarded-client-cert",
            "x-forwarded-user",
            "x-amz-security-token",
            "proxy-authorization",
            "accept-language",
            "accept",
            "openai-organization",
            "anthropic-beta",
            "x-api-key",
            "x-tenant",
            "origin",
        ] {
            let (one, other) = (key(&options, &[(name, "1")]), key(&options, &[(name, "2")]));
            assert!(one != other && one != plain, "{name}");
            let both = key(&options, &[(name, "1"), (name, "2")]);
            assert!(both != one && both != other, "{name}: all values count");
        }
        for name in [
            "user-agent",
            "x-request-id",
            "traceparent",
            "x-stainless-retry-count",
            "x-envoy-attempt-count",
            "x-pointsman-target",
            "idempotency-key",
            "x-claude-code-session-id",
        ] {
            assert_eq!(key(&options, &[(name, "1")]), plain, "{name}");
        }
    }

    #[test]
    fn nobody_in_particular_is_not_looked_up_unless_that_is_wanted() {
        let refused = |options: &TargetOptions, pairs: &[(&str, &str)]| {
            caller(options, &headers(pairs)).err()
        };
        let anonymous = Some(NoCacheReason::Anonymous);
        assert_eq!(refused(&options(), &[]), anonymous);
        assert_eq!(refused(&options(), &[("cookie", "session=a")]), anonymous);
        assert_eq!(refused(&options(), &[("authorization", "")]), anonymous);
        assert_eq!(refused(&options(), &[("x-goog-api-key", "k")]), None);
        let open = TargetOptions { anonymous: true, ..options() };
        assert_eq!(refused(&open, &[]), None);
        let named = HeaderName::from_static("x-tenant");
        for anonymous in [false, true] {
            let tenants =
                TargetOptions { tenant_header: Some(named.clone()), anonymous, ..options() };
            assert_eq!(refused(&tenants, &[("x-tenant", "a")]), None);
            let none = Some(NoCacheReason::NoTenant);
            assert_eq!(refused(&tenants, &[("authorization", "Bearer k")]), none);
            assert_eq!(refused(&tenants, &[("x-tenant", "")]), none);
            let two = [("x-tenant", "a"), ("x-tenant", "b")];
            assert_eq!(refused(&tenants, &two), Some(NoCacheReason::Ambiguous));
        }
    }

    #[test]
    fn what_the_operator_calls_harmless_is() {
        let ignored = vec![HeaderName::from_static("x-edge")];
        let options = TargetOptions { ignored_headers: ignored, ..options() };
        assert_eq!(key(&options, &[("x-edge", "1")]), key(&options, &[]));
    }

    #[test]
    fn an_answer_may_vary_by_what_is_in_the_key_only() {
        let varies = |options: &TargetOptions, value: &str| {
            is_varied_by_key(options, &headers(&[("vary", value)]))
        };
        for value in ["", "Accept-Encoding", "Origin, accept-encoding", "Authorization", "Cookie"] {
            assert!(varies(&options(), value), "{value}");
        }
        for value in ["*", "Cookie, *", "User-Agent", "x-request-id", "a b"] {
            assert!(!varies(&options(), value), "{value}");
        }
        let tenants =
            TargetOptions { tenant_header: Some(HeaderName::from_static("x-tenant")), ..options() };
        assert!(varies(&tenants, "X-Tenant, Cookie") && !varies(&tenants, "Authorization"));
        assert!(is_varied_by_key(&options(), &HeaderMap::new()));
    }
}
