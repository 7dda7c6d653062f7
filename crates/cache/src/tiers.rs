//! The exact tier and the semantic tier over the same entries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::{Entry, id_of};
use super::guards::Disagreement;
use super::index::Index;
use super::key::{ExactKey, Partition};
use super::matcher::{Matcher, Verdict};
use super::question::Question;

/// Neighbours that are compared. The first that passes serves.
pub const CANDIDATES: usize = 4;
/// Neighbours of a lower cosine are not compared.
pub const NEAR: f32 = 0.5;

/// Entries by key, and by what their questions mean. All methods may be called from several
/// threads.
pub struct Tiers {
    entries: Cache<u64, Arc<Entry>>,
    index: Arc<Index>,
    matcher: Matcher,
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
        Tiers { entries, index, matcher }
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
        self.entries.insert(id, Arc::clone(&entry));
        if let Some(question) = self.question_of(&entry) {
            self.index.insert(entry.partition, id, &question.embedding);
        }
    }

    fn question_of(&self, entry: &Entry) -> Option<Question> {
        let vector = entry.vector.as_deref();
        let vector = vector.map(|vector| vector.iter().copied().map(f32::from).collect());
        Some(self.matcher.question_with(entry.question.as_deref()?, vector))
    }

    /// Removes an entry, if it is there.
    pub fn remove(&self, id: u64) -> Option<Arc<Entry>> {
        self.entries.remove(&id)
    }

    /// Removes all entries.
    pub fn clear(&self) {
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    /// How many entries there are, and their bytes by [`Entry::size`].
    pub fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

fn is_fresh(entry: &Entry) -> bool {
    entry.expires_ms > super::now_ms()
}
