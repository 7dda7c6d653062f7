//! The same over HTTP/2 with TLS, where a stream can end without its connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Asked, PATIENCE, Script, State, Step};

pub(super) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (state, acceptor) = (Arc::clone(&state), TlsAcceptor::from(Arc::clone(&tls)));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Watched>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let fields = head.headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    let headers = fields.map(|(name, value)| (name.to_string(), value.to_owned())).collect();
    let (id, script) = state.script(Asked::new(head.uri.path().to_owned(), headers, body));
    let mut response = Response::builder().status(script.status);
    for (name, value) in &script.headers {
        response = response.header(name, value);
    }
    let (sender, body) = Channel::new(1);
    tokio::spawn(perform(sender, Arc::clone(&state), id, script));
    Ok(response.body(Watched { body, state, id, ended: false })?)
}

async fn perform(
    mut sender: Sender<Bytes, io::Error>,
    state: Arc<State>,
    id: Option<u64>,
    script: Script,
) {
    let mut gates = 0;
    for step in &script.steps {
        match step {
            Step::Send(piece) => {
                if !piece.is_empty() && sender.send_data(piece.clone()).await.is_err() {
                    return;
                }
            }
            Step::Repeat(piece, times) => {
                for _ in 0..*times {
                    if sender.send_data(piece.clone()).await.is_err() {
                        return;
                    }
                }
            }
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Gate => {
                gates += 1;
                state.gate(id, gates).await;
            }
            Step::Silence => tokio::time::sleep(2 * PATIENCE).await,
            Step::Close => return,
            Step::Reset => {
                // What is on its way arrives first.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                sender.abort(io::Error::other("reset by the script"));
                return;
            }
        }
    }
    if !script.trailers.is_empty() {
        let field = |(name, value): &(String, String)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?))
        };
        let trailers: HeaderMap = script.trailers.iter().filter_map(field).collect();
        let _ = sender.send_trailers(trailers).await;
    }
}

/// A body that sees when its stream is closed before its end.
struct Watched {
    body: Channel<Bytes, io::Error>,
    state: Arc<State>,
    id: Option<u64>,
    ended: bool,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // Behind trailers nobody asks for more.
        self.ended |= match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        polled
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            self.state.left(self.id);
        }
    }
}
