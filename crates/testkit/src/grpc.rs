//! Servers that Envoy asks over gRPC.

use std::error::Error;
use std::net::SocketAddr;

use anyhow::Result;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::RUNTIME;

/// Serves HTTP/2 without TLS on loopback until the process ends; returns where.
///
/// # Errors
///
/// When no port is to be had.
pub fn listen<F, B>(
    serve: impl Fn(Request<Incoming>) -> F + Copy + Send + 'static,
) -> Result<SocketAddr>
where
    F: Future<Output = Result<Response<B>>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(serve)));
        }
    });
    Ok(address)
}
