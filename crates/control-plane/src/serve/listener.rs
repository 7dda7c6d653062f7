//! The listener: how long a connection may take, and how many there may be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the connection, or the answer before, to the end of the next request's head.
    pub head: Duration,
    /// From there to the answer, the request's body included.
    pub exchange: Duration,
    /// Of the whole connection; then the request at hand is the last one.
    pub age: Duration,
    /// Connections at a time; the others wait to be accepted.
    pub connections: usize,
}

/// Descriptors for the state, its logs and what the process itself needs.
const OTHER_DESCRIPTORS: usize = 32;
/// Connections of the largest fleet: one of each worker.
const MOST_CONNECTIONS: usize = 16_384;

impl Default for Limits {
    fn default() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        let descriptors = descriptors.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
        Limits {
            head: Duration::from_secs(10),
            exchange: Duration::from_secs(60),
            age: Duration::from_secs(600),
            connections: descriptors.saturating_sub(OTHER_DESCRIPTORS).clamp(1, MOST_CONNECTIONS),
        }
    }
}

/// Serves until `ended` is ready, and then what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    ended: impl Future<Output = ()>,
) {
    let router = router.layer(from_fn_with_state(limits.exchange, in_time));
    let places = Arc::new(Semaphore::new(limits.connections));
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(ended);
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut ended => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, or the client is gone: the next one may do better.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = connection(stream, router.clone(), limits, ending.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    drop(end);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut ending: watch::Receiver<()>,
) {
    // Head and body leave as two segments; without this the second may wait for 40 ms.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // What a client does wrong is its own affair.
        _ = &mut connection => return,
        _ = ending.changed() => {}
        () = sleep(limits.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.exchange, connection).await;
}

/// Ends what takes too long, such as a body that arrives byte by byte.
async fn in_time(
    axum::extract::State(limit): axum::extract::State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(limit, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpStream as Client};
    use std::thread::JoinHandle;

    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::sync::oneshot;

    use super::*;

    /// A listener of the test's own; dropping it ends it in good order.
    struct Server {
        address: SocketAddr,
        end: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<()>>,
    }

    impl Server {
        fn start(limits: Limits) -> Server {
            let (end, ended) = oneshot::channel::<()>();
            let (sender, address) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let router = Router::new()
                    .route("/", get(|| async { "here\n" }))
                    .route("/", post(|body: Bytes| async move { body }));
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_all().build().unwrap().block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    sender.send(listener.local_addr().unwrap()).unwrap();
                    let ended = async { drop(ended.await) };
                    serve(listener, router, limits, ended).await;
                });
            });
            Server { address: address.recv().unwrap(), end: Some(end), thread: Some(thread) }
        }

        fn send(&self, bytes: &str) -> Client {
            let mut client = Client::connect(self.address).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            client.write_all(bytes.as_bytes()).unwrap();
            client
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            drop(self.end.take());
            if let Some(thread) = self.thread.take() {
                thread.join().unwrap();
            }
        }
    }

    /// All that comes until the other side closes.
    fn rest(client: &mut Client) -> String {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    const SHORT: Duration = Duration::from_millis(200);

    fn limits() -> Limits {
        let long = Duration::from_secs(3600);
        Limits { head: long, exchange: long, age: long, connections: 8 }
    }

    const HALF_A_BODY: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";

    #[test]
    fn a_connection_without_a_whole_head_is_closed() {
        let server = Server::start(Limits { head: SHORT, ..limits() });
        for sent in ["", "GET / HTTP/1.1\r\nhost:", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
            let answer = rest(&mut server.send(sent));
            assert_eq!(answer.contains("here"), sent.ends_with("\r\n\r\n"), "{answer}");
        }
    }

    #[test]
    fn a_body_that_does_not_end_is_answered_and_closed() {
        let server = Server::start(Limits { exchange: SHORT, ..limits() });
        assert!(rest(&mut server.send(HALF_A_BODY)).starts_with("HTTP/1.1 408 "));
    }

    #[test]
    fn a_connection_that_grows_old_is_closed_after_its_answer() {
        let server = Server::start(Limits { age: SHORT, ..limits() });
        let answer = rest(&mut server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(answer.contains("here"), "{answer}");
    }

    #[test]
    fn the_next_connection_waits_until_one_of_too_many_is_closed() {
        let server = Server::start(Limits { connections: 2, ..limits() });
        let held = [server.send(HALF_A_BODY), server.send(HALF_A_BODY)];
        let mut waiting = server.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        waiting.set_read_timeout(Some(SHORT)).unwrap();
        assert!(waiting.read(&mut [0]).is_err(), "nothing yet");
        held[0].shutdown(Shutdown::Both).unwrap();
        waiting.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert!(rest(&mut waiting).contains("here"));
    }

    #[test]
    fn what_is_under_way_at_the_end_is_answered() {
        let server = Server::start(limits());
        let mut client = server.send(HALF_A_BODY);
        // It is accepted before the end, because another one after it is answered.
        let close = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        assert!(rest(&mut server.send(close)).contains("here"));
        let ending = std::thread::spawn(move || drop(server));
        client.write_all(b"dozen").unwrap();
        assert!(rest(&mut client).ends_with("halfdozen"));
        ending.join().unwrap();
    }
}
