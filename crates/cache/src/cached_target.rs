//! The cache of one target: its tiers, its store, its upstream, its counters.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::HeaderName;

use super::endpoint::{Endpoint, PATIENCE};
use super::entry::{Entry, id_of};
use super::index::quantise;
use super::key::Limits;
use super::matcher::Matcher;
use super::metrics::{Metrics, count};
use super::question::Question;
use super::recent_hits::RecentHits;
use super::singleflight::Singleflight;
use super::store::{Change, File, News, Reader, Store, StoreError, StoreLocation, Writer};
use super::tiers::Tiers;
use super::trust::Trust;
use super::upstream::{BadUrl, SendError, Upstream};

/// The settings of one target's cache.
#[derive(Clone, Debug)]
pub struct TargetOptions {
    /// The target's name: its namespace.
    pub name: String,
    /// The model behind the cache: `http://` or `https://`.
    pub upstream: String,
    /// Whether an answer may also serve similar questions.
    pub semantic: bool,
    pub limits: Limits,
    /// How long an answer may serve.
    pub ttl: Duration,
    /// Memory for entries, in bytes.
    pub max_bytes: u64,
    /// Largest request body that is read.
    pub max_body_bytes: usize,
    /// Largest answer that is kept.
    pub max_answer_bytes: usize,
    /// A header, set by something trusted, that names the tenant; otherwise credentials do.
    pub tenant_header: Option<HeaderName>,
    /// Whether callers without credentials share answers.
    pub anonymous: bool,
    /// Headers that the operator knows to neither tell callers apart nor change answers.
    pub ignored_headers: Vec<HeaderName>,
    /// Where entries outlive the process.
    pub store: Option<StoreLocation>,
}

/// The last semantic hits, for which feedback is accepted.
const REMEMBERED: usize = 65_536;

pub(super) struct CachedTarget {
    pub(super) options: TargetOptions,
    pub(super) upstream: Upstream,
    pub(super) tiers: Tiers,
    embeddings: Option<Arc<Endpoint>>,
    pub(super) singleflight: Singleflight,
    pub(super) metrics: Arc<Metrics>,
    writer: Arc<OnceLock<Writer>>,
    near_hits: Mutex<RecentHits>,
    failed: Box<dyn Fn(&SendError) + Send + Sync>,
    /// When the next failure of the upstream is reported.
    complains_ms: AtomicU64,
}

/// How often failures of the upstream are reported, in milliseconds.
const COMPLAINT_MS: u64 = 10_000;

impl CachedTarget {
    pub(super) fn new(
        options: TargetOptions,
        matcher: Matcher,
        embeddings: Option<Arc<Endpoint>>,
        trust: &Trust,
        failed: impl Fn(&SendError) + Send + Sync + 'static,
    ) -> Result<Self, BadUrl> {
        let writer: Arc<OnceLock<Writer>> = Arc::default();
        let metrics = Arc::<Metrics>::default();
        let (of_listener, counters) = (Arc::clone(&writer), Arc::clone(&metrics));
        let evicted = move |entry: &Entry| {
            if let Some(writer) = of_listener.get()
                && !writer.send(Change::Evict(entry.exact))
            {
                count(&counters.store_errors);
            }
        };
        Ok(CachedTarget {
            upstream: Upstream::new(&options.upstream, trust)?,
            tiers: Tiers::new(matcher, options.max_bytes, evicted),
            embeddings,
            singleflight: Singleflight::default(),
            metrics,
            writer,
            near_hits: Mutex::new(RecentHits::new(REMEMBERED)),
            failed: Box::new(failed),
            complains_ms: AtomicU64::new(0),
            options,
        })
    }

    /// Reports why the upstream did not answer, now and then.
    pub(super) fn complain(&self, error: &SendError) {
        let (now, due) = (super::now_ms(), self.complains_ms.load(Ordering::Relaxed));
        let next = now + COMPLAINT_MS;
        let relaxed = Ordering::Relaxed;
        if now >= due && self.complains_ms.compare_exchange(due, next, relaxed, relaxed).is_ok() {
            (self.failed)(error);
        }
    }

    /// Reads the store, and writes to it from now on. A store that cannot be used is counted and
    /// reported; the cache runs without it. Changes of other replicas are read until the reader is
    /// dropped.
    pub(super) fn open_store(self: &Arc<Self>) -> (Option<Reader>, Result<(), StoreError>) {
        let (reader, opened) = match &self.options.store {
            None => return (None, Ok(())),
            Some(StoreLocation::File(path)) => {
                let opened = self.open_file(path);
                (None, opened.map_err(|error| StoreError::File { path: path.clone(), error }))
            }
            Some(StoreLocation::Redis(server)) => {
                let target = Arc::clone(self);
                let hear = move |news| target.hear(news);
                let (reader, store, opened) = Reader::start(server, &self.options.name, hear);
                self.write_to(store);
                (Some(reader), opened.map_err(StoreError::Redis))
            }
        };
        if opened.is_err() {
            count(&self.metrics.store_errors);
        }
        (reader, opened)
    }

    fn open_file(&self, path: &Path) -> rusqlite::Result<()> {
        let file = File::open(path)?;
        let damaged = file.load(super::now_ms(), |entry| self.tiers.insert(Arc::new(entry)))?;
        for _ in 0..damaged {
            count(&self.metrics.store_errors);
        }
        self.write_to(file);
        Ok(())
    }

    fn write_to(&self, store: impl Store) {
        let counters = Arc::clone(&self.metrics);
        // Set once: nobody else opens the store.
        let _ = self.writer.set(Writer::start(store, move || count(&counters.store_errors)));
    }

    /// Applies what the store has from other replicas.
    fn hear(&self, news: News) {
        match news {
            News::Change(Change::Insert(entry)) => {
                let ours = self.tiers.exact(entry.exact);
                if ours.is_none_or(|ours| ours.created_ms < entry.created_ms) {
                    self.tiers.insert(entry);
                }
            }
            News::Change(Change::Remove(exact) | Change::Evict(exact)) => {
                self.tiers.remove(id_of(exact));
            }
            News::Change(Change::Clear) => self.tiers.clear(),
            News::Failed => count(&self.metrics.store_errors),
        }
    }

    /// The model whose vectors are compared; empty for the built-in embedding.
    pub(super) fn embeddings(&self) -> &str {
        self.embeddings.as_ref().map_or("", |endpoint| endpoint.model())
    }

    /// Reads a question for the semantic tier; `None` when its vector is unavailable.
    pub(super) async fn read(&self, text: &str) -> Option<Question> {
        let Some(endpoint) = &self.embeddings else {
            return Some(self.tiers.question(text, None));
        };
        match endpoint.embed(&[text], PATIENCE).await {
            Ok(mut vectors) => Some(self.tiers.question(text, vectors.pop())),
            Err(_) => {
                count(&self.metrics.embedding_errors);
                None
            }
        }
    }

    /// A question's vector as it is stored.
    pub(super) fn vector(&self, question: &Question) -> Option<Box<[i8]>> {
        self.embeddings.is_some().then(|| quantise(&question.embedding).into())
    }

    pub(super) fn keep(&self, entry: Arc<Entry>) {
        self.tiers.insert(Arc::clone(&entry));
        self.change(Change::Insert(entry));
    }

    fn change(&self, change: Change) {
        if let Some(writer) = self.writer.get()
            && !writer.send(change)
        {
            count(&self.metrics.store_errors);
        }
    }

    /// Removes one entry by its ID; whether it was there.
    pub(super) fn remove(&self, id: u64) -> bool {
        let removed = self.tiers.remove(id);
        if let Some(entry) = &removed {
            self.change(Change::Remove(entry.exact));
        }
        removed.is_some()
    }

    /// Removes all entries.
    pub(super) fn purge(&self) {
        self.tiers.clear();
        self.change(Change::Clear);
    }

    /// Remembers that an entry has served another question than its own.
    pub(super) fn served_near(&self, id: u64) {
        self.near_hits.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// A reward for an answer from the cache. A bad one for an answer to another question is a
    /// suspected false hit, and the entry is dropped; returns whether it is one.
    pub(super) fn feedback(&self, id: u64, reward: f64) -> bool {
        const BAD: f64 = 0.5;
        let near_hits = self.near_hits.lock().unwrap_or_else(PoisonError::into_inner);
        let suspected = reward < BAD && near_hits.contains(id);
        drop(near_hits);
        if suspected {
            count(&self.metrics.suspected_false_hits);
            self.remove(id);
        }
        suspected
    }
}
