//! The listeners of `pointsman cache`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cached_target::{CachedTarget, TargetOptions};
use super::endpoint::Endpoint;
use super::matcher::Matcher;
use super::store::StoreError;
use super::trust::Trust;
use super::upstream::{BadUrl, SendError};
use super::{admin, handler};

/// The settings of `pointsman cache`.
pub struct Options {
    /// Each target with the address that it is served on.
    pub targets: Vec<(SocketAddr, TargetOptions)>,
    /// Address of metrics, purge and feedback.
    pub admin: Option<SocketAddr>,
    pub matcher: Matcher,
    /// Where vectors of questions come from, if not from the built-in embedding.
    pub embeddings: Option<Arc<Endpoint>>,
    /// Which certificates upstreams may show.
    pub trust: Trust,
}

/// What an operator wants to know.
pub enum Event<'a> {
    /// What is served, and where.
    Listening(&'a str, SocketAddr),
    /// A target's store was read: entries.
    Loaded(&'a str, u64),
    /// A target runs without its store.
    NoStore(&'a str, StoreError),
    /// A target's upstream did not answer, and why. Such failures are reported now and then only.
    Failed(&'a str, &'a (dyn std::error::Error + 'static)),
}

/// Why the server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Upstream(#[from] BadUrl),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves until `ended` is ready; then answers under way are finished and entries written. A
/// supervisor may send a signal as soon as it hears of an address, so whatever `ended` waits for
/// must be set up before.
///
/// # Errors
///
/// When an upstream is not a URL or an address is taken.
pub async fn serve(
    options: Options,
    report: impl Fn(Event) + Send + Sync + 'static,
    ended: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let Options { targets, admin, matcher, embeddings, trust } = options;
    let report = Arc::new(report);
    let targets = targets.into_iter().map(|(address, target)| {
        let (report, name) = (Arc::clone(&report), target.name.clone());
        let failed = move |error: &SendError| report(Event::Failed(&name, error));
        let (matcher, embeddings) = (matcher.clone(), embeddings.clone());
        let target = CachedTarget::new(target, matcher, embeddings, &trust, failed)?;
        Ok((address, Arc::new(target)))
    });
    let targets: Vec<_> = targets.collect::<Result<_, BadUrl>>()?;
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
                report(Event::Loaded(&name, target.tiers.size().0));
            }
            Ok(()) => {}
            Err(error) => report(Event::NoStore(&name, error)),
        }
        report(Event::Listening(&name, listener.local_addr()?));
        let target = Arc::clone(target);
        let answer = move |request: Request<Body>| handler::answer(Arc::clone(&target), request);
        serve_on(&mut servers, listener, Router::new().fallback(answer), ending.clone());
    }
    if let Some(address) = admin {
        let listener = bind(address).await?;
        report(Event::Listening("admin", listener.local_addr()?));
        let all = targets.iter().map(|(_, target)| Arc::clone(target)).collect();
        serve_on(&mut servers, listener, admin::router(Arc::new(all)), ending);
    }
    ended.await;
    drop(end);
    while servers.join_next().await.is_some() {}
    // They hold the targets, and the last of those writes what is queued.
    drop(readers);
    Ok(())
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
