//! The operator's API: metrics, health, purge, feedback. It has an address of its own, because
//! clients of the model must not be able to empty its cache.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{get, post};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::cached_target::CachedTarget;
use super::metrics::render;

pub(super) type Targets = Arc<Vec<Arc<CachedTarget>>>;

pub(super) fn router(targets: Targets) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .route("/v1/purge", post(purge))
        .route("/v1/feedback", post(feedback))
        .with_state(targets)
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
        return refuse("the body must be {}, {\"target\": NAME}, {\"id\": ID} or both");
    };
    let id = request.id.as_deref().map(|id| u64::from_str_radix(id, 16));
    let Ok(id) = id.transpose() else { return refuse("an ID is 16 hexadecimal digits") };
    let named = |target: &&Arc<CachedTarget>| {
        request.target.as_ref().is_none_or(|name| *name == target.options.name)
    };
    let chosen: Vec<&Arc<CachedTarget>> = targets.iter().filter(named).collect();
    if chosen.is_empty() {
        return refuse("unknown target");
    }
    let mut entries = 0;
    for target in chosen {
        match id {
            Some(id) => entries += u64::from(target.remove(id)),
            None => {
                entries += target.tiers.size().0;
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
        return refuse("the body must be {\"id\": ID, \"reward\": 0 to 1}");
    };
    let suspected = targets.iter().filter(|target| target.feedback(id, given.reward)).count() > 0;
    Response::new(Body::from(json!({"suspected_false_hit": suspected}).to_string()))
}

fn refuse(message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({"error": message}).to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
