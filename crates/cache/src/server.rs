//! The listeners of `pointsman cache`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::endpoint::Endpoint;
use super::question::Matcher;
use super::target::{Target, TargetOptions};
use super::upstream::BadUrl;
use super::{admin, handler};

/// What `cache` needs to know.
pub struct Options {
    /// Each target with the address that it is served on.
    pub targets: Vec<(SocketAddr, TargetOptions)>,
    /// Address of metrics, purge and feedback.
    pub admin: Option<SocketAddr>,
    pub matcher: Matcher,
    /// Where vectors of questions come from, if not from the built-in embedding.
    pub embeddings: Option<Arc<Endpoint>>,
}

/// What it tells as it starts.
pub enum Event<'a> {
    /// What is served, and where.
    Listening(&'a str, SocketAddr),
    /// A target's store was read: entries.
    Loaded(&'a str, u64),
    /// A target goes on without its store.
    NoStore(&'a str, String),
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Upstream(#[from] BadUrl),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves until SIGTERM or Ctrl-C; then answers under way are finished and entries written.
///
/// # Errors
///
/// When an upstream is no URL or an address is taken.
pub fn serve(options: Options, tell: impl Fn(Event)) -> Result<(), ServerError> {
    let mut targets = Vec::new();
    for (address, target) in options.targets {
        targets.push((
            address,
            Arc::new(Target::new(target, options.matcher.clone(), options.embeddings.clone())?),
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (end, ending) = watch::channel(());
        let (mut servers, mut readers) = (JoinSet::new(), Vec::new());
        for (address, target) in &targets {
            let listener = bind(*address).await?;
            let name = target.options.name.clone();
            // Read before anything is served, so that no answer is written twice.
            let (reader, opened) = target.open_store();
            readers.extend(reader);
            match opened {
                Ok(()) if target.options.store.is_some() => {
                    tell(Event::Loaded(&name, target.tiers.size().0));
                }
                Ok(()) => {}
                Err(error) => tell(Event::NoStore(&name, error)),
            }
            tell(Event::Listening(&name, listener.local_addr()?));
            let target = Arc::clone(target);
            let answer =
                move |request: Request<Body>| handler::answer(Arc::clone(&target), request);
            serve_on(&mut servers, listener, Router::new().fallback(answer), ending.clone());
        }
        if let Some(address) = options.admin {
            let listener = bind(address).await?;
            tell(Event::Listening("admin", listener.local_addr()?));
            let all = targets.iter().map(|(_, target)| Arc::clone(target)).collect();
            serve_on(&mut servers, listener, admin::router(Arc::new(all)), ending);
        }
        stopped().await;
        drop(end);
        while servers.join_next().await.is_some() {}
        // They hold the targets, and the last of those writes what is queued.
        drop(readers);
        Ok(())
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

fn serve_on(
    servers: &mut JoinSet<()>,
    listener: TcpListener,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    use axum::serve::ListenerExt;
    // Head and body leave as two segments; without this the second may wait for 40 ms.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    servers.spawn(async move {
        let end = async move {
            // Nothing is sent: the error is the end.
            let _ = ending.changed().await;
        };
        let _ = axum::serve(listener, router).with_graceful_shutdown(end).await;
    });
}

async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
}
