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

/// A connection for one request after another. It is opened again when the server has closed it
/// between two requests, as it may; a request that was sent and not answered is an error.
pub struct Connection {
    to: SocketAddr,
    protocol: Protocol,
    sender: Option<Sending>,
}

enum Sending {
    Http1(hyper::client::conn::http1::SendRequest<Body>),
    Http2(hyper::client::conn::http2::SendRequest<Body>),
}

impl Connection {
    pub fn new(to: SocketAddr, protocol: Protocol) -> Self {
        Self { to, protocol, sender: None }
    }

    /// Sends a request and waits for the whole response.
    pub async fn exchange(&mut self, mut request: Request<Body>) -> Result<Response> {
        address(&mut request, self.to, self.protocol)?;
        let response = match self.ready().await? {
            Sending::Http1(sender) => sender.send_request(request).await?,
            Sending::Http2(sender) => sender.send_request(request).await?,
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes().into();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn ready(&mut self) -> Result<&mut Sending> {
        let open = match &mut self.sender {
            Some(Sending::Http1(sender)) => sender.ready().await.is_ok(),
            Some(Sending::Http2(sender)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !open {
            self.sender = Some(connect(self.to, self.protocol).await?);
        }
        self.sender.as_mut().context("there is a connection")
    }
}

async fn connect(to: SocketAddr, protocol: Protocol) -> Result<Sending> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    Ok(match protocol {
        Protocol::Http1 => {
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            Sending::Http1(sender)
        }
        Protocol::Http2 => {
            let executor = TokioExecutor::new();
            let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await?;
            tokio::spawn(connection);
            Sending::Http2(sender)
        }
    })
}

/// Adds what each protocol needs to know of the server.
fn address(request: &mut Request<Body>, to: SocketAddr, protocol: Protocol) -> Result<()> {
    match protocol {
        Protocol::Http1 => {
            let host = to.to_string().parse()?;
            request.headers_mut().entry(http::header::HOST).or_insert(host);
        }
        Protocol::Http2 => {
            *request.uri_mut() = format!("http://{to}{}", request.uri()).parse()?;
        }
    }
    Ok(())
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
            address(&mut request, to, protocol)?;
            match connect(to, protocol).await? {
                Sending::Http1(mut sender) => anyhow::Ok(sender.send_request(request).await?),
                Sending::Http2(mut sender) => anyhow::Ok(sender.send_request(request).await?),
            }
        };
        let Ok(head) = tokio::time::timeout(PATIENCE, head).await else {
            bail!("no response within {PATIENCE:?}");
        };
        let (head, body) = head?.into_parts();
        Ok(Exchange { status: head.status.as_u16(), headers: head.headers, body })
    })
}
