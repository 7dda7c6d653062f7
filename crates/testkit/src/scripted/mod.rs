//! A stand-in for a model whose every byte the test chooses, for each request its own.
//!
//! A request is known by a number in its text, `#id=123`. Over HTTP/1.1 the server writes to the
//! socket itself, because an HTTP library would not let it lie; over HTTP/2, with TLS, it can end
//! streams in the middle.

mod http2;
mod script;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use memchr::memmem;
use pointsman_core::api::ApiFormat;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::RUNTIME;
use crate::provider::Identity;

pub use script::{Script, Step};

/// How long a gate waits for the test.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most requests that are remembered; counts are kept of all.
const REMEMBERED: usize = 512;
const MARK: &str = "#id=";

/// A question with a number by which it is found again.
pub fn marked(id: u64, text: &str) -> String {
    format!("{text} {MARK}{id}")
}

/// A request as the model received it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: Option<u64>,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Asked {
    fn new(path: String, headers: Vec<(String, String)>, body: Bytes) -> Self {
        let id = memmem::find(&body, MARK.as_bytes()).and_then(|at| {
            let digits = body[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.map(|digit| char::from(*digit)).collect::<String>().parse().ok()
        });
        Asked { id, path, headers, body }
    }

    pub fn api(&self) -> Option<ApiFormat> {
        ApiFormat::of_path(self.path.as_bytes())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn is_streamed(&self) -> bool {
        self.json()["stream"] == true
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

struct State {
    /// The answer to a request for which none was chosen.
    usual: Box<dyn Fn(&Asked) -> Script + Send + Sync>,
    chosen: Mutex<HashMap<u64, Script>>,
    counts: Mutex<HashMap<u64, usize>>,
    remembered: Mutex<VecDeque<Asked>>,
    /// Gates that are open, by request.
    open: Mutex<HashMap<u64, usize>>,
    /// Requests whose client left before the answer's end.
    left: Mutex<HashSet<u64>>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listening model; it ends when it is dropped.
pub struct Scripted {
    pub address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
}

impl Scripted {
    /// A model over HTTP/1.1, with an answer to what no script was chosen for.
    pub fn start(usual: impl Fn(&Asked) -> Script + Send + Sync + 'static) -> Result<Self> {
        Self::start_at("127.0.0.1:0", usual)
    }

    /// The same at an address that is known already.
    pub fn start_at(
        address: &str,
        usual: impl Fn(&Asked) -> Script + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = State::new(usual);
        let listener = RUNTIME.block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let server = RUNTIME.spawn(serve(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { address, state, server })
    }

    /// The same over HTTP/2 with TLS.
    pub fn start_http2(
        identity: &Identity,
        usual: impl Fn(&Asked) -> Script + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = State::new(usual);
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let serving = http2::serve(listener, identity.server(true)?, Arc::clone(&state));
        let server = RUNTIME.spawn(serving).abort_handle();
        Ok(Self { address, state, server })
    }

    /// The model over HTTP/1.1 as a provider of `pointsman.yaml`.
    pub fn provider(&self) -> Value {
        json!({"kind": "ollama", "url": format!("http://{}/v1", self.address)})
    }

    /// Chooses the answer to a request, however often it comes.
    pub fn choose(&self, id: u64, script: Script) {
        lock(&self.state.chosen).insert(id, script);
    }

    /// Opens the next gate of a request.
    pub fn open(&self, id: u64) {
        *lock(&self.state.open).entry(id).or_default() += 1;
        self.state.changed.notify_waiters();
    }

    /// How often a request has arrived.
    pub fn count(&self, id: u64) -> usize {
        lock(&self.state.counts).get(&id).copied().unwrap_or_default()
    }

    /// How often each has arrived.
    pub fn counts(&self) -> HashMap<u64, usize> {
        lock(&self.state.counts).clone()
    }

    /// A request as it arrived last, if that was not long ago.
    pub fn asked(&self, id: u64) -> Option<Asked> {
        lock(&self.state.remembered).iter().rev().find(|asked| asked.id == Some(id)).cloned()
    }

    /// Waits until a request has arrived.
    pub fn wait_for(&self, id: u64) -> Result<()> {
        self.wait(|state| lock(&state.counts).contains_key(&id)).context("it was never asked")
    }

    /// Waits until the client of a request has left, before the answer's end.
    pub fn wait_until_left(&self, id: u64) -> Result<()> {
        self.wait(|state| lock(&state.left).contains(&id)).context("the client never left")
    }

    fn wait(&self, holds: impl Fn(&State) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE / 3;
        while !holds(&self.state) {
            ensure!(Instant::now() < deadline, "waited for too long");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// What it answers to a request for which nothing was chosen.
    pub fn usual(&self, path: &str, body: &Value) -> Script {
        let body = Bytes::from(body.to_string());
        (self.state.usual)(&Asked::new(path.to_owned(), Vec::new(), body))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn new(usual: impl Fn(&Asked) -> Script + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(State {
            usual: Box::new(usual),
            chosen: Mutex::default(),
            counts: Mutex::default(),
            remembered: Mutex::default(),
            open: Mutex::default(),
            left: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Counts a request and says what is answered.
    fn script(&self, asked: Asked) -> (Option<u64>, Script) {
        let id = asked.id;
        let chosen = id.and_then(|id| lock(&self.chosen).get(&id).cloned());
        let script = chosen.unwrap_or_else(|| (self.usual)(&asked));
        let mut remembered = lock(&self.remembered);
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(asked);
        drop(remembered);
        if let Some(id) = id {
            *lock(&self.counts).entry(id).or_default() += 1;
        }
        (id, script)
    }

    /// Waits until as many gates of a request are open.
    async fn gate(&self, id: Option<u64>, number: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let changed = self.changed.notified();
            let open = id.and_then(|id| lock(&self.open).get(&id).copied()).unwrap_or_default();
            if open >= number || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return;
            }
        }
    }

    fn left(&self, id: Option<u64>) {
        lock(&self.left).extend(id);
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A connection that breaks off is seen by the test in what was not counted.
            let _ = Connection { stream, read: Vec::new() }.serve(&state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What comes after a script.
enum End {
    /// The next request.
    Next,
    Closed,
    Left,
}

/// A connection over HTTP/1.1.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn serve(mut self, state: &State) -> Result<()> {
        while let Some(asked) = self.request().await? {
            let (id, script) = state.script(asked);
            match self.perform(state, id, &script).await? {
                End::Next => {}
                End::Closed => return Ok(()),
                End::Left => {
                    state.left(id);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads a whole request; `None` when there is no more.
    async fn request(&mut self) -> Result<Option<Asked>> {
        let head = loop {
            if let Some(end) = memmem::find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        };
        let text = String::from_utf8_lossy(&self.read[..head]).into_owned();
        self.read.drain(..head);
        let mut lines = text.lines();
        let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<(String, String)> =
            fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let value = |name: &str| headers.iter().find(|(it, _)| it == name).map(|(_, it)| it);
        let body = match value("content-length") {
            Some(length) => self.take(length.parse()?).await?,
            None if value("transfer-encoding").is_some() => self.chunks().await?,
            None => Vec::new(),
        };
        Ok(Some(Asked::new(path.to_owned(), headers, body.into())))
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.read.len() < length {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the request broke off");
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            while memmem::find(&self.read, b"\r\n").is_none() {
                ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the request broke off");
            }
            let end = memmem::find(&self.read, b"\r\n").unwrap_or_default();
            let line = self.take(end + 2).await?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16)?;
            let piece = self.take(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&piece[..size]);
        }
    }

    async fn perform(&mut self, state: &State, id: Option<u64>, script: &Script) -> Result<End> {
        let mut gates = 0;
        if self.stream.write_all(&script.head()).await.is_err() {
            return Ok(End::Left);
        }
        for step in &script.steps {
            let there = match step {
                Step::Send(piece) => self.stream.write_all(&script.framed(piece)).await.is_ok(),
                Step::Repeat(piece, times) => {
                    let piece = script.framed(piece);
                    let mut there = true;
                    for _ in 0..*times {
                        there = there && self.stream.write_all(&piece).await.is_ok();
                    }
                    there
                }
                Step::Pause(time) => self.stays_for(tokio::time::sleep(*time)).await,
                Step::Gate => {
                    gates += 1;
                    self.stays_for(state.gate(id, gates)).await
                }
                Step::Silence => self.stays_for(tokio::time::sleep(2 * PATIENCE)).await,
                Step::Close => {
                    let _ = self.stream.shutdown().await;
                    return Ok(End::Closed);
                }
                Step::Reset => {
                    self.stream.set_zero_linger()?;
                    return Ok(End::Closed);
                }
            };
            if !there {
                return Ok(End::Left);
            }
        }
        match self.stream.write_all(script.end().as_bytes()).await {
            Ok(()) => Ok(End::Next),
            Err(_) => Ok(End::Left),
        }
    }

    /// Waits, and says whether the client is still there.
    async fn stays_for(&self, time: impl Future<Output = ()>) -> bool {
        let leaves = async {
            loop {
                if self.stream.readable().await.is_err() {
                    return;
                }
                match self.stream.try_read(&mut [0; 512]) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    // Nobody sends a second request before the first is answered.
                    _ => return,
                }
            }
        };
        tokio::select! {
            () = leaves => false,
            () = time => true,
        }
    }
}
