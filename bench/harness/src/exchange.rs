//! One request at a time, for start-up and checks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::http;

/// LiteLLM's first request and MiniLM's take seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
pub struct Answer {
    pub status: u16,
    head: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::field(&self.head, name)
    }
}

/// Sends a request over a connection of its own.
pub fn once(to: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let (mut bytes, mut part) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let size = stream.read(&mut part)?;
        ensure!(size > 0, "the connection ended");
        bytes.extend_from_slice(&part[..size]);
        let Some(head) = http::head(&bytes) else { continue };
        if http::length(&bytes, head).is_some_and(|length| bytes.len() >= length) {
            let status = http::status(&bytes).context("no status line")?;
            bytes.truncate(head.length);
            return Ok(Answer { status, head: bytes });
        }
    }
}
