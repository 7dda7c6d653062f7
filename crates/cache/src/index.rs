//! Nearest vectors within a partition.
//!
//! Most partitions are small (a tenant, a system prompt, a conversation) and are scanned, which
//! is exact. A large one becomes a graph (HNSW, by usearch).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use usearch::{IndexOptions, MetricKind, ScalarKind};

use super::key::Partition;

/// Vectors from which a partition becomes a graph: scanning this many takes as long as a search.
const SCANNED: usize = 4096;
/// Threads that may search one graph at the same time; others wait.
const THREADS: usize = 64;

/// An entry near to a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    pub id: u64,
    pub cosine: f32,
}

/// Vectors by partition. All methods may be called from several threads.
#[derive(Default)]
pub struct Index {
    shelves: RwLock<HashMap<Partition, Arc<RwLock<Shelf>>>>,
}

enum Shelf {
    Scanned { ids: Vec<u64>, vectors: Vec<i8> },
    Graph(usearch::Index),
}

impl Index {
    /// Adds a vector, as long as the partition's others. Returns whether it was added: not when
    /// its length is another, or there is no memory.
    pub fn insert(&self, partition: Partition, id: u64, vector: &[f32]) -> bool {
        let vector = quantise(vector);
        loop {
            // Held while inserting, so that the shelf is not cleared away meanwhile.
            let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(shelf) = shelves.get(&partition) {
                let shared = shelf.read().unwrap_or_else(PoisonError::into_inner);
                if !shared.takes(&vector) {
                    return false;
                }
                if let Some(added) = shared.insert_shared(id, &vector) {
                    return added;
                }
                drop(shared);
                let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
                return shelf.insert(id, &vector).is_ok();
            }
            drop(shelves);
            let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
            shelves.entry(partition).or_default();
        }
    }

    /// Removes an entry, if it is there.
    pub fn remove(&self, partition: Partition, id: u64) {
        let Some(shelf) = self.shelf(partition) else { return };
        let empty = {
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            shelf.remove(id);
            shelf.len() == 0
        };
        if empty {
            let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
            let still = |shelf: &Arc<RwLock<Shelf>>| {
                shelf.read().unwrap_or_else(PoisonError::into_inner).len() == 0
            };
            if shelves.get(&partition).is_some_and(still) {
                shelves.remove(&partition);
            }
        }
    }

    /// At most `count` entries, nearest first.
    pub fn nearest(&self, partition: Partition, vector: &[f32], count: usize) -> Vec<Neighbour> {
        let Some(shelf) = self.shelf(partition) else { return Vec::new() };
        let shelf = shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.nearest(&quantise(vector), count)
    }

    /// Entries in all partitions.
    pub fn len(&self) -> usize {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let length =
            |shelf: &Arc<RwLock<Shelf>>| shelf.read().unwrap_or_else(PoisonError::into_inner).len();
        shelves.values().map(length).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn shelf(&self, partition: Partition) -> Option<Arc<RwLock<Shelf>>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.get(&partition).cloned()
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf::Scanned { ids: Vec::new(), vectors: Vec::new() }
    }
}

/// A vector of another length, or no memory: usearch reports errors as text, and no others are left.
struct NotAdded;

impl Shelf {
    fn len(&self) -> usize {
        match self {
            Shelf::Scanned { ids, .. } => ids.len(),
            Shelf::Graph(graph) => graph.size(),
        }
    }

    /// Whether a vector has the length of those that are here.
    fn takes(&self, vector: &[i8]) -> bool {
        match self {
            Shelf::Scanned { ids, vectors } => {
                ids.is_empty() || vectors.len() == ids.len() * vector.len()
            }
            Shelf::Graph(graph) => graph.dimensions() == vector.len(),
        }
    }

    fn insert(&mut self, id: u64, vector: &[i8]) -> Result<(), NotAdded> {
        if !self.takes(vector) {
            return Err(NotAdded);
        }
        if let Shelf::Scanned { ids, vectors } = self {
            if ids.len() < SCANNED {
                ids.push(id);
                vectors.extend_from_slice(vector);
                return Ok(());
            }
            let graph = graph(vector.len())?;
            for (id, vector) in ids.iter().zip(vectors.chunks_exact(vector.len())) {
                add(&graph, *id, vector)?;
            }
            *self = Shelf::Graph(graph);
        }
        match self {
            Shelf::Graph(graph) => add(graph, id, vector),
            Shelf::Scanned { .. } => Ok(()),
        }
    }

    /// Adds to a graph that has room, in parallel with searches and other insertions; `None` when the
    /// shelf must be locked exclusively.
    fn insert_shared(&self, id: u64, vector: &[i8]) -> Option<bool> {
        match self {
            Shelf::Graph(graph) if graph.size() + THREADS < graph.capacity() => {
                Some(graph.add(id, vector).is_ok())
            }
            _ => None,
        }
    }

    fn remove(&mut self, id: u64) {
        match self {
            Shelf::Scanned { ids, vectors } => {
                if let Some(at) = ids.iter().position(|known| *known == id) {
                    // The last takes its place.
                    let length = vectors.len() / ids.len();
                    ids.swap_remove(at);
                    let last = vectors.len() - length;
                    vectors.copy_within(last.., at * length);
                    vectors.truncate(last);
                }
            }
            Shelf::Graph(graph) => {
                // Fails only for an id that is not there.
                let _ = graph.remove(id);
            }
        }
    }

    fn nearest(&self, vector: &[i8], count: usize) -> Vec<Neighbour> {
        if !self.takes(vector) {
            return Vec::new();
        }
        match self {
            Shelf::Scanned { ids, vectors } => {
                let rows = vectors.chunks_exact(vector.len());
                let mut all: Vec<Neighbour> = ids
                    .iter()
                    .zip(rows)
                    .map(|(id, row)| Neighbour { id: *id, cosine: cosine(vector, row) })
                    .collect();
                let order = |a: &Neighbour, b: &Neighbour| {
                    b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id))
                };
                if all.len() > count && count > 0 {
                    all.select_nth_unstable_by(count - 1, order);
                }
                all.truncate(count);
                all.sort_unstable_by(order);
                all
            }
            Shelf::Graph(graph) => {
                // More searches at once than there are threads for: a miss, not an error.
                let Ok(matches) = graph.search(vector, count) else { return Vec::new() };
                let pairs = matches.keys.iter().zip(&matches.distances);
                pairs.map(|(id, distance)| Neighbour { id: *id, cosine: 1.0 - distance }).collect()
            }
        }
    }
}

fn graph(dimensions: usize) -> Result<usearch::Index, NotAdded> {
    let options = IndexOptions {
        dimensions,
        metric: MetricKind::Cos,
        quantization: ScalarKind::I8,
        connectivity: 16,
        expansion_add: 64,
        expansion_search: 48,
        multi: false,
    };
    usearch::Index::new(&options).map_err(|_| NotAdded)
}

fn add(graph: &usearch::Index, id: u64, vector: &[i8]) -> Result<(), NotAdded> {
    if graph.size() + THREADS >= graph.capacity() {
        let capacity = (graph.capacity() * 2).max(2 * SCANNED);
        graph.reserve_capacity_and_threads(capacity, THREADS).map_err(|_| NotAdded)?;
    }
    graph.add(id, vector).map_err(|_| NotAdded)
}

/// To 8 bits a number; the scale does not matter to a cosine.
pub(super) fn quantise(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    vector.iter().map(|value| (value / largest * 127.0).round() as i8).collect()
}

fn cosine(a: &[i8], b: &[i8]) -> f32 {
    let dot = |a: &[i8], b: &[i8]| -> i32 {
        a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    let norms = dot(a, a) as f32 * dot(b, b) as f32;
    if norms > 0.0 { dot(a, b) as f32 / norms.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::super::key::Digest128;
    use super::*;

    const DIMENSIONS: usize = 128;
    const ONE: Partition = Digest128([1; 16]);
    const TWO: Partition = Digest128([2; 16]);

    fn vectors(count: usize) -> Vec<Vec<f32>> {
        let mut random = SmallRng::seed_from_u64(7);
        (0..count)
            .map(|_| (0..DIMENSIONS).map(|_| random.random::<f32>() - 0.5).collect())
            .collect()
    }

    #[test]
    fn partitions_do_not_see_each_other() {
        let (index, vectors) = (Index::default(), vectors(2));
        assert!(index.insert(ONE, 10, &vectors[0]));
        assert!(index.insert(TWO, 20, &vectors[0]));
        let found = index.nearest(ONE, &vectors[0], 5);
        assert_eq!(found.iter().map(|n| n.id).collect::<Vec<_>>(), [10]);
        assert!(found[0].cosine > 0.999);
        assert_eq!(index.nearest(Digest128([3; 16]), &vectors[0], 5), []);
    }

    #[test]
    fn removed_entries_are_gone_from_small_and_large_partitions() {
        for count in [3, SCANNED + 500] {
            let (index, vectors) = (Index::default(), vectors(count));
            for (id, vector) in vectors.iter().enumerate() {
                assert!(index.insert(ONE, id as u64, vector));
            }
            assert_eq!(index.len(), count);
            for id in [0, count - 1] {
                assert_eq!(index.nearest(ONE, &vectors[id], 1)[0].id, id as u64);
                index.remove(ONE, id as u64);
                assert!(index.nearest(ONE, &vectors[id], 3).iter().all(|n| n.id != id as u64));
            }
            assert_eq!(index.nearest(ONE, &vectors[1], 1)[0].id, 1);
            assert_eq!(index.len(), count - 2);
        }
    }

    #[test]
    fn vectors_of_another_length_do_not_meet_in_small_and_large_partitions() {
        for count in [3, SCANNED + 500] {
            let (index, vectors) = (Index::default(), vectors(count));
            for (id, vector) in vectors.iter().enumerate() {
                assert!(index.insert(ONE, id as u64, vector));
            }
            assert!(!index.insert(ONE, 1 << 40, &[1.0, 2.0]));
            assert_eq!(index.nearest(ONE, &[1.0, 2.0], 3), []);
            assert!(index.insert(TWO, 1, &[1.0, 2.0]));
            assert_eq!(index.nearest(TWO, &[1.0, 2.0], 3).len(), 1);
        }
    }

    #[test]
    fn an_empty_partition_is_cleared_away() {
        let (index, vectors) = (Index::default(), vectors(1));
        assert!(index.insert(ONE, 1, &vectors[0]));
        index.remove(ONE, 1);
        assert!(index.is_empty());
    }

    #[test]
    fn a_large_partition_finds_nearly_every_nearest() {
        let (index, vectors) = (Index::default(), vectors(SCANNED + 1000));
        for (id, vector) in vectors.iter().enumerate() {
            assert!(index.insert(ONE, id as u64, vector));
        }
        let found = (0..200).filter(|id| {
            let nearest = index.nearest(ONE, &vectors[id * 20], 1);
            nearest.first().is_some_and(|n| n.id == *id as u64 * 20)
        });
        assert!(found.count() >= 195);
    }
}
