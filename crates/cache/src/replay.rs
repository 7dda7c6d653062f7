//! A stored answer as a response.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, Response};
use hyper::body::Frame;

use super::answer::{Framing, events};
use super::entry::Entry;
use super::metrics::CacheOutcome;

/// How a request was answered: `hit-exact`, `hit-semantic`, `miss`, `bypass`.
pub const OUTCOME_HEADER: HeaderName = HeaderName::from_static(pointsman_core::header::CACHE);
/// Similarity of the two questions, of hits.
pub const SIMILARITY_HEADER: HeaderName = HeaderName::from_static("x-pointsman-cache-similarity");
/// The entry's ID, for feedback.
pub const ID_HEADER: HeaderName = HeaderName::from_static("x-pointsman-cache-id");

/// The response that serves an entry. Each event of a stream is a frame of its own.
pub(super) fn response(entry: &Entry, outcome: CacheOutcome, similarity: f32) -> Response<Body> {
    let body = match Framing::of(&entry.content_type) {
        Some(Framing::Events) => Body::new(Events(events(&entry.body).into())),
        _ => Body::from(entry.body.clone()),
    };
    let mut response = Response::new(body);
    let age = super::now_ms().saturating_sub(entry.created_ms) / 1000;
    let headers = response.headers_mut();
    headers.insert(OUTCOME_HEADER, HeaderValue::from_static(outcome.name()));
    headers.insert(header::AGE, age.into());
    for (name, value) in [
        (header::CONTENT_TYPE, entry.content_type.to_string()),
        (SIMILARITY_HEADER, format!("{similarity:.4}")),
        (ID_HEADER, format!("{:016x}", entry.id())),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if Framing::of(&entry.content_type) == Some(Framing::Events) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

struct Events(VecDeque<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|event| Ok(Frame::data(event))))
    }
}

/// A body that was read in part: what was read, and the rest behind it.
pub(super) struct Behind {
    read: Option<Bytes>,
    rest: Body,
}

impl Behind {
    pub(super) fn new(read: Bytes, rest: Body) -> Self {
        Behind { read: Some(read), rest }
    }
}

impl hyper::body::Body for Behind {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}
