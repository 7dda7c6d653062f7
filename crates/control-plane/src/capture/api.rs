//! The HTTP interface.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pointsman_core::control_plane::paths;
use pointsman_core::media_type::MediaType;
use serde_json::json;

use super::sink::{Reason, Refusal, Sink};

/// Largest body of a post, in bytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// All routes.
pub fn router(sink: Arc<Sink>) -> Router {
    Router::new()
        .route(paths::CAPTURES, post(take))
        .route_layer(from_fn(guard))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(sink)
}

/// Refuses what a browser may have been made to send by a page of somebody else: a page says where it
/// comes from, also under a name that was rebound to a loopback address, and a form cannot have this
/// content type. Filters have no origin.
async fn guard(request: Request, next: Next) -> Response {
    if request.method() == Method::POST {
        if request.headers().contains_key(ORIGIN) {
            return refuse(StatusCode::FORBIDDEN, "a browser must not post here");
        }
        if !is_json(request.headers()) {
            let why = "the content type must be application/json";
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
        }
    }
    next.run(request).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    MediaType::parse(only.as_bytes()) == MediaType::Json
}

async fn take(State(sink): State<Arc<Sink>>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            sink.count(Reason::TooLarge);
            let message = format!("the body: must be at most {LARGEST_BODY} bytes");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Err(rejection) => return refuse(rejection.status(), "the body: cannot be read"),
    };
    // Parsing and redacting may take a while, and so may the disk.
    match tokio::task::spawn_blocking(move || sink.take(&body)).await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(Refusal { reason, message })) => refuse(reason.status(), &message),
        // It panicked.
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the body: cannot be read"),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": message}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics(State(sink): State<Arc<Sink>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], sink.metrics()).into_response()
}
