//! The exact tier and the semantic tier over the same entries.
//!
//! After a start, entries come back in two steps: [`Tiers::restore`] puts them into the exact tier,
//! [`Tiers::build`] into the semantic one, unless a saved index has them. Requests are answered
//! meanwhile, so whatever is inserted or dropped between the two wins over what comes back.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rayon::prelude::*;
use rustix::process::nice;

use super::entry::{Entry, id_of};
use super::guards::Disagreement;
use super::index::Index;
use super::index::saved::{Identity, SavedShelf};
use super::key::{ExactKey, Partition};
use super::matcher::{Matcher, Verdict};
use super::question::Question;

/// Neighbours that are compared. The first that passes serves.
pub const CANDIDATES: usize = 4;
/// Neighbours of a lower cosine are not compared.
pub const NEAR: f32 = 0.5;
/// Entries that are put into the semantic tier side by side.
const CHUNK: usize = 1024;
/// How much everything else comes before that, in the steps of nice(2).
const NICE: i32 = 10;

/// Entries by key, and by what their questions mean. All methods may be called from several
/// threads.
pub struct Tiers {
    entries: Cache<u64, Arc<Entry>>,
    index: Arc<Index>,
    matcher: Matcher,
    restoring: Mutex<Restoring>,
    /// Entries that [`Tiers::build`] has not come to yet.
    unbuilt: AtomicUsize,
}

/// What happens while a store is read.
#[derive(Default)]
struct Restoring {
    reading: bool,
    /// Whether [`Tiers::build`] is called when it was read.
    building: bool,
    /// Whether everything was dropped meanwhile.
    cleared: bool,
    /// What was dropped meanwhile.
    removed: HashSet<u64>,
    /// Entries that the index does not have.
    pending: Vec<Arc<Entry>>,
}

/// What became of an entry that was read from a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restored {
    Kept,
    /// It is there already, in this version or a newer one, or has expired.
    Known,
    /// It was dropped while the store was read, which must drop it, too.
    Dropped,
}

/// How much there is, and how much of it can serve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// In the exact tier.
    pub entries: u64,
    /// Of them, by [`Entry::size`].
    pub bytes: u64,
    /// Whether more are being read from a store.
    pub reading: bool,
    /// Entries that cannot serve other questions yet.
    pub pending: u64,
}

/// An entry whose answer serves another question.
#[derive(Debug)]
pub struct NearHit {
    pub entry: Arc<Entry>,
    pub similarity: f32,
}

/// The result of looking for a similar question.
#[derive(Debug, Default)]
pub struct NearLookup {
    pub hit: Option<NearHit>,
    /// The guards that refused an entry which was similar enough.
    pub refused: Vec<Disagreement>,
}

struct Lifetime;

impl Expiry<u64, Arc<Entry>> for Lifetime {
    fn expire_after_create(&self, _: &u64, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(Duration::from_millis(entry.expires_ms.saturating_sub(super::now_ms())))
    }

    fn expire_after_update(
        &self,
        key: &u64,
        entry: &Arc<Entry>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, now)
    }
}

impl Tiers {
    /// Tiers that hold at most `max_bytes`, by [`Entry::size`]; the least recently used give way.
    /// `evicted` is called with each of those.
    pub fn new(
        matcher: Matcher,
        max_bytes: u64,
        evicted: impl Fn(&Entry) + Send + Sync + 'static,
    ) -> Self {
        let index = Arc::new(Index::default());
        let of_listener = Arc::clone(&index);
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.size()).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lifetime)
            .eviction_listener(move |id, entry: Arc<Entry>, cause| {
                // What replaces an entry stands in its place in the index too.
                if entry.question.is_some() && cause != RemovalCause::Replaced {
                    of_listener.remove(entry.partition, *id);
                }
                if cause == RemovalCause::Size {
                    evicted(&entry);
                }
            })
            .build();
        let (restoring, unbuilt) = (Mutex::default(), AtomicUsize::new(0));
        Tiers { entries, index, matcher, restoring, unbuilt }
    }

    fn restoring(&self) -> MutexGuard<'_, Restoring> {
        self.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of this very request.
    pub fn exact(&self, key: ExactKey) -> Option<Arc<Entry>> {
        self.entries.get(&id_of(key)).filter(|entry| entry.exact == key && is_fresh(entry))
    }

    /// Reads a question for [`Tiers::near`], with its vector where the built-in embedding does not
    /// make it.
    pub fn question(&self, text: &str, vector: Option<Vec<f32>>) -> Question {
        self.matcher.question_with(text, vector)
    }

    /// An entry of the partition whose answer serves this question too.
    pub fn near(&self, partition: Partition, question: &Question) -> NearLookup {
        let mut near = NearLookup::default();
        for neighbour in self.index.nearest(partition, &question.embedding, CANDIDATES) {
            if neighbour.cosine < NEAR {
                break;
            }
            let entry = self.entries.get(&neighbour.id);
            let Some(entry) = entry.filter(|it| it.partition == partition && is_fresh(it)) else {
                // Evicted between two steps of an insertion.
                self.index.remove(partition, neighbour.id);
                continue;
            };
            let Some(known) = self.question_of(&entry) else { continue };
            let Verdict { similarity, guards, .. } = self.matcher.judge(question, &known);
            if similarity < self.matcher.calibration.threshold {
                continue;
            }
            match guards {
                Ok(()) => {
                    near.hit = Some(NearHit { entry, similarity });
                    return near;
                }
                Err(disagreement) => near.refused.push(disagreement),
            }
        }
        near
    }

    /// Keeps an entry in both tiers.
    pub fn insert(&self, entry: Arc<Entry>) {
        let id = entry.id();
        if let Some(before) = self.entries.get(&id) {
            self.index.remove(before.partition, id);
        }
        {
            // So that an older one that is just being restored does not replace it.
            let _held = self.restoring();
            self.entries.insert(id, Arc::clone(&entry));
        }
        self.insert_near(&entry);
    }

    fn insert_near(&self, entry: &Entry) {
        if let Some(question) = self.question_of(entry) {
            self.index.insert(entry.partition, entry.id(), &question.embedding);
        }
    }

    /// Begins to restore entries; `building`: [`Tiers::build`] follows.
    pub fn begin(&self, building: bool) {
        let mut restoring = self.restoring();
        if !restoring.reading {
            let pending = std::mem::take(&mut restoring.pending);
            *restoring = Restoring { reading: true, building, pending, ..Restoring::default() };
        }
    }

    /// Keeps an entry that was read from a store in the exact tier; [`Tiers::build`] does the rest.
    pub fn restore(&self, entry: Arc<Entry>) -> Restored {
        let id = entry.id();
        let mut restoring = self.restoring();
        // The store is cleared, too.
        if restoring.cleared {
            return Restored::Known;
        }
        if restoring.removed.contains(&id) {
            let new = self.entries.contains_key(&id);
            return if new { Restored::Known } else { Restored::Dropped };
        }
        // Only what is there is asked for: that counts as a use.
        let ours = self.entries.contains_key(&id).then(|| self.entries.get(&id)).flatten();
        let newer = ours.is_some_and(|ours| ours.created_ms >= entry.created_ms);
        if newer || !is_fresh(&entry) {
            return Restored::Known;
        }
        self.entries.insert(id, Arc::clone(&entry));
        if restoring.building && entry.question.is_some() {
            restoring.pending.push(entry);
        }
        Restored::Kept
    }

    /// Ends what [`Tiers::begin`] began.
    pub fn end(&self) {
        let mut restoring = self.restoring();
        restoring.reading = false;
        restoring.removed = HashSet::new();
    }

    /// Takes a saved index over, without what is no longer there. What it does not have,
    /// [`Tiers::build`] adds. Returns whether all of it was of use.
    pub(super) fn take_over(&self, saved: Vec<SavedShelf>) -> bool {
        let mut useful = true;
        for mut shelf in saved {
            let gone = |id: &&u64| !self.entries.contains_key(*id);
            let gone: Vec<u64> = shelf.ids.par_iter().filter(gone).copied().collect();
            useful &= gone.is_empty();
            // A graph is searched the worse the more of it was removed.
            if 2 * gone.len() > shelf.ids.len() {
                continue;
            }
            shelf.remove(&gone);
            useful &= self.index.take_over(shelf);
        }
        useful
    }

    /// Puts into the semantic tier what was restored, newest first, on all cores but behind
    /// everything else, as long as `going_on`. Returns how many it did not have from a saved index.
    pub fn build(&self, going_on: impl Fn() -> bool + Sync) -> usize {
        let all = {
            let mut restoring = self.restoring();
            let all = std::mem::take(&mut restoring.pending);
            self.unbuilt.store(all.len(), Ordering::Relaxed);
            all
        };
        let missing = |entry: &Arc<Entry>| !self.index.contains(entry.partition, entry.id());
        let mut missing: Vec<Arc<Entry>> = all.into_par_iter().filter(missing).collect();
        missing.sort_unstable_by_key(|entry| Reverse(entry.created_ms));
        self.unbuilt.store(missing.len(), Ordering::Relaxed);
        let each = |entry: &Arc<Entry>| {
            let id = entry.id();
            if self.entries.contains_key(&id) {
                self.insert_near(entry);
                // Removed meanwhile, and so from the index before it was there.
                if !self.entries.contains_key(&id) {
                    self.index.remove(entry.partition, id);
                }
            }
            self.unbuilt.fetch_sub(1, Ordering::Relaxed);
        };
        let all = || {
            let chunks = missing.chunks(CHUNK).take_while(|_| going_on());
            chunks.for_each(|chunk| chunk.par_iter().for_each(each));
        };
        // Elsewhere it would be about the whole process.
        let begin = |_: usize| {
            if cfg!(target_os = "linux") {
                // It takes no rights, and at worst requests get less of the processor.
                let _ = nice(NICE);
            }
        };
        let pool = rayon::ThreadPoolBuilder::new().start_handler(begin);
        match pool.build() {
            Ok(pool) => pool.install(all),
            Err(_) => all(),
        }
        missing.len()
    }

    /// Writes the semantic tier to a file.
    pub(super) fn save(&self, path: &Path, identity: &Identity) -> io::Result<()> {
        let graphs = self.index.graphs().into_iter();
        let mut ids: HashMap<Partition, Vec<u64>> =
            graphs.map(|partition| (partition, Vec::new())).collect();
        if !ids.is_empty() {
            for (id, entry) in &self.entries {
                if let Some(ids) = ids.get_mut(&entry.partition)
                    && entry.question.is_some()
                {
                    ids.push(*id);
                }
            }
        }
        self.index.save(path, identity, &ids)
    }

    /// How often the semantic tier was changed.
    pub(super) fn changes(&self) -> u64 {
        self.index.changes()
    }

    /// What vectors in a saved index were made by.
    pub(super) fn vectors(&self) -> Identity {
        self.matcher.vectors()
    }

    fn question_of(&self, entry: &Entry) -> Option<Question> {
        let vector = entry.vector.as_deref();
        let vector = vector.map(|vector| vector.iter().copied().map(f32::from).collect());
        Some(self.matcher.question_with(entry.question.as_deref()?, vector))
    }

    /// Removes an entry, if it is there.
    pub fn remove(&self, id: u64) -> Option<Arc<Entry>> {
        let mut restoring = self.restoring();
        if restoring.reading {
            restoring.removed.insert(id);
        }
        drop(restoring);
        self.entries.remove(&id)
    }

    /// Removes all entries.
    pub fn clear(&self) {
        let mut restoring = self.restoring();
        restoring.cleared = restoring.reading;
        restoring.pending.clear();
        drop(restoring);
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    pub fn size(&self) -> Size {
        self.entries.run_pending_tasks();
        let restoring = self.restoring();
        let pending = restoring.pending.len() + self.unbuilt.load(Ordering::Relaxed);
        Size {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            reading: restoring.reading,
            pending: pending as u64,
        }
    }
}

fn is_fresh(entry: &Entry) -> bool {
    entry.expires_ms > super::now_ms()
}

#[cfg(test)]
mod tests;
