//! An upstream that remembers exactly what reached it.
//!
//! The request header `x-reply` chooses the answer: absent, a short completion with the upstream's
//! model name; `chat`, one without; `response`, a stored response that the model's name is in the
//! ID of; `sse`, an event stream that stops after its first event until the test lets it go on;
//! `large`, [`LARGE_REPLY_BYTES`] bytes; `usage` and `usage-sse`, 1000 input and 200 output tokens
//! as JSON and in the last event of a stream.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::RUNTIME;
use super::client::{Body, pieces};

pub const LARGE_REPLY_BYTES: usize = 4 * 1024 * 1024;

const USAGE: &str = r#""usage":{"prompt_tokens":1000,"completion_tokens":200}"#;

const CHAT: &[u8] =
    br#"{"choices":[{"message":{"role":"assistant","content":"Yes."},"finish_reason":"stop"}]}"#;

/// How long the event stream waits for the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Record {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

struct State {
    model: String,
    /// The status of every answer.
    status: AtomicU16,
    records: Mutex<Vec<Record>>,
    go_on: Notify,
}

/// A recording upstream on a port of its own. It serves until the process ends.
#[derive(Clone)]
pub struct Recorder {
    pub address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
    /// Held by the listener and by every connection.
    alive: Weak<()>,
}

impl Recorder {
    /// Starts an upstream whose answers carry `model` as their model name.
    pub fn start(model: &str) -> Result<Self> {
        let state = Arc::new(State {
            model: model.to_owned(),
            status: AtomicU16::new(200),
            records: Mutex::default(),
            go_on: Notify::new(),
        });
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let held = Arc::new(());
        let alive = Arc::downgrade(&held);
        let server = RUNTIME.spawn(serve(listener, Arc::clone(&state), held)).abort_handle();
        Ok(Self { address, state, server, alive })
    }

    /// Stops listening and breaks off every connection; returns when that is done.
    pub fn kill(&self) {
        self.server.abort();
        while self.alive.strong_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Answers with this status from now on.
    pub fn set_status(&self, status: u16) {
        self.state.status.store(status, Ordering::Relaxed);
    }

    /// Lets the event stream under way go on after its first event.
    pub fn go_on(&self) {
        self.state.go_on.notify_one();
    }

    /// What was recorded for `path`, if anything.
    pub fn find(&self, path: &str) -> Option<Record> {
        let records = self.state.records.lock().ok()?;
        records.iter().find(|record| record.path == path).cloned()
    }
}

/// The events that the reply `sse` consists of.
pub fn events() -> Vec<Bytes> {
    let mut events: Vec<Bytes> = (0..20)
        .map(|i| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"w{i} é\"}}}}]}}\n\n"))
        .map(Bytes::from)
        .collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// The bytes that the reply `large` consists of: no two pages are alike.
pub fn large_reply() -> Bytes {
    (0..LARGE_REPLY_BYTES).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

async fn serve(listener: TcpListener, state: Arc<State>, alive: Arc<()>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Head and body leave as two segments; without this the second waits for 40 ms.
        let _ = stream.set_nodelay(true);
        let (state, alive) = (Arc::clone(&state), Arc::clone(&alive));
        connections.spawn(async move {
            let _alive = alive;
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            // A connection that breaks off is seen by the test as a missing record.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, anyhow::Error> {
    let (head, body) = request.into_parts();
    let collected = body.collect().await.context("the request's body broke off")?;
    let reply = head.headers.get("x-reply").cloned();
    let record = Record {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: collected.to_bytes(),
    };
    if let Ok(mut records) = state.records.lock() {
        records.push(record);
    }
    let response = match reply.as_ref().and_then(|value| value.to_str().ok()) {
        Some("sse") => {
            let events = stream(Arc::clone(&state));
            Response::builder().header("content-type", "text/event-stream").body(events)
        }
        Some("large") => Response::builder()
            .header("content-type", "application/octet-stream")
            .body(Full::new(large_reply()).boxed()),
        Some("chat") => Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(CHAT)).boxed()),
        Some("response") => Response::builder().header("content-type", "application/json").body(
            Full::new(Bytes::from(format!(
                r#"{{"id":"resp_{}","object":"response","status":"completed","output":[]}}"#,
                state.model
            )))
            .boxed(),
        ),
        Some("usage") => Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(format!("{{\"choices\":[],{USAGE}}}"))).boxed()),
        Some("usage-sse") => {
            Response::builder().header("content-type", "text/event-stream").body(pieces(
                vec![
                    Bytes::from("data: {\"choices\":[],\"usage\":null}\n\nda"),
                    Bytes::from(format!("ta: {{{USAGE}}}\n\ndata: [DONE]\n\n")),
                ],
                None,
            ))
        }
        _ => Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(whole_answer(&state.model))).boxed()),
    };
    let mut response = response?;
    *response.status_mut() = StatusCode::from_u16(state.status.load(Ordering::Relaxed))?;
    Ok(response)
}

/// A chat completion with hardly anything in it.
fn whole_answer(model: &str) -> String {
    format!(
        r#"{{"model":"{model}","choices":[{{"message":{{"content":"Yes."}},"finish_reason":"stop"}}]}}"#
    )
}

fn stream(state: Arc<State>) -> Body {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        for (position, event) in events().into_iter().enumerate() {
            if position == 1
                && tokio::time::timeout(PATIENCE, state.go_on.notified()).await.is_err()
            {
                return;
            }
            if sender.send_data(event).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    body.boxed()
}
