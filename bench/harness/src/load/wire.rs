//! One connection that never blocks.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Result, bail};

use crate::http::{self, Head};

/// What reading left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// A whole message, of that many bytes.
    Message(usize),
    /// The message goes on.
    Part,
    /// The other side hung up.
    End,
}

/// A connection with the message that it is reading.
pub struct Wire {
    stream: TcpStream,
    /// What has arrived of the message.
    pub bytes: Vec<u8>,
    head: Option<Head>,
}

impl Wire {
    pub fn of(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::new(), head: None })
    }

    pub fn open(to: SocketAddr) -> Result<Self> {
        Self::of(TcpStream::connect(to)?)
    }

    /// Writes what fits, and returns how much that is.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => bail!("the other side takes nothing more"),
                Ok(size) => sent += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Reads until a message is complete or nothing more is there. `scratch` is shared by all
    /// connections, so that a large body is not kept for each of them.
    pub fn read(&mut self, scratch: &mut [u8]) -> Result<Got> {
        loop {
            let size = match self.stream.read(scratch) {
                Ok(0) => return Ok(Got::End),
                Ok(size) => size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Part),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Got::End),
                Err(error) => return Err(error.into()),
            };
            self.bytes.extend_from_slice(&scratch[..size]);
            self.head = self.head.or_else(|| http::head(&self.bytes));
            let length = self.head.and_then(|head| http::length(&self.bytes, head));
            if let Some(length) = length
                && self.bytes.len() >= length
            {
                return Ok(Got::Message(length));
            }
        }
    }

    /// The body of the message that is complete.
    pub fn body(&self) -> Vec<u8> {
        self.head.map(|head| http::body(&self.bytes, head)).unwrap_or_default()
    }

    /// Forgets the message, for the next one.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head = None;
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
