//! The operator's API: metrics, health, purge, feedback. It has an address of its own, because
//! clients of the model must not be able to empty its cache.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::routing::{any, get, post};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::cached_target::CachedTarget;
use super::metrics::render;
use pointsman_core::control_plane::paths;
use pointsman_core::media_type::MediaType;

pub(super) type Targets = Arc<Vec<Arc<CachedTarget>>>;

/// `loopback`: whether it is served to this machine alone.
pub(super) fn router(targets: Targets, loopback: bool) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .route(paths::PURGE, post(purge))
        .route(paths::FEEDBACK, post(feedback))
        // Of the version before.
        .route("/v1/purge", any(moved))
        .route("/v1/feedback", any(moved))
        .with_state(targets)
        .layer(from_fn(move |request: Request, next: Next| async move {
            match refusal(loopback, request.method(), request.headers()) {
                Some((status, message)) => refuse(status, message),
                None => next.run(request).await,
            }
        }))
}

/// Why a request is refused that a page in a browser of this network may have sent: no page can set
/// this type or another origin without asking first, and a name that a page gave to a loopback
/// address (DNS rebinding) is not this machine's.
fn refusal(
    loopback: bool,
    method: &Method,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let hosts = || headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    if loopback && !hosts().all(is_this_machine) {
        return Some((StatusCode::FORBIDDEN, "the host must be localhost or a loopback address"));
    }
    if *method == Method::GET || *method == Method::HEAD {
        return None;
    }
    let own = |origin: &str| hosts().any(|host| origin.split("://").nth(1) == Some(host));
    let mut origins = headers.get_all(ORIGIN).iter();
    if !origins.all(|origin| origin.to_str().is_ok_and(own)) {
        return Some((StatusCode::FORBIDDEN, "the origin is another"));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let json = types.next().is_some_and(|it| MediaType::parse(it.as_bytes()) == MediaType::Json);
    let message = "the content type must be application/json";
    (!json || types.next().is_some()).then_some((StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Whether a host, with or without a port, is this machine by any name.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

async fn metrics(State(targets): State<Targets>) -> String {
    let rows: Vec<_> = targets
        .iter()
        .map(|target| (&*target.options.name, &*target.metrics, target.tiers.size()))
        .collect();
    render(&rows)
}

/// `{}` empties every cache, `{"target": "cheap"}` one, and `{"id": "…"}` drops one entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    target: Option<String>,
    id: Option<String>,
}

async fn purge(State(targets): State<Targets>, body: Bytes) -> Response<Body> {
    let Ok(request) = serde_json::from_slice::<Purge>(&body) else {
        let message = "the body must be {}, {\"target\": NAME}, {\"id\": ID} or both";
        return refuse(StatusCode::BAD_REQUEST, message);
    };
    let id = request.id.as_deref().map(|id| u64::from_str_radix(id, 16));
    let Ok(id) = id.transpose() else {
        return refuse(StatusCode::BAD_REQUEST, "an ID is 16 hexadecimal digits");
    };
    let named = |target: &&Arc<CachedTarget>| {
        request.target.as_ref().is_none_or(|name| *name == target.options.name)
    };
    let chosen: Vec<&Arc<CachedTarget>> = targets.iter().filter(named).collect();
    if chosen.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "unknown target");
    }
    let mut entries = 0;
    for target in chosen {
        match id {
            Some(id) => entries += u64::from(target.remove(id)),
            None => {
                entries += target.tiers.size().entries;
                target.purge();
            }
        }
    }
    Response::new(Body::from(json!({"purged": entries}).to_string()))
}

/// `{"id": "…", "reward": 0.2}`: how good an answer with this `x-pointsman-cache-id` was, 0 to 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    id: String,
    reward: f64,
}

async fn feedback(State(targets): State<Targets>, body: Bytes) -> Response<Body> {
    let given = serde_json::from_slice::<Feedback>(&body).ok();
    let given = given.filter(|given| (0.0..=1.0).contains(&given.reward));
    let id = given.as_ref().and_then(|given| u64::from_str_radix(&given.id, 16).ok());
    let (Some(given), Some(id)) = (given, id) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the body must be {\"id\": ID, \"reward\": 0 to 1}",
        );
    };
    let suspected = targets.iter().filter(|target| target.feedback(id, given.reward)).count() > 0;
    Response::new(Body::from(json!({"suspected_false_hit": suspected}).to_string()))
}

async fn moved(uri: Uri) -> Response<Body> {
    let (path, prefix) = (uri.path(), paths::PREFIX);
    let hint =
        format!("ask for {prefix}{path}, and replace `pointsman serve` of the version before");
    let body = json!({"error": format!("{path} has moved to {prefix}{path}"), "hint": hint});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::GONE;
    response
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({"error": message}).to_string()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_foreign_page_can_send_is_refused() {
        let check = |loopback: bool, method: Method, pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            refusal(loopback, &method, &headers).map(|(status, _)| status.as_u16())
        };
        let json = ("content-type", "application/json; charset=utf-8");
        for host in ["localhost:9100", "LOCALHOST", "127.0.0.1:9100", "127.1.2.3", "[::1]:9100"] {
            assert_eq!(check(true, Method::POST, &[("host", host), json]), None, "{host}");
            assert_eq!(check(true, Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example:9100", "localhost.evil.example", "10.0.0.1", "[::2]", ""] {
            for method in [Method::GET, Method::POST] {
                let found = check(true, method, &[("host", host), json]);
                assert_eq!(found, Some(403), "{host}");
            }
            assert_eq!(check(false, Method::GET, &[("host", host)]), None, "{host}");
        }
        let host = ("host", "cache:9100");
        for (pairs, expected) in [
            (&[host, json][..], None),
            (&[host, json, ("origin", "http://cache:9100")], None),
            (&[host, json, ("origin", "http://evil.example")], Some(403)),
            (&[host, json, ("origin", "http://cache")], Some(403)),
            (&[host, json, ("origin", "null")], Some(403)),
            (&[host], Some(415)),
            (&[host, ("content-type", "text/plain")], Some(415)),
            (&[host, json, ("content-type", "text/plain")], Some(415)),
        ] {
            assert_eq!(check(false, Method::POST, pairs), expected, "{pairs:?}");
        }
    }
}
