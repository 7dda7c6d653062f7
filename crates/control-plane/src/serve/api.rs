//! The HTTP interface.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::access::{Grants, guard, refuse};
use super::journal::{Counts, Handle, Job, Post};
use super::learning::{Command, Learner};
use super::line::{self, BadAnswer, Reject, Stored};
use super::moved;
use super::options::{Options, Tokens};
use super::rules::Rules;
use super::status::{Shared, Topic};
use pointsman_core::control_plane::{Signer, paths};

/// Largest body of a post, in bytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    signer: Signer,
    tokens: Tokens,
    rules: Rules,
    /// Whether only this machine can reach it.
    loopback: bool,
    shared: Arc<Shared>,
    writer: Handle,
    learner: Learner,
    rate: Mutex<Rate>,
}

impl Api {
    /// Handlers over the running threads.
    pub fn new(
        options: &Options,
        signer: Signer,
        shared: Arc<Shared>,
        writer: Handle,
        learner: Learner,
    ) -> Self {
        let inner = Inner {
            signer,
            tokens: options.tokens.clone(),
            rules: Rules::new(&options.learners),
            loopback: options.listen.ip().is_loopback(),
            shared,
            writer,
            learner,
            rate: Mutex::new(Rate::new(f64::from(options.rate))),
        };
        Api { inner: Arc::new(inner) }
    }

    /// All routes.
    pub fn router(self) -> Router {
        Router::new()
            .route(paths::DECISIONS, post(decisions))
            .route(paths::FEEDBACK, post(feedback))
            .route(paths::POLICY, get(policy))
            .route(paths::STATUS, get(status))
            .route(paths::PROMOTE, post(promote))
            .route(paths::ROLLBACK, post(roll_back))
            .route("/metrics", get(metrics))
            .route("/", get(dashboard))
            .route_layer(from_fn_with_state(self.clone(), guard))
            // Probes ask under any name, and learn nothing.
            .route("/healthz", get(|| async { "ok\n" }))
            .merge(moved::routes())
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(self)
    }

    /// What the token of a request allows.
    pub fn grants(&self, headers: &HeaderMap) -> Grants {
        Grants::of(headers, &self.inner.tokens)
    }

    /// Whether only this machine can reach it.
    pub fn is_on_loopback(&self) -> bool {
        self.inner.loopback
    }

    /// Warns the operator.
    pub fn warn(&self, topic: Topic, warning: String) {
        self.inner.shared.warn(topic, warning);
    }

    /// Parses every line, writes those that are valid and answers with the number of lines by
    /// result. Nothing is taken when one is not `allowed`.
    async fn take(
        &self,
        body: &[u8],
        parse: impl Fn(&Inner, &[u8]) -> Result<Stored, Reject>,
        allowed: impl Fn(&Stored) -> bool,
    ) -> Response {
        let mut refused = Counts::default();
        let mut lines = Vec::new();
        for text in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match parse(&self.inner, text) {
                Ok(line) => lines.push(line),
                Err(Reject::Forged) => refused.forged += 1,
                Err(Reject::Malformed | Reject::Invalid) => refused.invalid += 1,
            }
        }
        if !lines.iter().all(allowed) {
            let why = "this token may post only rewards whose source is implicit or asked_again";
            return refuse(StatusCode::FORBIDDEN, why);
        }
        self.inner.shared.refuse(refused);
        let wanted = lines.len() as u64 + refused.forged + refused.invalid;
        if !self.inner.rate.lock().unwrap_or_else(PoisonError::into_inner).take(wanted as f64) {
            return busy(StatusCode::TOO_MANY_REQUESTS);
        }
        if lines.is_empty() {
            let status = match refused {
                Counts { forged: 1.., .. } => StatusCode::FORBIDDEN,
                Counts { invalid: 1.., .. } => StatusCode::BAD_REQUEST,
                _ => StatusCode::OK,
            };
            return (status, json(&refused)).into_response();
        }
        let bad: Vec<BadAnswer> = lines.iter().filter_map(Stored::bad_answer).collect();
        let (done, answer) = oneshot::channel();
        if !self.inner.writer.send(Job::Post(Post { lines, done })) {
            return busy(StatusCode::SERVICE_UNAVAILABLE);
        }
        match answer.await {
            Ok(mut counts) => {
                counts += refused;
                self.inner.shared.bad_answers.count(&bad);
                json(&counts)
            }
            // The store is full or unavailable for now.
            Err(_) => busy(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn order(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        command: fn(String) -> Command,
    ) -> Response {
        let grants = self.grants(headers);
        if !grants.administer {
            return grants.refuse("promote or roll back");
        }
        let order =
            if body.is_empty() { Ok(Order::default()) } else { serde_json::from_slice(body) };
        let Ok(Order { segment }) = order else {
            return (StatusCode::BAD_REQUEST, "body must be {\"segment\": NAME}\n").into_response();
        };
        let command = command(segment);
        let refused = match command {
            Command::Promote(_) => {
                "nothing was learnt that the policy in force does not know: no candidate to promote\n"
            }
            Command::RollBack(_) => "no policy to roll back\n",
        };
        if self.inner.learner.order(command).await {
            (StatusCode::OK, "done\n").into_response()
        } else {
            (StatusCode::CONFLICT, refused).into_response()
        }
    }
}

fn busy(status: StatusCode) -> Response {
    (status, [(RETRY_AFTER, "1")], "try again\n").into_response()
}

fn json(counts: &Counts) -> Response {
    let text = serde_json::to_string(counts).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

async fn decisions(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    let grants = api.grants(&headers);
    if !grants.decide {
        return grants.refuse("post decisions");
    }
    let parse = |inner: &Inner, text: &[u8]| line::decision(text, &inner.signer, &inner.rules);
    api.take(&body, parse, |_| true).await
}

async fn feedback(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    let grants = api.grants(&headers);
    if !grants.reward && !grants.decide {
        return grants.refuse("post rewards");
    }
    let parse = |inner: &Inner, text: &[u8]| line::feedback(text, &inner.signer);
    api.take(&body, parse, |line| grants.reward || line::is_filters_own(line)).await
}

async fn policy(State(api): State<Api>, headers: HeaderMap) -> Response {
    let published = api.inner.shared.published();
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(&published.etag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, published.etag.clone())]).into_response();
    }
    let headers = [
        (ETAG, published.etag.clone()),
        (CONTENT_TYPE, "application/json".to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, published.body.clone()).into_response()
}

async fn status(State(api): State<Api>) -> Response {
    ([(CONTENT_TYPE, "application/json")], api.inner.shared.to_json()).into_response()
}

async fn metrics(State(api): State<Api>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], api.inner.shared.metrics()).into_response()
}

/// The body of an order: its segment, empty for the global learner.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default)]
    segment: String,
}

async fn promote(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    api.order(&headers, &body, Command::Promote).await
}

async fn roll_back(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    api.order(&headers, &body, Command::RollBack).await
}

async fn dashboard() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        // The page needs nothing from anywhere else, and must not be able to get it.
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
             connect-src 'self'; img-src data:; frame-ancestors 'none'",
        ),
    ];
    (headers, include_str!("dashboard.html")).into_response()
}

/// A token bucket that holds two seconds' worth. A batch may overdraw it, so that one of any size
/// passes and the next waits longer; `governor` would refuse a batch larger than its burst.
struct Rate {
    per_second: f64,
    left: f64,
    filled: Instant,
}

impl Rate {
    fn new(per_second: f64) -> Self {
        Rate { per_second, left: 2.0 * per_second, filled: Instant::now() }
    }

    /// Takes `wanted`, if anything is left.
    fn take(&mut self, wanted: f64) -> bool {
        let now = Instant::now();
        let gained = self.per_second * now.duration_since(self.filled).as_secs_f64();
        self.left = (self.left + gained).min(2.0 * self.per_second);
        self.filled = now;
        if self.left <= 0.0 {
            return false;
        }
        self.left -= wanted;
        true
    }
}
