//! Load: bodies of any size, a client and an upstream that cost next to nothing.
//!
//! Both speak just enough HTTP/1.1 with Envoy, whose messages have a length, so that what is
//! measured is Envoy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memchr::memmem;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::RUNTIME;

/// What the upstream answers.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 130\r\n\r\n\
    {\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":200,\"total_tokens\":1200}}\n\n";

/// A chat body of exactly `size` bytes: varied prose, numbers and a little code.
pub fn body(size: usize) -> Result<Vec<u8>> {
    let sentences = [
        "The harbour master counted 37 barges before breakfast, and none of them carried coal.",
        "If each of the 12 lamps burns for 4 hours, how much oil is left at midnight?",
        "fn pressure(depth: f64) -> f64 { 101.3 + 9.81 * depth }",
        "Explain why the older bridge must not be closed while the ferry is being repaired.",
        "Her grandmother's letters mention a lighthouse keeper, a storm and 2 missing sailors.",
        "Compare the three proposals, list their costs in a table, and recommend exactly one.",
    ];
    let empty = body_of("")?.len();
    let room = size.checked_sub(empty).context("the size leaves no room for text")?;
    let text: String =
        sentences.iter().cycle().flat_map(|line| line.chars().chain([' '])).take(room).collect();
    body_of(&text)
}

/// Chat bodies of exactly `size` bytes, no text like another: what a processor learns from one, it
/// cannot use for the next.
pub fn bodies(size: usize, count: usize) -> Result<Vec<Vec<u8>>> {
    let words: Vec<String> = String::from_utf8(body(4096)?)?
        .split(|char: char| !char.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let empty = body_of("")?.len();
    let room = size.checked_sub(empty).context("the size leaves no room for text")?;
    let mut random = 1_u64;
    let mut text = || {
        let mut text = String::new();
        while text.len() < room {
            // A linear congruential generator with Knuth's constants: its upper bits are random enough.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = &words[(random >> 40) as usize % words.len()];
            match random >> 33 & 15 {
                0 => text += &format!("{word}? "),
                1 => text += &format!("{word}, {} ", random >> 48 & 0x3ff),
                2 => text += &format!("{word}.\n"),
                _ => text += &format!("{word} "),
            }
        }
        text
    };
    (0..count)
        .map(|_| {
            let mut text = text();
            // A line feed takes two bytes in JSON.
            while body_of(&text)?.len() > size {
                text.pop();
            }
            while body_of(&text)?.len() < size {
                text.push('x');
            }
            body_of(&text)
        })
        .collect()
}

fn body_of(text: &str) -> Result<Vec<u8>> {
    let message = json!({"role": "user", "content": text});
    Ok(serde_json::to_vec(&json!({"model": "auto", "messages": [message]}))?)
}

/// A chat completion request as it goes over the wire.
pub fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Starts an upstream; it serves until the process ends.
pub fn upstream() -> Result<SocketAddr> {
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Ok(address)
}

async fn answer(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection { stream, read: Vec::new() };
    while connection.message().await?.is_some() {
        connection.stream.write_all(ANSWER).await?;
    }
    Ok(())
}

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends a request and waits for the whole answer; the result is its status.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        let line = self.message().await?.context("the server hung up")?;
        let status = line.get(9..12).context("no status line")?;
        Ok(std::str::from_utf8(status)?.parse()?)
    }

    /// Reads one message and returns its first line; `None` at the end.
    async fn message(&mut self) -> Result<Option<Vec<u8>>> {
        let head = loop {
            if let Some(end) = memmem::find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        };
        let fields = &self.read[..head];
        let length = match memmem::find(fields, b"content-length: ") {
            Some(at) => {
                let digits = fields[at + 16..].split(|byte| *byte == b'\r').next();
                std::str::from_utf8(digits.unwrap_or_default())?.parse::<usize>()?
            }
            None => 0,
        };
        let line = fields.split(|byte| *byte == b'\r').next().unwrap_or_default().to_vec();
        while self.read.len() < head + length {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the connection broke off");
            }
        }
        self.read.drain(..head + length);
        Ok(Some(line))
    }
}

/// What a flood of requests came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flood {
    pub answered: usize,
    /// Answers with another status than 200.
    pub refused: usize,
    pub lasted: Duration,
}

/// Sends requests in turn over `connections` at once, each waiting for its answer, until `over`
/// says so; it is asked with the number of the request.
pub fn flood(
    to: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    over: impl Fn(usize) -> bool + Send + Clone + 'static,
) -> Result<Flood> {
    let begun = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let (requests, over) = (Arc::clone(requests), over.clone());
            RUNTIME.spawn(async move {
                let mut connection = Connection::open(to).await?;
                let mut flood = Flood::default();
                let mut number = client;
                while !over(number) {
                    let request = &requests[number % requests.len()];
                    match connection.exchange(request).await? {
                        200 => flood.answered += 1,
                        _ => flood.refused += 1,
                    }
                    number += connections;
                }
                anyhow::Ok(flood)
            })
        })
        .collect();
    let mut all = Flood::default();
    for client in clients {
        let flood = RUNTIME.block_on(client)??;
        all.answered += flood.answered;
        all.refused += flood.refused;
    }
    Ok(Flood { lasted: begun.elapsed(), ..all })
}
