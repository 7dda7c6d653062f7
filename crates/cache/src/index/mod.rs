//! Nearest vectors within a partition.
//!
//! Most partitions are small (a tenant, a system prompt, a conversation) and are scanned, which
//! is exact. A large one becomes a graph (HNSW, by usearch). Building that takes minutes for a
//! million vectors, so an index can be saved and taken over.

mod place;
pub(super) mod saved;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::key::Partition;
use place::{Change, Place};
use shelf::Shelf;

/// An entry near to a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    pub id: u64,
    pub cosine: f32,
}

/// Vectors by partition. All methods may be called from several threads.
#[derive(Default)]
pub struct Index {
    places: RwLock<HashMap<Partition, Arc<Place>>>,
    changes: AtomicU64,
}

impl Index {
    /// Adds a vector, as long as the partition's others. Returns whether it was added: not when
    /// its length is another, its ID is there, or there is no memory. While the partition is being
    /// saved, it waits, and counts as added.
    pub fn insert(&self, partition: Partition, id: u64, vector: &[f32]) -> bool {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let change = Change::Insert(id, quantise(vector));
        loop {
            // Held while inserting, so that the place is not cleared away meanwhile.
            let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = places.get(&partition) {
                return place.change(change);
            }
            drop(places);
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            places.entry(partition).or_default();
        }
    }

    /// Removes an entry, if it is there.
    pub fn remove(&self, partition: Partition, id: u64) {
        let Some(place) = self.place(partition) else { return };
        self.changes.fetch_add(1, Ordering::Relaxed);
        place.change(Change::Remove(id));
        self.clear_away(partition, &place);
    }

    fn clear_away(&self, partition: Partition, place: &Place) {
        if place.is_empty() {
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            // What waits is added when it was saved, and this is called again.
            if places.get(&partition).is_some_and(|place| place.is_empty() && place.is_open()) {
                places.remove(&partition);
            }
        }
    }

    /// At most `count` entries, nearest first.
    pub fn nearest(&self, partition: Partition, vector: &[f32], count: usize) -> Vec<Neighbour> {
        let Some(place) = self.place(partition) else { return Vec::new() };
        place.shelf().nearest(&quantise(vector), count)
    }

    /// Whether an entry is there.
    pub fn contains(&self, partition: Partition, id: u64) -> bool {
        self.place(partition).is_some_and(|place| place.shelf().contains(id))
    }

    /// Entries in all partitions.
    pub fn len(&self) -> usize {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.values().map(|place| place.shelf().len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.places.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Insertions and removals so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Gives a partition this shelf, with what it has itself. Returns whether it did: not when the
    /// partition is large.
    fn replace(&self, partition: Partition, shelf: Shelf) -> bool {
        // No insertion is under way meanwhile.
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let before = match places.get(&partition).map(|place| place.shelf()).as_deref() {
            None => Vec::new(),
            Some(Shelf::Scanned { ids, vectors }) => {
                let length = vectors.len().checked_div(ids.len()).unwrap_or_default().max(1);
                let vectors = vectors.chunks_exact(length).map(<[i8]>::to_vec);
                ids.iter().copied().zip(vectors).collect()
            }
            Some(Shelf::Graph(_)) => return false,
        };
        let place = Arc::new(Place::new(shelf));
        places.insert(partition, Arc::clone(&place));
        drop(places);
        for (id, vector) in before {
            place.change(Change::Insert(id, vector));
        }
        true
    }

    fn place(&self, partition: Partition) -> Option<Arc<Place>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(&partition).cloned()
    }

    fn places(&self) -> Vec<(Partition, Arc<Place>)> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.iter().map(|(partition, place)| (*partition, Arc::clone(place))).collect()
    }
}

/// To 8 bits a number; the scale does not matter to a cosine.
pub(super) fn quantise(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    vector.iter().map(|value| (value / largest * 127.0).round() as i8).collect()
}
