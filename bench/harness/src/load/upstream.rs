//! Two upstreams in one thread, which answer at once and count what they saw.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::wire::{Got, Wire};

/// Targets, cheapest first.
pub const TARGETS: [&str; 2] = ["cheap", "strong"];

/// What both answer. Clients that read it need a whole completion.
const COMPLETION: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}}"#;

/// The running upstreams; they serve until the process ends.
pub struct Upstreams {
    /// In the order of [`TARGETS`].
    pub addresses: [SocketAddr; 2],
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: [AtomicU64; 2],
    /// Whether bodies are kept.
    keeps: AtomicBool,
    last: Mutex<Vec<u8>>,
}

impl Upstreams {
    pub fn start() -> Result<Self> {
        let listen = || TcpListener::bind("127.0.0.1:0");
        let listeners = [listen()?, listen()?];
        let addresses = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            // Without its upstream a measurement is none: the client sees the end of it.
            if let Err(error) = super::settle().and_then(|()| serve(&listeners, &shared)) {
                eprintln!("upstream: {error:#}");
            }
        })?;
        Ok(Self { addresses, seen })
    }

    /// How many requests each target has answered.
    pub fn counts(&self) -> [u64; 2] {
        [0, 1].map(|target: usize| self.seen.requests[target].load(Ordering::Acquire))
    }

    /// Whether bodies are kept, which only checks need.
    pub fn keep_bodies(&self, keeps: bool) {
        self.seen.keeps.store(keeps, Ordering::Release);
    }

    /// The last body that was kept.
    pub fn last_body(&self) -> Vec<u8> {
        self.seen.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(listeners: &[TcpListener; 2], seen: &Seen) -> Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{COMPLETION}",
        COMPLETION.len()
    );
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    for (target, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        epoll::add(&poll, listener, EventData::new_u64(target as u64), EventFlags::IN)?;
    }
    // The first places are the listeners'.
    let mut connections: Vec<Option<(usize, Wire)>> = vec![];
    connections.resize_with(listeners.len(), || None);
    let mut scratch = vec![0; 256 * 1024];
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let at = usize::try_from(event.data.u64())?;
            if let Some(listener) = listeners.get(at) {
                let (stream, _) = listener.accept()?;
                let wire = Wire::of(stream)?;
                let flags = EventFlags::IN | EventFlags::ET;
                epoll::add(&poll, &wire, EventData::new_u64(connections.len() as u64), flags)?;
                connections.push(Some((at, wire)));
                continue;
            }
            let Some((target, wire)) = connections.get_mut(at).and_then(Option::as_mut) else {
                continue;
            };
            match wire.read(&mut scratch)? {
                Got::Part => {}
                Got::End => connections[at] = None,
                Got::Message(_) => {
                    if seen.keeps.load(Ordering::Acquire) {
                        *seen.last.lock().unwrap_or_else(PoisonError::into_inner) = wire.body();
                    }
                    seen.requests[*target].fetch_add(1, Ordering::AcqRel);
                    wire.clear();
                    let sent = wire.write(answer.as_bytes())?;
                    (sent == answer.len()).then_some(()).context("an answer did not fit")?;
                }
            }
        }
    }
}
