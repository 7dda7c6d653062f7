//! The listeners of `pointsman cache`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cached_target::{CachedTarget, TargetOptions};
use super::connection::{self, PATIENCE};
use super::endpoint::Endpoint;
use super::index::saved::BadIndex;
use super::indexer::{Complete, Progress, Report};
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

/// Connections of one address, at most.
const CONNECTIONS: usize = 4096;
/// File descriptors for each of them: its own, that to the upstream, and as many to spare.
const DESCRIPTORS: u64 = 4;

/// What an operator wants to know.
pub enum Event<'a> {
    /// What is served, and where.
    Listening(&'a str, SocketAddr),
    /// A target's store was read: entries. Requests for one of them were answered before.
    Loaded(&'a str, u64),
    /// A target's store could not be read to its end.
    BrokeOff(&'a str, StoreError),
    /// What was read serves similar questions, too.
    Indexed(&'a str, Complete),
    /// A target's saved index is not used, but built again.
    IndexNotUsed(&'a str, PathBuf, BadIndex),
    /// A target's index could not be saved.
    IndexNotSaved(&'a str, PathBuf, std::io::Error),
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
    let most = connections(targets.len() + usize::from(admin.is_some()));
    let (end, ending) = watch::channel(());
    let (mut servers, mut keepers) = (JoinSet::new(), Vec::new());
    for (address, target) in &targets {
        let listener = bind(*address).await?;
        let name = target.options.name.clone();
        let (report_of, of) = (Arc::clone(&report), name.clone());
        let told: Report = Arc::new(move |progress| {
            report_of(match progress {
                Progress::Loaded(entries) => Event::Loaded(&of, entries),
                Progress::BrokeOff(error) => Event::BrokeOff(&of, error),
                Progress::Complete(complete) => Event::Indexed(&of, complete),
                Progress::NotUsed(path, error) => Event::IndexNotUsed(&of, path, error),
                Progress::NotSaved(path, error) => Event::IndexNotSaved(&of, path, error),
            });
        });
        let (keeper, opened) = target.open_store(&told);
        keepers.push(keeper);
        if let Err(error) = opened {
            report(Event::NoStore(&name, error));
        }
        report(Event::Listening(&name, listener.local_addr()?));
        let target = Arc::clone(target);
        let answer = move |request: Request<Body>| handler::answer(Arc::clone(&target), request);
        let router = Router::new().fallback(answer);
        servers.spawn(connection::serve(listener, router, most, PATIENCE, ending.clone()));
    }
    if let Some(address) = admin {
        let listener = bind(address).await?;
        let local = listener.local_addr()?;
        report(Event::Listening("admin", local));
        let all = targets.iter().map(|(_, target)| Arc::clone(target)).collect();
        let router = admin::router(Arc::new(all), local.ip().is_loopback());
        servers.spawn(connection::serve(listener, router, most, PATIENCE, ending));
    }
    ended.await;
    drop(end);
    while servers.join_next().await.is_some() {}
    // They save the indexes. They hold the targets, and the last of those writes what is queued.
    drop(keepers);
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

/// How many connections each of the addresses takes, so that none leaves the others, the upstreams
/// and the stores without descriptors.
fn connections(addresses: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = descriptors / DESCRIPTORS / (addresses as u64).max(1);
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, CONNECTIONS)
}
