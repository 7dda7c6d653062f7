//! The paths of the version before, which answer with what to do for as long as this version is the
//! latest: filters of that version may still be there.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use pointsman_core::control_plane::paths::{ALL, PREFIX};
use serde_json::json;

use super::api::Api;
use super::status::Topic;

/// Routes for all of them.
pub fn routes() -> Router<Api> {
    let old = ALL.iter().filter_map(|path| path.strip_prefix(PREFIX));
    old.fold(Router::new(), |router, path| router.route(path, any(gone)))
}

async fn gone(State(api): State<Api>, uri: Uri) -> Response {
    let path = uri.path();
    let version = env!("CARGO_PKG_VERSION");
    let hint = format!(
        "replace filters of the version before by those of this version, {version}, and let \
         everything else ask for {PREFIX}/v1/…"
    );
    // The same words for every path: it is said once.
    api.warn(Topic::OldPaths, format!("somebody asks for paths of the version before: {hint}"));
    let error = format!("{path} has moved to {PREFIX}{path}");
    let body = json!({"error": error, "hint": hint}).to_string();
    (StatusCode::GONE, [(CONTENT_TYPE, "application/json")], body).into_response()
}
