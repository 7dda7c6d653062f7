//! The cache of one target: its tiers, its store, its upstream, its counters.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::HeaderName;
use sha2::{Digest, Sha256};

use super::endpoint::{Endpoint, PATIENCE};
use super::entry::{Entry, id_of};
use super::index::quantise;
use super::indexer::{IndexFile, Indexer, Progress, Report, WasRead};
use super::key::{ExactKey, Limits, hash_part};
use super::matcher::Matcher;
use super::metrics::{Metrics, count};
use super::question::Question;
use super::recent_hits::RecentHits;
use super::singleflight::Singleflight;
use super::store::{
    Change, Desk, File, Finder, Loading, News, Reader, Server, Store, StoreError, StoreLocation,
    Writer, desk,
};
use super::tiers::{Restored, Tiers};
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
    /// The file of the semantic tier's index, so that a restart need not build it; for a target
    /// with a store.
    pub index: Option<PathBuf>,
}

/// The last semantic hits, for which feedback is accepted.
const REMEMBERED: usize = 65_536;

pub(super) struct CachedTarget {
    pub(super) options: TargetOptions,
    pub(super) upstream: Upstream,
    pub(super) tiers: Arc<Tiers>,
    embeddings: Option<Arc<Endpoint>>,
    pub(super) singleflight: Singleflight,
    pub(super) metrics: Arc<Metrics>,
    writer: Arc<OnceLock<Writer>>,
    /// Looks up what was not read from the store yet.
    finder: OnceLock<Finder>,
    /// Whether the store is being read.
    reading: Arc<AtomicBool>,
    near_hits: Mutex<RecentHits>,
    failed: Box<dyn Fn(&SendError) + Send + Sync>,
    /// When the next failure of the upstream is reported.
    complains_ms: AtomicU64,
}

/// How often failures of the upstream are reported, in milliseconds.
const COMPLAINT_MS: u64 = 10_000;

/// What goes on while a target is served; dropped in this order.
#[derive(Default)]
pub(super) struct Keeper {
    _reader: Option<Reader>,
    _indexer: Option<Indexer>,
}

/// The beginning and the end of reading a store.
struct Reading {
    tiers: Arc<Tiers>,
    under_way: Arc<AtomicBool>,
    /// `None` without a semantic tier.
    was_read: Option<WasRead>,
    /// Whether it was read before.
    before: AtomicBool,
    report: Report,
}

impl Reading {
    fn begin(&self) {
        self.under_way.store(true, Ordering::Relaxed);
        self.tiers.begin(self.was_read.is_some());
    }

    fn end(&self) {
        self.tiers.end();
        self.under_way.store(false, Ordering::Relaxed);
        if !self.before.swap(true, Ordering::Relaxed) {
            (self.report)(Progress::Loaded(self.tiers.size().entries));
        }
        if let Some(was_read) = &self.was_read {
            was_read.report();
        }
    }
}

fn at(path: &Path, error: rusqlite::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), error }
}

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
        let reading = Arc::<AtomicBool>::default();
        let still = Arc::clone(&reading);
        let evicted = move |entry: &Entry| {
            // What there is no memory for after a start may be much, and expires in the store.
            if !still.load(Ordering::Relaxed)
                && let Some(writer) = of_listener.get()
                && !writer.send(Change::Evict(entry.exact))
            {
                count(&counters.store_errors);
            }
        };
        Ok(CachedTarget {
            upstream: Upstream::new(&options.upstream, trust)?,
            tiers: Arc::new(Tiers::new(matcher, options.max_bytes, evicted)),
            embeddings,
            singleflight: Singleflight::default(),
            metrics,
            writer,
            finder: OnceLock::new(),
            reading,
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

    /// Begins to read the store, and writes to it from now on. A store that cannot be used is
    /// counted and reported; the cache runs without it. Changes of other replicas are read, and the
    /// index is looked after, until what is returned is dropped.
    pub(super) fn open_store(
        self: &Arc<Self>,
        report: &Report,
    ) -> (Keeper, Result<(), StoreError>) {
        let (keeper, opened) = match &self.options.store {
            None => return (Keeper::default(), Ok(())),
            Some(StoreLocation::File(path)) => match self.open_file(path, report) {
                Ok(keeper) => (keeper, Ok(())),
                Err(error) => (Keeper::default(), Err(at(path, error))),
            },
            Some(StoreLocation::Redis(server)) => self.open_redis(server, report),
        };
        if opened.is_err() {
            count(&self.metrics.store_errors);
        }
        (keeper, opened)
    }

    fn open_file(&self, path: &Path, report: &Report) -> rusqlite::Result<Keeper> {
        let file = File::open(path)?;
        let indexer = self.indexer(report);
        let reading = self.reading(indexer.as_ref(), report);
        reading.begin();
        let (tiers, counters) = (Arc::clone(&self.tiers), Arc::clone(&self.metrics));
        let restore = move |entry| tiers.restore(entry) != Restored::Dropped;
        let loading = Loading { most: self.options.max_bytes, desk: self.desk(), restore };
        let path = path.to_owned();
        self.write_to(file, move |file, changes| {
            let loaded = loading.run(file, changes);
            (0..loaded.errors).for_each(|_| count(&counters.store_errors));
            if let Some(error) = loaded.broke_off {
                count(&counters.store_errors);
                (reading.report)(Progress::BrokeOff(at(&path, error)));
            }
            reading.end();
        });
        Ok(Keeper { _reader: None, _indexer: indexer })
    }

    fn open_redis(
        self: &Arc<Self>,
        server: &Server,
        report: &Report,
    ) -> (Keeper, Result<(), StoreError>) {
        let indexer = self.indexer(report);
        let reading = self.reading(indexer.as_ref(), report);
        let target = Arc::clone(self);
        let hear = move |news| target.hear(news, &reading);
        let (reader, store, opened) = Reader::start(server, &self.options.name, self.desk(), hear);
        self.write_to(store, |_, _| {});
        (Keeper { _reader: Some(reader), _indexer: indexer }, opened.map_err(StoreError::Redis))
    }

    fn indexer(&self, report: &Report) -> Option<Indexer> {
        let file = |path: &PathBuf| {
            let mut identity = Sha256::new();
            hash_part(&mut identity, self.options.name.as_bytes());
            hash_part(&mut identity, self.embeddings().as_bytes());
            identity.update(self.tiers.vectors());
            IndexFile { path: path.clone(), identity: identity.finalize().into() }
        };
        self.options.semantic.then(|| {
            let file = self.options.index.as_ref().map(file);
            Indexer::start(Arc::clone(&self.tiers), file, Arc::clone(report))
        })
    }

    fn reading(&self, indexer: Option<&Indexer>, report: &Report) -> Reading {
        Reading {
            tiers: Arc::clone(&self.tiers),
            under_way: Arc::clone(&self.reading),
            was_read: indexer.map(Indexer::was_read),
            before: AtomicBool::new(false),
            report: Arc::clone(report),
        }
    }

    /// Where entries are asked for until all are read.
    fn desk(&self) -> Desk {
        let (finder, desk) = desk();
        // Set once: nobody else opens the store.
        let _ = self.finder.set(finder);
        desk
    }

    fn write_to<S: Store>(
        &self,
        store: S,
        first: impl FnOnce(&mut S, &Receiver<Change>) + Send + 'static,
    ) {
        let counters = Arc::clone(&self.metrics);
        let writer = Writer::start(store, first, move || count(&counters.store_errors));
        // As above.
        let _ = self.writer.set(writer);
    }

    /// Applies what the store has from other replicas.
    fn hear(&self, news: News, reading: &Reading) {
        match news {
            News::Begin => reading.begin(),
            News::End => reading.end(),
            News::Restored(entry) => {
                let exact = entry.exact;
                if self.tiers.restore(entry) == Restored::Dropped {
                    self.change(Change::Remove(exact));
                }
            }
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

    /// The entry of this very request, also when it was not read from the store yet.
    pub(super) async fn exact(&self, key: ExactKey) -> Option<Arc<Entry>> {
        if let Some(entry) = self.tiers.exact(key) {
            return Some(entry);
        }
        let finder = self.finder.get()?;
        if let Some(entry) = finder.find(key).await {
            self.tiers.restore(entry);
        }
        // By now all may have been read.
        self.tiers.exact(key)
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
