//! Who asks, as far as headers show: one number for whatever a caller proves itself with.
//!
//! What is remembered of conversations, of state and of questions is remembered per caller: names
//! that a client gives are unique among its own at best.

use crate::features::hash64;

/// What a request's headers say of who asks, and in which session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The same for all requests of a caller; 0 for callers that show nothing.
    pub caller: u64,
    /// What names the session, as a hash.
    pub session: Option<u64>,
}

/// Where a configuration looks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityHeaders<'h> {
    /// The header that a gateway in front names the caller in; where it is there, it alone counts.
    pub tenant: Option<&'h str>,
    /// Headers that name a session; the first that is there counts.
    pub session: &'h [String],
}

/// Headers by which somebody could say who they are: those of providers, proxies and browsers.
pub const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

/// Headers with which gateways take keys, and in which proxies in front say who asks.
pub const GATEWAY_CREDENTIALS: [&str; 18] = [
    "apikey",
    "ocp-apim-subscription-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-litellm-api-key",
    "x-portkey-api-key",
    "x-portkey-virtual-key",
    "helicone-auth",
    "cf-aig-authorization",
    "cf-access-jwt-assertion",
    "x-goog-iap-jwt-assertion",
    "x-amzn-oidc-data",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-auth-request-email",
];

/// Headers that are no secret, and tell callers apart. A caller that proves itself otherwise is told
/// apart by the tenant's header.
const ACCOUNTS: [&str; 6] = [
    "x-goog-user-project",
    "openai-organization",
    "openai-project",
    "x-portkey-config",
    "x-auth-request-user",
    "x-tenant-id",
];

impl Identity {
    /// Of a request whose headers this gives by their lower-case names, with all their values.
    pub fn of(header: &dyn Fn(&str) -> Option<Vec<u8>>, look: IdentityHeaders) -> Self {
        let shown = |name: &str| header(name).filter(|value| !value.trim_ascii().is_empty());
        let mix = |caller: u64, name: &str, value: &[u8]| {
            hash64(&[&caller.to_le_bytes(), name.as_bytes(), value])
        };
        let tenant = look.tenant.and_then(|name| Some((name, shown(name)?)));
        let caller = match tenant {
            Some((name, value)) => mix(0, name, &value),
            None => {
                let headers = CREDENTIALS.into_iter().chain(GATEWAY_CREDENTIALS).chain(ACCOUNTS);
                headers.fold(0, |caller, name| {
                    shown(name).map_or(caller, |value| mix(caller, name, &value))
                })
            }
        };
        let session = look.session.iter().find_map(|name| {
            Some(hash64(&[b"header", name.as_bytes(), shown(name)?.trim_ascii()]))
        });
        Identity { caller, session }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], look: IdentityHeaders) -> Identity {
        let header = |wanted: &str| {
            let values = headers.iter().filter(|(name, _)| *name == wanted);
            let values: Vec<&str> = values.map(|(_, value)| *value).collect();
            (!values.is_empty()).then(|| values.join(",").into_bytes())
        };
        Identity::of(&header, look)
    }

    fn caller(headers: &[(&str, &str)]) -> u64 {
        of(headers, IdentityHeaders::default()).caller
    }

    #[test]
    fn whatever_a_caller_proves_itself_with_tells_it_from_others() {
        for name in [
            "authorization",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "cookie",
            "ocp-apim-subscription-key",
            "x-auth-token",
            "x-litellm-api-key",
            "x-portkey-config",
            "cf-access-jwt-assertion",
            "x-forwarded-client-cert",
            "x-forwarded-user",
            "x-amz-security-token",
            "proxy-authorization",
            "openai-organization",
            "openai-project",
        ] {
            assert_ne!(caller(&[(name, "a")]), caller(&[(name, "b")]), "{name}");
            assert_ne!(caller(&[(name, "a")]), caller(&[]), "{name}");
            let with = |value| caller(&[("authorization", "Bearer s"), (name, value)]);
            assert_ne!(with("a"), with("b"), "{name}, next to another credential");
        }
    }

    #[test]
    fn all_values_count_and_what_is_no_credential_does_not() {
        let two = |a, b| caller(&[("x-api-key", a), ("accept", "x"), ("x-api-key", b)]);
        assert_ne!(two("a", "b"), two("a", "c"));
        assert_ne!(two("a", "b"), two("b", "a"), "which one counts is the provider's to say");
        let ordered = [("x-api-key", "a"), ("authorization", "b")];
        let reversed = [("authorization", "b"), ("x-api-key", "a")];
        assert_eq!(caller(&ordered), caller(&reversed));
        assert_ne!(caller(&ordered), caller(&[("x-api-key", "b"), ("authorization", "a")]));
        let noise = [("authorization", "k"), ("user-agent", "x"), ("x-request-id", "7")];
        assert_eq!(caller(&noise), caller(&[("authorization", "k")]));
    }

    #[test]
    fn a_gateways_word_for_the_tenant_replaces_the_credentials() {
        let look = IdentityHeaders { tenant: Some("x-tenant"), ..IdentityHeaders::default() };
        let tenant = |tenant, key| of(&[("x-tenant", tenant), ("authorization", key)], look).caller;
        assert_eq!(tenant("t", "key-1"), tenant("t", "key-2"));
        assert_ne!(tenant("t", "key"), tenant("u", "key"));
        let without = |key| of(&[("authorization", key)], look).caller;
        assert_ne!(without("a"), without("b"), "without it, the credentials count");
        assert_ne!(tenant("", "a"), tenant("", "b"));
    }

    #[test]
    fn the_first_header_that_names_a_session_counts() {
        let session = ["x-own".to_owned(), "session-id".to_owned()];
        let look = IdentityHeaders { session: &session, ..IdentityHeaders::default() };
        let of = |headers: &[(&str, &str)]| of(headers, look).session;
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("session-id", " ")]), None);
        let own = of(&[("session-id", "a"), ("x-own", "b")]);
        assert_eq!(own, of(&[("x-own", "b")]));
        assert_ne!(of(&[("session-id", "b")]), own, "names of two kinds are not the same");
    }
}
