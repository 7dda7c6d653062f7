//! A model on loopback: answers chat completions as a test sets it up.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What to answer.
pub enum Reply {
    Text(String),
    /// Status, `Retry-After`, body.
    Raw(u16, Option<&'static str>, String),
    Hang,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub body: Value,
    pub headers: HeaderMap,
    pub at: Instant,
}

/// A running upstream; it ends with the value.
pub struct Upstream {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    _runtime: Runtime,
}

impl Upstream {
    /// `answer` gets the last message's text and how often it was asked before.
    pub fn start(
        delay: Duration,
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let answer = Arc::new(answer);
        let seen = calls.clone();
        runtime.spawn(async move {
            let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, asked) = (answer.clone(), seen.clone(), asked.clone());
                let service = service_fn(move |request| {
                    serve(request, delay, answer.clone(), seen.clone(), asked.clone())
                });
                tokio::spawn(async move {
                    // A client that was killed in the middle of a call is what some tests are about.
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Upstream { address, calls, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no panic").clone()
    }
}

async fn serve(
    request: Request<Incoming>,
    delay: Duration,
    answer: Arc<impl Fn(&str, usize) -> Reply>,
    calls: Arc<Mutex<Vec<Call>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let question = body["messages"]
        .as_array()
        .and_then(|messages| messages.last())
        .and_then(|message| message["content"].as_str())
        .unwrap_or_default()
        .to_owned();
    assert_eq!(parts.uri.path(), "/v1/chat/completions");
    let headers = parts.headers;
    calls.lock().expect("no panic").push(Call { body, headers, at });
    let before = {
        let mut asked = asked.lock().expect("no panic");
        let count = asked.entry(question.clone()).or_default();
        *count += 1;
        *count - 1
    };
    tokio::time::sleep(delay).await;
    let (status, retry_after, body) = match answer(&question, before) {
        Reply::Text(text) => (200, None, completion(&text)),
        Reply::Raw(status, retry_after, body) => (status, retry_after, body),
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            (500, None, String::new())
        }
    };
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(Full::new(Bytes::from(body))).expect("a valid response"))
}

fn completion(text: &str) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "cheap-model",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50},
    })
    .to_string()
}
