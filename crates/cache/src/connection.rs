//! Connections of clients: how many, how long they may be idle, and how slowly a head may come.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::deadline::Timely;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a head, from its first byte.
    head: Duration,
    /// For a body, or for each share of a large one.
    body: Duration,
    /// For its next request.
    idle: Duration,
}

pub(super) const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    body: Duration::from_secs(60),
    idle: Duration::from_secs(60),
};
/// How long a new connection may be idle where others wait for its place: the first bytes of a
/// request come right behind it.
const GRACE: Duration = Duration::from_millis(250);

/// Accepts connections until `ending` is closed, at most `most` at a time; then those that are left
/// finish what is under way. When there are that many, idle ones make room.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    patience: Patience,
    mut ending: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(most));
    let (full, _) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = loop {
                match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => break place,
                    Err(_) => {
                        full.send_replace(());
                        // A place that becomes free meanwhile is found then.
                        sleep(GRACE / 10).await;
                    }
                }
            };
            (place, listener.accept().await)
        };
        tokio::select! {
            // Nothing is sent: the error is the end.
            _ = ending.changed() => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    let (router, full, ending) = (router.clone(), full.subscribe(), ending.clone());
                    connections.spawn(async move {
                        converse(stream, router, patience, full, ending).await;
                        drop(place);
                    });
                }
                // Out of descriptors, or a client that has left: neither is for long.
                Err(_) => sleep(GRACE / 10).await,
            },
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until its end.
async fn converse(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    mut full: watch::Receiver<()>,
    mut ending: watch::Receiver<()>,
) {
    // Head and body leave as two segments; without this the second may wait for 40 ms.
    let _ = stream.set_nodelay(true);
    let progress = Arc::<Progress>::default();
    let of_service = Arc::clone(&progress);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = Busy::begin(&of_service);
        let answer = router.call(request.map(|body| Body::new(Timely::new(body, patience.body))));
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, failed: None, _busy: busy }))
        }
    });
    let io = TokioIo::new(Timed {
        stream,
        progress: Arc::clone(&progress),
        patience: patience.head,
        head: None,
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs from the end of the last answer, so it is the limit for idle connections.
        .header_read_timeout(patience.idle)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let began = Instant::now();
    loop {
        let ends = tokio::select! {
            _ = connection.as_mut() => return,
            _ = ending.changed() => true,
            _ = full.changed() => false,
        };
        // One that has not begun to ask anything has nothing to finish.
        if progress.is_new() && (ends || began.elapsed() >= GRACE) {
            return;
        }
        if ends || !progress.is_new() {
            // An idle one is closed at once, another one behind its answer.
            connection.as_mut().graceful_shutdown();
        }
        if ends {
            let _ = connection.await;
            return;
        }
    }
}

/// How far a connection is.
#[derive(Default)]
struct Progress {
    /// Whether a request is under way, from its head to the end of its answer.
    busy: AtomicBool,
    /// Heads that were read.
    heads: AtomicU64,
    /// Whether a byte was read.
    begun: AtomicBool,
}

impl Progress {
    fn is_new(&self) -> bool {
        !self.begun.load(Ordering::Relaxed)
    }
}

/// A request under way.
struct Busy(Arc<Progress>);

impl Busy {
    fn begin(progress: &Arc<Progress>) -> Self {
        progress.heads.fetch_add(1, Ordering::Relaxed);
        progress.busy.store(true, Ordering::Relaxed);
        Busy(Arc::clone(progress))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// A body that keeps its connection busy.
struct Answer {
    body: Body,
    failed: Option<axum::Error>,
    _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            // hyper drops what it has not sent yet when a body fails. It sends that while it waits.
            Poll::Ready(Some(Err(error))) => {
                self.failed = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream on which a head has to come in time. hyper has one limit for heads and idle connections.
struct Timed {
    stream: TcpStream,
    progress: Arc<Progress>,
    patience: Duration,
    /// When the head that has begun must be there, and the number of heads before it.
    head: Option<(u64, Pin<Box<Sleep>>)>,
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let heads = self.progress.heads.load(Ordering::Relaxed);
        let busy = self.progress.busy.load(Ordering::Relaxed);
        if busy || self.head.as_ref().is_some_and(|(number, _)| *number != heads) {
            self.head = None;
        }
        if busy {
            return read;
        }
        if buffer.filled().len() > before && self.head.is_none() {
            self.progress.begun.store(true, Ordering::Relaxed);
            self.head = Some((heads, Box::pin(sleep_until(Instant::now() + self.patience))));
        }
        if read.is_pending()
            && let Some((_, late)) = &mut self.head
            && late.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use http::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(50);
    const ALL: Patience = Patience { head: LONG, body: LONG, idle: LONG };

    /// Two paths, served until the sender is dropped.
    async fn start(most: usize, patience: Patience) -> (SocketAddr, watch::Sender<()>) {
        let read = |body: Body| async {
            match axum::body::to_bytes(body, 1 << 20).await {
                Ok(body) => (StatusCode::OK, format!("read {}", body.len())),
                Err(_) => (StatusCode::REQUEST_TIMEOUT, "late".to_owned()),
            }
        };
        let slow = || async {
            sleep(4 * SHORT).await;
            "slow"
        };
        let router = Router::new().route("/read", post(read)).route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ending) = watch::channel(());
        tokio::spawn(serve(listener, router, most, patience, ending));
        (address, end)
    }

    async fn begin(address: SocketAddr, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// All that comes until the server closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    const HALF: &str = "GET /slow HTTP/1.1\r\nho";

    #[tokio::test]
    async fn a_head_a_body_and_the_next_request_are_waited_for_only_so_long() {
        let (address, _end) = start(9, Patience { head: SHORT, ..ALL }).await;
        assert_eq!(rest(begin(address, HALF).await).await, "");
        // An answer that takes longer than a head may, and then half of another head.
        let mut stream = begin(address, SLOW).await;
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        stream.write_all(HALF.as_bytes()).await.unwrap();
        assert_eq!(rest(stream).await, "");

        let (address, _end) = start(9, Patience { idle: SHORT, ..ALL }).await;
        assert_eq!(rest(begin(address, "").await).await, "");
        let answer = rest(begin(address, SLOW).await).await;
        assert!(answer.ends_with("slow"), "an answer is not idle: {answer}");

        let (address, _end) = start(9, Patience { body: SHORT, ..ALL }).await;
        let body = "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
        let answer = rest(begin(address, body).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("late"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_for_a_while_may_still_ask() {
        let (address, _end) = start(9, Patience { head: 4 * SHORT, ..ALL }).await;
        let mut stream = begin(address, SLOW).await;
        let mut answer = [0; 512];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        // Longer than a head may take.
        sleep(8 * SHORT).await;
        let last = SLOW.replace("host: x", "host: x\r\nconnection: close");
        stream.write_all(last.as_bytes()).await.unwrap();
        assert!(rest(stream).await.ends_with("slow"));
    }

    #[tokio::test]
    async fn idle_connections_make_room_and_busy_ones_do_not() {
        let (address, _end) = start(3, ALL).await;
        let (quiet, asking) = (begin(address, "").await, begin(address, SLOW).await);
        let mut used = begin(address, SLOW).await;
        assert!(used.read(&mut [0; 512]).await.unwrap() > 0);
        for _ in 0..3 {
            let answer = rest(begin(address, &SLOW.replace("x", "x\r\nconnection: close")).await);
            assert!(answer.await.ends_with("slow"));
        }
        assert!(rest(asking).await.ends_with("slow"));
        drop((quiet, used));
    }

    #[tokio::test]
    async fn at_the_end_answers_under_way_are_finished_and_nobody_is_waited_for() {
        let (address, end) = start(9, ALL).await;
        let (quiet, asking) = (begin(address, "").await, begin(address, SLOW).await);
        sleep(SHORT).await;
        drop(end);
        assert_eq!(rest(quiet).await, "");
        assert!(rest(asking).await.ends_with("slow"));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
