//! What Envoy's filters ask over gRPC: an external processor, as a gateway to a pool of inference
//! servers has it, and a service for rate limits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::Sender;
use hyper::body::Incoming;
use prost::Message;

use super::messages::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeaderValueOption, HeadersResponse,
    HttpBody, Pair, ProcessingRequest, ProcessingResponse, RateLimitRequest, RateLimitResponse,
    StreamedBody, TrailersResponse,
};
use pointsman_testkit::client::{self, Body};
use pointsman_testkit::grpc;

/// What the processor adds to a request: how many bytes it has seen, and the largest message.
pub(super) const PROCESSED: &str = "x-processed";
/// Its initial metadata that says how it is asked: all in streams, or the request's body whole.
pub(super) const MODE: &str = "x-mode";
/// As the inference gateways' endpoint picker cuts bodies.
const PIECE: usize = 62_000;

/// One server serves every Envoy.
static SERVER: LazyLock<Result<SocketAddr, String>> =
    LazyLock::new(|| grpc::listen(serve).map_err(|error| format!("{error:?}")));

pub(super) fn address() -> Result<SocketAddr> {
    SERVER.clone().map_err(anyhow::Error::msg)
}

async fn serve(request: Request<Incoming>) -> Result<Response<Body>> {
    let (head, frames) = request.into_parts();
    let (mut answers, body) = client::open_ended();
    tokio::spawn(async move {
        let asked = Messages { frames, read: BytesMut::new() };
        let buffered = head.headers.get(MODE).is_some_and(|mode| mode == "buffered");
        let outcome = match head.uri.path() {
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process" if buffered => {
                process_buffered(asked, &mut answers).await
            }
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process" => {
                process_streamed(asked, &mut answers).await
            }
            "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit" => {
                limit(asked, &mut answers).await
            }
            path => Err(anyhow::anyhow!("no such method: {path}")),
        };
        // OK, or UNKNOWN: Envoy then fails the request, and the test with it.
        let status = HeaderValue::from_static(if outcome.is_ok() { "0" } else { "2" });
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), status)]);
        let _ = answers.send_trailers(trailers).await;
    });
    Ok(Response::builder().header("content-type", "application/grpc").body(body)?)
}

/// The messages of a stream.
struct Messages {
    frames: Incoming,
    read: BytesMut,
}

impl Messages {
    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>> {
        loop {
            // A flag and the length come first.
            if let Some(head) = self.read.get(1..5) {
                let end = 5 + u32::from_be_bytes(head.try_into()?) as usize;
                if self.read.len() >= end {
                    return Ok(Some(M::decode(&self.read.split_to(end)[5..])?));
                }
            }
            match self.frames.frame().await.transpose()? {
                None if self.read.is_empty() => return Ok(None),
                None => bail!("the stream broke off"),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

async fn send(answers: &mut Sender<Bytes, Infallible>, message: &impl Message) -> Result<()> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length)?);
    message.encode(&mut bytes)?;
    answers.send_data(bytes.freeze()).await.context("Envoy has left")
}

/// Answers a request when all of it is here, as a picker of endpoints does that reads prompts, and
/// passes the answer's pieces on.
async fn process_streamed(
    mut asked: Messages,
    answers: &mut Sender<Bytes, Infallible>,
) -> Result<()> {
    let (mut body, mut largest) = (BytesMut::new(), 0);
    while let Some(message) = asked.next::<ProcessingRequest>().await? {
        let mut answer = ProcessingResponse::default();
        if let Some(piece) = message.request_body {
            largest = largest.max(piece.body.len());
            body.extend_from_slice(&piece.body);
            if piece.end_of_stream {
                release(answers, body.split(), largest, true).await?;
            }
            continue;
        }
        if message.request_trailers.is_some() {
            release(answers, body.split(), largest, false).await?;
            answer.request_trailers = Some(TrailersResponse {});
        } else if let Some(headers) = message.request_headers {
            if !headers.end_of_stream {
                continue;
            }
            answer.request_headers = Some(HeadersResponse::default());
        } else if message.response_headers.is_some() {
            answer.response_headers = Some(HeadersResponse::default());
        } else if let Some(HttpBody { body, end_of_stream }) = message.response_body {
            answer.response_body = Some(streamed(body, end_of_stream));
        } else if message.response_trailers.is_some() {
            answer.response_trailers = Some(TrailersResponse {});
        }
        send(answers, &answer).await?;
    }
    Ok(())
}

/// The headers of a request, and then its body in pieces.
async fn release(
    answers: &mut Sender<Bytes, Infallible>,
    body: BytesMut,
    largest: usize,
    ends: bool,
) -> Result<()> {
    let headers = HeadersResponse { response: Some(processed(body.len(), largest)) };
    let head = ProcessingResponse { request_headers: Some(headers), ..Default::default() };
    send(answers, &head).await?;
    let mut rest = body.freeze();
    loop {
        let piece = rest.split_to(rest.len().min(PIECE));
        let request_body = Some(streamed(piece.to_vec(), ends && rest.is_empty()));
        send(answers, &ProcessingResponse { request_body, ..Default::default() }).await?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn streamed(body: Vec<u8>, end_of_stream: bool) -> BodyResponse {
    let streamed = Some(StreamedBody { body, end_of_stream });
    let body_mutation = Some(BodyMutation { streamed });
    BodyResponse { response: Some(CommonResponse { body_mutation, ..Default::default() }) }
}

/// What a request gets: a header, and, as an endpoint picker asks for it, another look at the routes.
fn processed(bytes: usize, largest: usize) -> CommonResponse {
    let header = Pair { key: PROCESSED.to_owned(), raw: format!("{bytes}/{largest}").into() };
    let set = vec![HeaderValueOption { header: Some(header) }];
    CommonResponse {
        header_mutation: Some(HeaderMutation { set }),
        clear_route_cache: true,
        ..Default::default()
    }
}

/// Reads the request's body as a whole, and lets it pass.
async fn process_buffered(
    mut asked: Messages,
    answers: &mut Sender<Bytes, Infallible>,
) -> Result<()> {
    while let Some(message) = asked.next::<ProcessingRequest>().await? {
        let mut answer = ProcessingResponse::default();
        if let Some(HttpBody { body, .. }) = message.request_body {
            let response = Some(processed(body.len(), body.len()));
            answer.request_body = Some(BodyResponse { response });
        } else {
            answer.request_headers = Some(HeadersResponse::default());
        }
        send(answers, &answer).await?;
    }
    Ok(())
}

/// Refuses the tenant `greedy`, and what is for the target `strong`.
async fn limit(mut asked: Messages, answers: &mut Sender<Bytes, Infallible>) -> Result<()> {
    let request: RateLimitRequest = asked.next().await?.context("no request")?;
    let mut entries = request.descriptors.iter().flat_map(|descriptor| &descriptor.entries);
    let is_over = entries.any(|entry| {
        [("tenant", "greedy"), ("target", "strong")].contains(&(&*entry.key, &*entry.value))
    });
    send(answers, &RateLimitResponse { code: if is_over { 2 } else { 1 } }).await
}
