//! Decisions in OpenTelemetry: `envoy/opentelemetry.yaml` against a receiver of OTLP over gRPC.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::Message;
use serde_json::Value;

use crate::Case;
use crate::stage::{Sent, Stage, chat_body, post};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::grpc;

pub const CASES: &[Case] = &[
    ("a_decision_is_attributes_of_an_opentelemetry_log_record", log_record),
    ("a_decision_is_attributes_of_the_requests_span", span),
];

type Attributes = BTreeMap<String, String>;

/// A log record, or a span.
#[derive(Clone, Debug)]
struct Item {
    trace: Vec<u8>,
    attributes: Attributes,
}

/// What came in, from every Envoy.
#[derive(Default)]
struct Received {
    logs: Vec<Item>,
    spans: Vec<Item>,
}

static RECEIVED: LazyLock<Mutex<Received>> = LazyLock::new(Mutex::default);

/// The receiver; one serves every Envoy.
static COLLECTOR: LazyLock<Result<SocketAddr, String>> =
    LazyLock::new(|| grpc::listen(export).map_err(|error| format!("{error:?}")));

/// `LogsService/Export` and `TraceService/Export`: their messages have the same outer form.
async fn export(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    // One message: a flag and the length come first.
    let export = Export::decode(body.get(5..).context("no gRPC message")?)?;
    let items = export.resources.into_iter().flat_map(|it| it.scopes).flat_map(|it| it.items);
    let mut received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner);
    for item in items {
        match path.as_str() {
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                let log = LogRecord::decode(&*item)?;
                let attributes = attributes(log.attributes);
                received.logs.push(Item { trace: log.trace_id, attributes });
            }
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                let span = Span::decode(&*item)?;
                let attributes = attributes(span.attributes);
                received.spans.push(Item { trace: span.trace_id, attributes });
            }
            _ => bail!("no such method: {path}"),
        }
    }
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
    Ok(Response::builder().header("content-type", "application/grpc").body(body)?)
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let text = |value: AnyValue| value.text.unwrap_or_default();
    pairs.into_iter().map(|it| (it.key, it.value.map(text).unwrap_or_default())).collect()
}

#[derive(Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Message)]
struct Scope {
    #[prost(bytes = "vec", repeated, tag = "2")]
    items: Vec<Vec<u8>>,
}

#[derive(Message)]
struct LogRecord {
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    trace_id: Vec<u8>,
}

#[derive(Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

/// Envoy 1.36 knows no tags that are made of response headers.
fn has_tags(stage: &Stage) -> bool {
    !stage.binary.to_string_lossy().contains("1.36")
}

fn observed(stage: &Stage) -> Result<Arc<Stage>> {
    let collector = COLLECTOR.clone().map_err(anyhow::Error::msg)?;
    let tags = has_tags(stage);
    stage.variant("opentelemetry", |deployment| deployment.add_opentelemetry(collector, tags))
}

/// Waits for what was received of a request.
fn received(of: impl Fn(&Received) -> &Vec<Item>, is_it: impl Fn(&Item) -> bool) -> Result<Item> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let received = RECEIVED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = of(&received).iter().find(|item| is_it(item)) {
            return Ok(found.clone());
        }
        let last = of(&received).last().cloned();
        drop(received);
        ensure!(Instant::now() < deadline, "it never came; the last to come was {last:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The decision's attributes, as the response headers tell it.
fn expected(sent: &Sent) -> Result<Attributes> {
    let names = ["target", "source", "reason", "decision-id"];
    let header = |name: &&str| {
        let value = sent.response.header(&format!("x-pointsman-{name}"));
        let attribute = format!("pointsman.{}", name.replace('-', "_"));
        Ok((attribute, value.with_context(|| format!("no {name}"))?.to_owned()))
    };
    names.iter().map(header).collect()
}

/// The log record of a request.
fn logged(sent: &Sent) -> Result<Item> {
    let id = sent.response.header("x-pointsman-decision-id").context("no decision")?;
    let is_it =
        |item: &Item| item.attributes.get("pointsman.decision_id").is_some_and(|known| known == id);
    received(|it| &it.logs, is_it)
}

fn log_record(stage: &Stage) -> Result<()> {
    let stage = &*observed(stage)?;
    let sent = stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    let log = logged(&sent)?.attributes;
    for (name, value) in expected(&sent)? {
        assert_eq!(log.get(&name), Some(&value), "{name} in {log:?}");
    }
    assert_eq!(log["url.path"], sent.path);
    assert_eq!(log["http.request.method"], "POST");
    assert_eq!(log["http.response.status_code"], "200");
    assert_eq!(log["pointsman.answered"], log["pointsman.target"]);
    let record: Value = serde_json::from_str(&log["pointsman.decision"])?;
    assert_eq!(record, stage.decision(&sent.path)?);
    Ok(())
}

fn span(stage: &Stage) -> Result<()> {
    let tags = has_tags(stage);
    let stage = &*observed(stage)?;
    let path = stage.path();
    let body = serde_json::to_vec(&chat_body("What is the capital of Mongolia?"))?;
    let request = post(&format!("{path}?key=AIzaSECRET")).body(client::whole(body))?;
    let sent = Sent { response: stage.send(Protocol::Http1, request)?, path };
    let trace = logged(&sent)?.trace;
    assert_eq!(trace.len(), 16);
    let span = received(|it| &it.spans, |item| item.trace == trace)?.attributes;
    assert!(!format!("{span:?}").contains("AIzaSECRET"), "{span:?}");
    if tags {
        assert!(span["http.url"].ends_with(&sent.path), "{span:?}");
        for (name, value) in expected(&sent)? {
            assert_eq!(span.get(&name), Some(&value), "{name} in {span:?}");
        }
    }
    let cluster = span.get("upstream_cluster.name").context("no cluster")?;
    assert!(cluster.starts_with(&expected(&sent)?["pointsman.target"]), "{span:?}");
    Ok(())
}
