//! The vectors of one partition.

use usearch::{IndexOptions, MetricKind, ScalarKind};

use super::Neighbour;

/// Vectors from which a partition becomes a graph: scanning this many takes as long as a search.
pub(super) const SCANNED: usize = 4096;
/// Threads that may search one graph at the same time; others wait.
const THREADS: usize = 64;

pub(super) enum Shelf {
    Scanned { ids: Vec<u64>, vectors: Vec<i8> },
    Graph(usearch::Index),
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf::Scanned { ids: Vec::new(), vectors: Vec::new() }
    }
}

/// A vector of another length, or no memory: usearch reports errors as text, and no others are left.
pub(super) struct NotAdded;

impl Shelf {
    pub(super) fn len(&self) -> usize {
        match self {
            Shelf::Scanned { ids, .. } => ids.len(),
            Shelf::Graph(graph) => graph.size(),
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        match self {
            Shelf::Scanned { ids, .. } => ids.contains(&id),
            Shelf::Graph(graph) => graph.contains(id),
        }
    }

    /// Whether a vector has the length of those that are here.
    pub(super) fn takes(&self, vector: &[i8]) -> bool {
        match self {
            Shelf::Scanned { ids, vectors } => {
                ids.is_empty() || vectors.len() == ids.len() * vector.len()
            }
            Shelf::Graph(graph) => graph.dimensions() == vector.len(),
        }
    }

    pub(super) fn insert(&mut self, id: u64, vector: &[i8]) -> Result<(), NotAdded> {
        if !self.takes(vector) {
            return Err(NotAdded);
        }
        if let Shelf::Scanned { ids, vectors } = self {
            if ids.contains(&id) {
                return Err(NotAdded);
            }
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
    pub(super) fn insert_shared(&self, id: u64, vector: &[i8]) -> Option<bool> {
        match self {
            Shelf::Graph(graph) if graph.size() + THREADS < graph.capacity() => {
                Some(graph.add(id, vector).is_ok())
            }
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
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

    pub(super) fn nearest(&self, vector: &[i8], count: usize) -> Vec<Neighbour> {
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

/// A graph as [`usearch::Index::save_to_buffer`] wrote it, whole: usearch trusts what it reads.
pub(super) fn read_graph(dimensions: usize, bytes: &[u8]) -> Result<Shelf, NotAdded> {
    let graph = graph(dimensions)?;
    graph.load_from_buffer(bytes).map_err(|_| NotAdded)?;
    let fits = graph.dimensions() == dimensions
        && graph.metric_kind() == MetricKind::Cos
        && graph.scalar_kind() == ScalarKind::I8;
    // It has room for what it holds, and for one search at a time.
    let capacity = graph.capacity() + graph.capacity() / 8 + 2 * SCANNED;
    graph.reserve_capacity_and_threads(capacity, THREADS).map_err(|_| NotAdded)?;
    if fits { Ok(Shelf::Graph(graph)) } else { Err(NotAdded) }
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

fn cosine(a: &[i8], b: &[i8]) -> f32 {
    let dot = |a: &[i8], b: &[i8]| -> i32 {
        a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    let norms = dot(a, a) as f32 * dot(b, b) as f32;
    if norms > 0.0 { dot(a, b) as f32 / norms.sqrt() } else { 0.0 }
}
