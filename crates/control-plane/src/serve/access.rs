//! Who may do what: tokens, and what a browser may be made to send.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pointsman_core::control_plane::paths::NDJSON;
use subtle::{Choice, ConstantTimeEq};

use super::api::Api;
use super::options::Tokens;

/// What the token of a request allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub decide: bool,
    pub reward: bool,
    pub administer: bool,
}

impl Grants {
    /// Those of a request.
    pub fn of(headers: &HeaderMap, tokens: &Tokens) -> Self {
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        let Some(given) = given.strip_prefix(b"Bearer ") else { return Grants::default() };
        // In constant time, so that the time of an answer says nothing about a token.
        let among = |tokens: &[String]| -> bool {
            let equal = |found, token: &String| found | given.ct_eq(token.as_bytes());
            tokens.iter().fold(Choice::from(0), equal).into()
        };
        Grants {
            decide: among(&tokens.decide),
            reward: among(&tokens.reward),
            administer: among(&tokens.administer),
        }
    }

    fn any(self) -> bool {
        self.decide || self.reward || self.administer
    }

    /// Refuses what the token does not allow. Not with 403: a filter drops what is answered so,
    /// because its lines are to blame then.
    pub fn refuse(self, wanted: &str) -> Response {
        let why = match self.any() {
            true => format!("this token may not {wanted}"),
            false => format!("a bearer token that may {wanted} is required"),
        };
        refuse(StatusCode::UNAUTHORIZED, &why)
    }
}

pub fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// Lets through what a browser cannot have been made to send by a page of somebody else: a name that
/// was rebound to a loopback address is not one of ours, a page says where it comes from, and a form
/// cannot have the content types of our posts.
pub async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // Filters ask under the name of their cluster, and have a token, which a page does not.
    if api.is_on_loopback() && !is_loopback(host) && !api.grants(headers).any() {
        let why = "on a loopback address, Host must be one too, or the request have a token";
        return refuse(StatusCode::MISDIRECTED_REQUEST, why);
    }
    if request.method() == Method::POST {
        if headers.get(ORIGIN).is_some_and(|origin| !is_at(origin.as_bytes(), host)) {
            return refuse(StatusCode::FORBIDDEN, "Origin must be the address of this server");
        }
        if has_body(headers) && !is_ours(headers) {
            let why = format!("content-type must be application/json or {NDJSON}");
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why);
        }
    }
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_at(origin: &[u8], host: &str) -> bool {
    let schemes = [&b"http://"[..], b"https://"];
    let authority = schemes.iter().find_map(|scheme| origin.strip_prefix(*scheme));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
}

fn has_body(headers: &HeaderMap) -> bool {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes() != b"0",
        None => headers.contains_key("transfer-encoding"),
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().ok().and_then(|it| it.split(';').next()).unwrap_or_default();
    let ours = ["application/json", NDJSON];
    ours.iter().any(|it| essence.trim().eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn each_token_allows_one_thing() {
        let tokens = Tokens {
            decide: vec!["token-of-the-filters".into()],
            reward: vec!["token-of-the-raters".into(), "another-of-theirs".into()],
            administer: vec!["token-of-the-admins".into()],
        };
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            Grants::of(&headers, &tokens)
        };
        let none = Grants::default();
        assert_eq!(of("Bearer token-of-the-filters"), Grants { decide: true, ..none });
        assert_eq!(of("Bearer token-of-the-raters"), Grants { reward: true, ..none });
        assert_eq!(of("Bearer another-of-theirs"), Grants { reward: true, ..none });
        assert_eq!(of("Bearer token-of-the-admins"), Grants { administer: true, ..none });
        for wrong in ["token-of-the-filters", "Bearer ", "Bearer token-of-the-filter", "Basic x"] {
            assert_eq!(of(wrong), none, "{wrong}");
        }
        assert_eq!(Grants::of(&HeaderMap::new(), &Tokens::default()), none);
    }

    #[test]
    fn names_that_lead_to_loopback_are_told_from_others() {
        for ours in ["localhost", "LOCALHOST:8088", "127.0.0.1:1", "127.9.9.9", "[::1]:8088"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example:8088",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "a b",
            "0.0.0.0:8088",
            "[::2]",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn an_origin_is_ours_or_foreign() {
        assert!(is_at(b"http://127.0.0.1:8088", "127.0.0.1:8088"));
        assert!(is_at(b"https://Plane.example", "plane.example"));
        for foreign in
            ["null", "", "http://evil.example", "http://127.0.0.1:80", "ftp://127.0.0.1:8088"]
        {
            assert!(!is_at(foreign.as_bytes(), "127.0.0.1:8088"), "{foreign}");
        }
    }

    #[test]
    fn a_form_is_none_of_our_content_types() {
        let with = |types: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for it in types {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(it));
            }
            is_ours(&headers)
        };
        assert!(with(&["application/json"]) && with(&["application/x-ndjson"]));
        assert!(with(&["Application/JSON; charset=utf-8"]));
        for foreign in [
            &["text/plain"][..],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=application/json"],
            &["text/plain; application/json"],
            &["application/json", "text/plain"],
            &[],
        ] {
            assert!(!with(foreign), "{foreign:?}");
        }
    }
}
