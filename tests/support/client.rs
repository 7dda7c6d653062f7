//! An HTTP client that leaves the request as the test wrote it: bodies with a length or chunked,
//! trailers, header values of any byte, HTTP/1.1 and HTTP/2 with prior knowledge.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::RUNTIME;

/// A request body of known or unknown length.
pub type Body = BoxBody<Bytes, Infallible>;

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that must be text, or `None` where it is absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// No body at all.
pub fn empty() -> Body {
    Empty::new().boxed()
}

/// A body with its length: `content-length` on HTTP/1.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A body in pieces, chunked on HTTP/1, with trailers behind it where there are some.
pub fn pieces(pieces: Vec<Bytes>, trailers: Option<HeaderMap>) -> Body {
    let (mut sender, body) = Channel::new(8);
    RUNTIME.spawn(async move {
        for piece in pieces {
            // The server may answer, and hang up, before it has read everything.
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
        if let Some(trailers) = trailers {
            let _ = sender.send_trailers(trailers).await;
        }
    });
    body.boxed()
}

/// A body that grows while the request is under way, and ends when the sender is dropped.
pub fn open_ended() -> (Sender<Bytes, Infallible>, Body) {
    let (sender, body) = Channel::new(8);
    (sender, body.boxed())
}

/// A response under way: its head is there, its body is still coming.
pub struct Exchange {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
}

impl Exchange {
    /// Waits for the next piece of the body; `None` at its end.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        RUNTIME.block_on(async {
            loop {
                let frame = tokio::time::timeout(PATIENCE, self.body.frame());
                match frame.await.context("no more of the response came in time")? {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame?.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            }
        })
    }
}

/// Sends a request on a connection of its own and waits for the whole response.
pub fn exchange(to: SocketAddr, protocol: Protocol, request: Request<Body>) -> Result<Response> {
    let mut under_way = begin(to, protocol, request)?;
    let mut body = Vec::new();
    while let Some(piece) = under_way.next_piece()? {
        body.extend_from_slice(&piece);
    }
    Ok(Response { status: under_way.status, headers: under_way.headers, body })
}

/// Sends a request on a connection of its own and waits for the response's head.
pub fn begin(to: SocketAddr, protocol: Protocol, mut request: Request<Body>) -> Result<Exchange> {
    RUNTIME.block_on(async {
        let head = async {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            let io = TokioIo::new(stream);
            match protocol {
                Protocol::Http1 => {
                    let host = to.to_string().parse()?;
                    request.headers_mut().entry(http::header::HOST).or_insert(host);
                    let (mut sender, connection) =
                        hyper::client::conn::http1::handshake(io).await?;
                    tokio::spawn(connection);
                    anyhow::Ok(sender.send_request(request).await?)
                }
                Protocol::Http2 => {
                    *request.uri_mut() = format!("http://{to}{}", request.uri()).parse()?;
                    let executor = TokioExecutor::new();
                    let (mut sender, connection) =
                        hyper::client::conn::http2::handshake(executor, io).await?;
                    tokio::spawn(connection);
                    anyhow::Ok(sender.send_request(request).await?)
                }
            }
        };
        let Ok(head) = tokio::time::timeout(PATIENCE, head).await else {
            bail!("no response within {PATIENCE:?}");
        };
        let (head, body) = head?.into_parts();
        Ok(Exchange { status: head.status.as_u16(), headers: head.headers, body })
    })
}
