//! The last semantic hits: feedback is accepted for these.

use std::collections::{HashMap, VecDeque};

/// The IDs of the last `capacity` hits. An ID that was hit several times is in it several times.
pub(super) struct RecentHits {
    capacity: usize,
    ring: VecDeque<u64>,
    /// How often each ID is in the ring.
    counts: HashMap<u64, usize>,
}

impl RecentHits {
    pub(super) fn new(capacity: usize) -> Self {
        RecentHits { capacity, ring: VecDeque::new(), counts: HashMap::new() }
    }

    /// Adds a hit; the oldest gives way.
    pub(super) fn push(&mut self, id: u64) {
        if self.ring.len() == self.capacity
            && let Some(oldest) = self.ring.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.ring.push_back(id);
        *self.counts.entry(id).or_default() += 1;
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.counts.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_as_long_as_one_of_its_hits_is_recent() {
        let mut hits = RecentHits::new(3);
        [1, 2, 1, 3].into_iter().for_each(|id| hits.push(id));
        assert!(hits.contains(1) && hits.contains(2) && hits.contains(3));
        hits.push(4);
        assert!(hits.contains(1) && !hits.contains(2));
        hits.push(4);
        assert!(!hits.contains(1) && hits.contains(3) && hits.contains(4));
    }
}
