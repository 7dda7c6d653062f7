//! Sums of updates, as they wait for the leader.

use std::collections::BTreeMap;

use crate::bandit::{Learners, Statistics, Update};
use pointsman_core::policy::bandit::SegmentId;

/// What a consumer has summed up of some entries, by segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums(pub BTreeMap<SegmentId, SegmentSums>);

/// The sums of one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentSums {
    pub learnt: u32,
    pub corrected: u32,
    pub statistics: Statistics,
}

/// Bytes of a segment before its statistics.
const HEAD: usize = 16;

impl Sums {
    /// Adds up updates. Only segments that have a learner are kept apart, so that there are few.
    pub fn of<'u>(updates: impl Iterator<Item = &'u Update>, learners: &Learners) -> Self {
        let (targets, dimensions) = (learners.options().targets.len(), learners.dimensions());
        let none = || SegmentSums {
            learnt: 0,
            corrected: 0,
            statistics: Statistics::new(targets, dimensions),
        };
        let mut sums = Sums(BTreeMap::new());
        for update in updates {
            let (Update::Learn { sample, .. } | Update::Correct { sample, .. }) = update;
            let part = sums.0.entry(learners.known(sample.segment)).or_insert_with(none);
            match update {
                Update::Learn { sample, .. } => {
                    part.learnt += 1;
                    part.statistics.add(sample, 1.0);
                }
                Update::Correct { sample, reward } => {
                    part.corrected += 1;
                    part.statistics.correct(sample, *reward);
                }
            }
        }
        sums
    }

    /// The layout in the list, for each segment: its ID as little-endian `u64`, two counts as
    /// `u32`, and the statistics.
    pub fn to_bytes(&self) -> Vec<u8> {
        let part = |(segment, part): (&SegmentId, &SegmentSums)| {
            let counts = [part.learnt, part.corrected].map(u32::to_le_bytes).concat();
            [segment.to_le_bytes().to_vec(), counts, part.statistics.to_bytes()].concat()
        };
        self.0.iter().flat_map(part).collect()
    }

    /// The inverse of [`Sums::to_bytes`]; `None` for bytes of another shape.
    pub fn from_bytes(bytes: &[u8], targets: usize, dimensions: usize) -> Option<Self> {
        let size = HEAD + Statistics::new(targets, dimensions).to_bytes().len();
        if !bytes.len().is_multiple_of(size) {
            return None;
        }
        let part = |bytes: &[u8]| {
            let (segment, rest) = bytes.split_first_chunk::<8>()?;
            let (learnt, rest) = rest.split_first_chunk::<4>()?;
            let (corrected, rest) = rest.split_first_chunk::<4>()?;
            let statistics = Statistics::from_bytes(rest, targets, dimensions)?;
            let [learnt, corrected] = [learnt, corrected].map(|count| u32::from_le_bytes(*count));
            let part = SegmentSums { learnt, corrected, statistics };
            Some((SegmentId::from_le_bytes(*segment), part))
        };
        bytes.chunks(size).map(part).collect::<Option<_>>().map(Sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandit::{ControllerOptions, Prior, Sample};
    use pointsman_core::policy::bandit::{EVERYTHING, segment_id};

    #[test]
    fn sums_are_kept_apart_by_the_segments_that_have_learners_and_survive_their_bytes() {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        let learners = Learners::new(options, Prior::cold(2), &["a".to_owned()]);
        let dimensions = learners.dimensions();
        let sample = |name: &str| Sample {
            context: vec![2.0; dimensions],
            target: 1,
            propensity: 0.25,
            reward: 0.5,
            segment: segment_id(name),
        };
        let learn = |name: &str| Update::Learn { sample: sample(name), drawn: true };
        let correct = Update::Correct { sample: sample("a"), reward: 1.0 };
        let updates = [learn("a"), learn("b"), learn(""), correct];
        let sums = Sums::of(updates.iter(), &learners);
        let counts = |segment| sums.0.get(&segment).map(|part| (part.learnt, part.corrected));
        assert_eq!(counts(segment_id("a")), Some((1, 1)));
        assert_eq!(counts(EVERYTHING), Some((2, 0)));
        assert_eq!(sums.0.len(), 2);
        let bytes = sums.to_bytes();
        assert_eq!(Sums::from_bytes(&bytes, 2, dimensions), Some(sums));
        assert_eq!(Sums::from_bytes(&bytes[1..], 2, dimensions), None);
        assert_eq!(Sums::from_bytes(&bytes, 2, dimensions + 1), None);
    }
}
