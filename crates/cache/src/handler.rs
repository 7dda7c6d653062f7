//! One request through the cache of its target.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::answer::{self, Framing};
use super::body_tee::{BodyTee, CopiedBody};
use super::cache_control::{Directives, Freshness};
use super::cached_target::CachedTarget;
use super::caller::{caller, is_varied_by_key};
use super::deadline::is_late;
use super::entry::Entry;
use super::hop_by_hop;
use super::key::{Lookup, NoCacheReason, PartitionKey, lookup};
use super::metrics::{CacheOutcome, NoStoreReason, count};
use super::question::Question;
use super::replay::{self, OUTCOME_HEADER};
use super::singleflight::{Lead, Role};
use super::tiers::NearHit;
use super::upstream::SendError;
use pointsman_core::prompt::ApiFormat;

/// How long a request waits for another's answer to the same question before it asks itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that was read, with what it is looked up by.
struct Wanted {
    format: ApiFormat,
    lookup: Lookup,
    directives: Directives,
    /// The question as the semantic tier compares it.
    question: Option<Question>,
}

/// Answers a request, from the cache or from the model. What is not understood is passed on.
pub(super) async fn answer(
    target: Arc<CachedTarget>,
    mut request: Request<Body>,
) -> Response<Body> {
    if request.method() == Method::GET && request.uri().path() == "/healthz" {
        return Response::new(Body::from("ok\n"));
    }
    if request.method() == Method::CONNECT {
        return status(StatusCode::METHOD_NOT_ALLOWED, "this is not a proxy to other hosts");
    }
    if !is_path(request.uri()) {
        return status(StatusCode::BAD_REQUEST, "the request's target is not a path");
    }
    hop_by_hop::strip_nominated(request.headers_mut());
    let directives = Directives::of_request(request.headers());
    request.headers_mut().remove(OUTCOME_HEADER);
    let format = match readable(&request, target.options.max_body_bytes) {
        Ok(format) => format,
        Err(reason) => return pass(&target, request, reason).await,
    };
    let (head, body) = request.into_parts();
    let body = match collect(body, target.options.max_body_bytes).await {
        Ok(Collected::Whole(body)) => body,
        Ok(Collected::TooLarge(body)) => {
            return pass(&target, Request::from_parts(head, body), NoCacheReason::TooLarge).await;
        }
        Err(error) if is_late(&error) => return late(),
        // The client has left: nobody receives this.
        Err(_) => return status(StatusCode::BAD_REQUEST, "the request body ended early"),
    };
    let mut wanted = match wanted(&target, format, &head, &body, directives) {
        Ok(wanted) => wanted,
        Err(reason) => {
            return pass(&target, Request::from_parts(head, Body::from(body)), reason).await;
        }
    };
    if let Some(hit) = look(&target, &mut wanted).await {
        return hit;
    }
    if wanted.directives.only_if_cached {
        target.metrics.outcome(CacheOutcome::Miss, None);
        let mut response = status(StatusCode::GATEWAY_TIMEOUT, "the answer is not in the cache");
        mark(&mut response, CacheOutcome::Miss);
        return response;
    }
    let lead = match target.singleflight.join(wanted.lookup.exact) {
        Role::Leader(lead) => Some(lead),
        Role::Follower(follower) => {
            count(&target.metrics.coalesced);
            if let Some(entry) = follower.wait(PATIENCE).await
                && let Some(hit) = hit_exact(&target, &wanted, &entry)
            {
                return hit;
            }
            None
        }
    };
    miss(target, Request::from_parts(head, Body::from(body)), wanted, lead).await
}

/// Whether a request names what it wants by a path. A whole URL is taken for its path, wherever it
/// points; user and password in it are credentials that nobody looks at.
fn is_path(uri: &Uri) -> bool {
    let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    !user && uri.path_and_query().is_some_and(|path| path.as_str().starts_with('/'))
}

/// The format of a request that may be cached, by its headers.
fn readable(request: &Request<Body>, max_bytes: usize) -> Result<ApiFormat, NoCacheReason> {
    let headers = request.headers();
    let format = ApiFormat::of_path(request.uri().path().as_bytes());
    let (Some(format), true) = (format, request.method() == Method::POST) else {
        return Err(NoCacheReason::NotOurs);
    };
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| Framing::of(value) == Some(Framing::Json))
    };
    match (types.next(), types.next()) {
        (Some(_), Some(_)) => return Err(NoCacheReason::Ambiguous),
        (Some(value), None) if !is_json(value) => return Err(NoCacheReason::NotOurs),
        _ => {}
    }
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(NoCacheReason::Encoded);
    }
    let announced = request.body().size_hint().lower();
    if announced > max_bytes as u64 { Err(NoCacheReason::TooLarge) } else { Ok(format) }
}

enum Collected {
    Whole(Bytes),
    /// What was read, and the rest behind it.
    TooLarge(Body),
}

/// Reads a body of at most `limit` bytes.
async fn collect(mut body: Body, limit: usize) -> Result<Collected, axum::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        whole.extend_from_slice(&data);
        if whole.len() > limit {
            return Ok(Collected::TooLarge(Body::new(replay::Behind::new(whole.freeze(), body))));
        }
    }
    Ok(Collected::Whole(whole.freeze()))
}

fn wanted(
    target: &CachedTarget,
    format: ApiFormat,
    head: &http::request::Parts,
    body: &[u8],
    directives: Directives,
) -> Result<Wanted, NoCacheReason> {
    if directives.bypass {
        return Err(NoCacheReason::Asked);
    }
    let caller = caller(&target.options, &head.headers)?;
    let key = PartitionKey {
        target: &target.options.name,
        tenant: &caller.tenant.0,
        path: head.uri.path_and_query().map_or("", |path| path.as_str()),
        headers: &caller.headers,
        embeddings: target.embeddings(),
    };
    let lookup = lookup(format, body, &key, &target.options.limits)?;
    Ok(Wanted { format, lookup, directives, question: None })
}

/// Looks in both tiers, unless a new answer is wanted. The question is read either way: it is kept
/// with the answer.
async fn look(target: &CachedTarget, wanted: &mut Wanted) -> Option<Response<Body>> {
    let refresh = wanted.directives.refresh;
    if !refresh && let Some(hit) = look_exact(target, wanted).await {
        return Some(hit);
    }
    if let Some(text) = wanted.lookup.question.as_deref().filter(|_| target.options.semantic) {
        wanted.question = target.read(text).await;
    }
    if refresh { None } else { look_near(target, wanted) }
}

async fn look_exact(target: &CachedTarget, wanted: &Wanted) -> Option<Response<Body>> {
    hit_exact(target, wanted, &*target.exact(wanted.lookup.exact).await?)
}

fn hit_exact(target: &CachedTarget, wanted: &Wanted, entry: &Entry) -> Option<Response<Body>> {
    wanted.directives.accepts(entry).then(|| {
        target.metrics.outcome(CacheOutcome::HitExact, entry.usage);
        replay::response(entry, CacheOutcome::HitExact, 1.0)
    })
}

fn look_near(target: &CachedTarget, wanted: &Wanted) -> Option<Response<Body>> {
    let near = target.tiers.near(wanted.lookup.partition, wanted.question.as_ref()?);
    near.refused.iter().for_each(|kind| target.metrics.refused(*kind));
    let NearHit { entry, similarity } = near.hit?;
    wanted.directives.accepts(&entry).then(|| {
        target.metrics.outcome(CacheOutcome::HitSemantic, entry.usage);
        target.served_near(entry.id());
        replay::response(&entry, CacheOutcome::HitSemantic, similarity)
    })
}

/// Passes a request on without a lookup.
async fn pass(
    target: &CachedTarget,
    request: Request<Body>,
    reason: NoCacheReason,
) -> Response<Body> {
    target.metrics.bypass(reason);
    target.metrics.outcome(CacheOutcome::Bypass, None);
    let mut response = send(target, request).await;
    mark(&mut response, CacheOutcome::Bypass);
    response
}

/// Asks the model; its answer is kept when it has passed through whole.
async fn miss(
    target: Arc<CachedTarget>,
    mut request: Request<Body>,
    wanted: Wanted,
    lead: Option<Lead>,
) -> Response<Body> {
    target.metrics.outcome(CacheOutcome::Miss, None);
    // What is kept must be readable by every later client.
    let identity = HeaderValue::from_static("identity");
    request.headers_mut().insert(header::ACCEPT_ENCODING, identity);
    let mut response = send(&target, request).await;
    mark(&mut response, CacheOutcome::Miss);
    let keeping = match keepable(&target, &response) {
        Ok(keeping) => keeping,
        Err(reason) => {
            target.metrics.not_stored(reason);
            return response;
        }
    };
    let limit = target.options.max_answer_bytes;
    let done = move |copied: CopiedBody| {
        let kept = copied.and_then(|body| keep(&target, wanted, keeping, body));
        match kept {
            Ok(entry) => {
                count(&target.metrics.stored);
                lead.iter().for_each(|lead| lead.share(Arc::clone(&entry)));
            }
            Err(reason) => target.metrics.not_stored(reason),
        }
        // Followers look only now.
        drop(lead);
    };
    response.map(|body| Body::new(BodyTee::new(body, limit, done)))
}

/// What is known of an answer before its body.
struct Keeping {
    content_type: Box<str>,
    framing: Framing,
    freshness: Freshness,
}

fn keepable(target: &CachedTarget, response: &Response<Body>) -> Result<Keeping, NoStoreReason> {
    if response.status() != StatusCode::OK {
        return Err(NoStoreReason::Status);
    }
    let headers = response.headers();
    let all = |name: HeaderName| headers.get_all(name).iter().map(HeaderValue::to_str);
    let types: Vec<_> = all(header::CONTENT_TYPE).collect();
    let [Ok(content_type)] = types[..] else { return Err(NoStoreReason::Type) };
    let framing = Framing::of(content_type).ok_or(NoStoreReason::Type)?;
    if !all(header::CONTENT_ENCODING).all(|encoding| matches!(encoding, Ok("identity"))) {
        return Err(NoStoreReason::Type);
    }
    let directives = Directives::read(headers);
    // Servers of events say `no-cache` so that nothing on the way holds events back.
    let no_cache = directives.refresh && framing == Framing::Json;
    let varies = !is_varied_by_key(&target.options, headers);
    let freshness = Freshness::of(headers, &directives, Duration::from_millis(super::now_ms()));
    let over = freshness.is_over(target.options.ttl);
    if directives.bypass || directives.private || no_cache || varies || over {
        return Err(NoStoreReason::Forbidden);
    }
    Ok(Keeping { content_type: content_type.into(), framing, freshness })
}

fn keep(
    target: &CachedTarget,
    wanted: Wanted,
    keeping: Keeping,
    body: Bytes,
) -> Result<Arc<Entry>, NoStoreReason> {
    answer::check(wanted.format, keeping.framing, &body)?;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let created_ms = super::now_ms().saturating_sub(millis(keeping.freshness.age));
    let lifetime = keeping.freshness.lifetime(target.options.ttl);
    let entry = Arc::new(Entry {
        exact: wanted.lookup.exact,
        partition: wanted.lookup.partition,
        vector: wanted.question.as_ref().and_then(|question| target.vector(question)),
        question: wanted.lookup.question.filter(|_| wanted.question.is_some()).map(Into::into),
        usage: answer::usage(&keeping.content_type, &body),
        content_type: keeping.content_type,
        body,
        created_ms,
        expires_ms: created_ms.saturating_add(millis(lifetime)),
    });
    target.keep(Arc::clone(&entry));
    Ok(entry)
}

async fn send(target: &CachedTarget, request: Request<Body>) -> Response<Body> {
    match target.upstream.send(request).await {
        Ok(response) => response,
        Err(error) if is_late(&error) => late(),
        Err(SendError::Path) => status(StatusCode::URI_TOO_LONG, "the request's path is too long"),
        Err(error) => {
            count(&target.metrics.upstream_errors);
            let message = match &error {
                SendError::Framing => "the model behind this cache sent an ambiguous answer",
                SendError::Switching => "the model behind this cache changed the protocol",
                _ => "the model behind this cache is unreachable",
            };
            target.complain(&error);
            status(StatusCode::BAD_GATEWAY, message)
        }
    }
}

fn late() -> Response<Body> {
    status(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive in time")
}

/// An error in the form of the APIs.
fn status(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({"error": {"message": message, "type": "cache_error"}});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn mark(response: &mut Response<Body>, outcome: CacheOutcome) {
    let value = HeaderValue::from_static(outcome.name());
    response.headers_mut().insert(OUTCOME_HEADER, value);
}
