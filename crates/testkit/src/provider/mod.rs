//! A stand-in for a provider: TLS with a certificate of the test's own, and answers to nothing but
//! what the provider's documentation asks for. Everything else is refused, and kept as a fault.
//!
//! A request with `"stream": true` is answered in events, and the second waits for the test.

mod authority;
mod documented;
mod signature;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::RUNTIME;
use super::client::Body;

pub use authority::{Authority, Identity};
pub use documented::{Credential, DOCUMENTED, Documented, Terms, documented};
pub use signature::Account;

/// How long the event stream waits for the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as the provider saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: Method,
    /// With the query.
    pub path: String,
    /// `Host`, or `:authority`.
    pub host: String,
    /// The name in the TLS handshake.
    pub sni: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// The value of a header that must be text, or `None` where it is absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a text is anywhere in it.
    pub fn has(&self, text: &str) -> bool {
        let within = |bytes: &[u8]| memchr::memmem::find(bytes, text.as_bytes()).is_some();
        within(self.path.as_bytes())
            || within(&self.body)
            || self.headers.values().any(|value| within(value.as_bytes()))
    }
}

struct State {
    terms: Mutex<Terms>,
    /// The status of every answer to a request that is right.
    status: AtomicU16,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// TLS handshakes that were completed.
    handshakes: AtomicUsize,
    /// What came in where no TLS is spoken.
    heard: Mutex<Vec<u8>>,
    go_on: Notify,
}

/// A stand-in on a port of its own.
pub struct Provider {
    pub address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
    /// Held by the listener and by every connection.
    alive: Weak<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    /// A provider of a kind, found under `localhost`, that knows one model.
    pub fn start(
        documented: &'static Documented,
        model: &str,
        credential: Credential,
        identity: &Identity,
    ) -> Result<Self> {
        let server = identity.server(documented.http2)?;
        Self::listen(documented, model, credential, Some(server))
    }

    /// The same where the port speaks no TLS.
    pub fn start_plain(documented: &'static Documented, model: &str) -> Result<Self> {
        Self::listen(documented, model, Credential::Nobody, None)
    }

    fn listen(
        documented: &'static Documented,
        model: &str,
        credential: Credential,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self> {
        let (listener, other) = RUNTIME.block_on(bind())?;
        let address = listener.local_addr()?;
        let name = "localhost".to_owned();
        let terms = Terms {
            documented,
            host: format!("{name}:{}", address.port()),
            name,
            model: model.to_owned(),
            credential,
            headers: Vec::new(),
        };
        let state = Arc::new(State {
            terms: Mutex::new(terms),
            status: AtomicU16::new(200),
            seen: Mutex::default(),
            faults: Mutex::default(),
            connections: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            heard: Mutex::default(),
            go_on: Notify::new(),
        });
        let held = Arc::new(());
        let alive = Arc::downgrade(&held);
        let second = other.map(|other| serve(other, Arc::clone(&state), tls.clone(), held.clone()));
        let first = serve(listener, Arc::clone(&state), tls, held);
        let serving = async {
            match second {
                Some(second) => drop(tokio::join!(first, second)),
                None => first.await,
            }
        };
        let server = RUNTIME.spawn(serving).abort_handle();
        Ok(Self { address, state, server, alive })
    }

    /// Where it is, with what stands before the API's own path.
    pub fn url(&self) -> String {
        let terms = lock(&self.state.terms);
        // A model's name in the path is the gateway's to write.
        let base = terms.documented.base.split("/openai/deployments").next().unwrap_or_default();
        format!("https://{}{base}", terms.host)
    }

    /// The path of an API, as its documentation has it.
    pub fn path(&self, api: &str) -> String {
        lock(&self.state.terms).path(api)
    }

    /// Every request has this header from now on.
    pub fn require(&self, name: &str, value: &str) {
        lock(&self.state.terms).headers.push((name.to_owned(), value.to_owned()));
    }

    /// Accepts these keys, and no others, from now on.
    pub fn accept(&self, accepted: &[&str]) {
        if let Credential::Key { keys, .. } = &mut lock(&self.state.terms).credential {
            *keys = accepted.iter().map(|key| (*key).to_owned()).collect();
        }
    }

    /// Answers with this status from now on, unless the request is wrong.
    pub fn set_status(&self, status: u16) {
        self.state.status.store(status, Ordering::Relaxed);
    }

    /// Lets the event stream under way go on after its first event.
    pub fn go_on(&self) {
        self.state.go_on.notify_one();
    }

    /// All requests, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// What was wrong with requests.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.state.faults).clone()
    }

    /// Connections that were accepted, and of these the ones whose TLS handshake was completed.
    pub fn connections(&self) -> (usize, usize) {
        let count = |it: &AtomicUsize| it.load(Ordering::Relaxed);
        (count(&self.state.connections), count(&self.state.handshakes))
    }

    /// What came in where no TLS is spoken.
    pub fn heard(&self) -> Vec<u8> {
        lock(&self.state.heard).clone()
    }

    /// Stops listening and breaks off every connection; returns when that is done.
    pub fn kill(&self) {
        self.server.abort();
        while self.alive.strong_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One port at both addresses of `localhost`, where there are two: of several, Envoy says only why
/// the last has failed.
async fn bind() -> Result<(TcpListener, Option<TcpListener>)> {
    for _ in 0..16 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        match TcpListener::bind(("::1", port)).await {
            Ok(other) => return Ok((listener, Some(other))),
            // Somebody else's port.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(_) => return Ok((listener, None)),
        }
    }
    bail!("no port is free at both addresses of localhost");
}

async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    tls: Option<Arc<ServerConfig>>,
    alive: Arc<()>,
) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        state.connections.fetch_add(1, Ordering::Relaxed);
        let (state, tls, alive) = (Arc::clone(&state), tls.clone(), Arc::clone(&alive));
        connections.spawn(async move {
            let _alive = alive;
            // A connection that breaks off is seen by the test as a missing request.
            let _ = match tls {
                Some(tls) => serve_tls(stream, &state, tls).await,
                None => refuse_plain(stream, &state).await,
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_tls(stream: TcpStream, state: &Arc<State>, tls: Arc<ServerConfig>) -> Result<()> {
    let stream = TlsAcceptor::from(tls).accept(stream).await?;
    state.handshakes.fetch_add(1, Ordering::Relaxed);
    let (_, session) = stream.get_ref();
    let sni = session.server_name().map(str::to_owned);
    let http2 = session.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request| answer(request, sni.clone(), Arc::clone(state)));
    let io = TokioIo::new(stream);
    if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await?;
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await?;
    }
    Ok(())
}

/// As servers do that wait for a request and are sent the beginning of TLS.
async fn refuse_plain(mut stream: TcpStream, state: &State) -> Result<()> {
    let mut begun = vec![0; 4096];
    let count = stream.read(&mut begun).await?;
    lock(&state.heard).extend_from_slice(&begun[..count]);
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await?;
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    sni: Option<String>,
    state: Arc<State>,
) -> Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("the request's body broke off")?.to_bytes();
    let authority = head.uri.authority().map(|it| it.as_str().to_owned());
    let given = head.headers.get("host").and_then(|host| host.to_str().ok()).map(str::to_owned);
    let seen = Seen {
        method: head.method,
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        host: authority.or(given).unwrap_or_default(),
        sni,
        headers: head.headers,
        body,
    };
    let terms = lock(&state.terms).clone();
    let faults = terms.faults(&seen);
    let kind = terms.documented.kind;
    lock(&state.seen).push(seen.clone());
    if !faults.is_empty() {
        let body = json!({"error": {"message": faults.join("; ")}}).to_string();
        let named = faults.iter().map(|fault| format!("{kind}: {fault}"));
        lock(&state.faults).extend(named);
        return reply(400, "application/json", Full::new(Bytes::from(body)).boxed());
    }
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let status = state.status.load(Ordering::Relaxed);
    if status == 200 && asked["stream"] == true {
        return reply(200, "text/event-stream", stream(state, &terms.model));
    }
    let text = Full::new(Bytes::from(answer_of(&terms.model, kind))).boxed();
    reply(status, "application/json", text)
}

fn reply(status: u16, kind: &str, body: Body) -> Result<Response<Body>> {
    let response = Response::builder().status(StatusCode::from_u16(status)?);
    Ok(response.header("content-type", kind).body(body)?)
}

/// An answer that says who gave it, in the words of all APIs at once.
fn answer_of(model: &str, kind: &str) -> String {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
    let choice =
        json!({"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"});
    json!({"id": "x_1", "provider": kind, "model": model, "choices": [choice], "usage": usage})
        .to_string()
}

/// The events of a streamed answer.
pub fn events(model: &str) -> Vec<Bytes> {
    let event = |word: &str| {
        let choice = json!({"index": 0, "delta": {"content": word}});
        format!("data: {}\n\n", json!({"model": model, "choices": [choice]}))
    };
    let words = (0..10).map(|number| event(&format!("word{number} é")));
    words.chain(["data: [DONE]\n\n".to_owned()]).map(Bytes::from).collect()
}

fn stream(state: Arc<State>, model: &str) -> Body {
    let (mut sender, body) = Channel::new(1);
    let events = events(model);
    tokio::spawn(async move {
        for (position, event) in events.into_iter().enumerate() {
            if position == 1
                && tokio::time::timeout(PATIENCE, state.go_on.notified()).await.is_err()
            {
                return;
            }
            if sender.send_data(event).await.is_err() {
                return;
            }
        }
    });
    body.boxed()
}
