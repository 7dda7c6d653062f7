//! Lessons as `attribute.lua` writes them, and sums as they wait for the leader.

use std::collections::BTreeMap;

use crate::bandit::{Learners, Sample, Statistics};
use crate::serve::attribution::Lesson;
use pointsman_core::policy::bandit::SegmentId;

/// Reads the lessons of one entry; `None` for bytes that the script cannot have written.
///
/// One lesson: kind (1 learn, 2 correct), the reward before, reward, target, flags, propensity,
/// length, context, segment; numbers are little-endian, the segment `u64` and all others `f32`.
pub fn read(mut bytes: &[u8]) -> Option<Vec<Lesson>> {
    let mut lessons = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(16)?;
        let number = |at: usize| Some(f32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (before, reward) = (number(1)?, number(5)?);
        let (target, flags, propensity) = (head[9], head[10], number(11)?);
        let (packed, rest) = rest.split_at_checked(4 * usize::from(head[15]))?;
        let (segment, rest) = rest.split_first_chunk::<8>()?;
        bytes = rest;
        let (words, []) = packed.as_chunks::<4>() else { return None };
        let sample = |reward| Sample {
            context: words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            target: usize::from(target),
            propensity: f64::from(propensity),
            reward,
            segment: SegmentId::from_le_bytes(*segment),
        };
        lessons.push(match head[0] {
            1 => Lesson::Learn { sample: sample(reward), drawn: flags & 1 != 0 },
            2 => Lesson::Correct { sample: sample(before), reward },
            _ => return None,
        });
    }
    Some(lessons)
}

/// What a consumer learnt from some entries, by segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums(pub BTreeMap<SegmentId, Part>);

/// Of one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub learnt: u32,
    pub corrected: u32,
    pub statistics: Statistics,
}

/// Bytes of a part before its statistics.
const HEAD: usize = 16;

impl Sums {
    /// Adds up lessons. Only segments that have a learner are kept apart, so that there are few.
    pub fn of<'l>(lessons: impl Iterator<Item = &'l Lesson>, learners: &Learners) -> Self {
        let (targets, dimensions) = (learners.options().targets.len(), learners.dimensions());
        let none =
            || Part { learnt: 0, corrected: 0, statistics: Statistics::new(targets, dimensions) };
        let mut sums = Sums(BTreeMap::new());
        for lesson in lessons {
            let (Lesson::Learn { sample, .. } | Lesson::Correct { sample, .. }) = lesson;
            let part = sums.0.entry(learners.known(sample.segment)).or_insert_with(none);
            match lesson {
                Lesson::Learn { sample, .. } => {
                    part.learnt += 1;
                    part.statistics.add(sample, 1.0);
                }
                Lesson::Correct { sample, reward } => {
                    part.corrected += 1;
                    part.statistics.correct(sample, *reward);
                }
            }
        }
        sums
    }

    /// The layout in the list, for each part: the segment as little-endian `u64`, two counts as
    /// `u32`, and the statistics.
    pub fn to_bytes(&self) -> Vec<u8> {
        let part = |(segment, part): (&SegmentId, &Part)| {
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
            let part = Part { learnt, corrected, statistics };
            Some((SegmentId::from_le_bytes(*segment), part))
        };
        bytes.chunks(size).map(part).collect::<Option<_>>().map(Sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandit::{ControllerOptions, Prior};
    use pointsman_core::policy::bandit::{EVERYTHING, segment_id};

    #[test]
    fn lessons_are_read_whole_or_not_at_all() {
        let mut bytes = vec![1];
        for number in [0.0_f32, 0.5] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([1, 3]);
        bytes.extend(0.25_f32.to_le_bytes());
        bytes.push(1);
        bytes.extend(2.0_f32.to_le_bytes());
        bytes.extend(7_u64.to_le_bytes());
        let sample =
            Sample { context: vec![2.0], target: 1, propensity: 0.25, reward: 0.5, segment: 7 };
        let learn = Lesson::Learn { sample: sample.clone(), drawn: true };
        assert_eq!(read(&bytes), Some(vec![learn.clone()]));
        for end in 1..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end}");
        }
        let mut correct = bytes.clone();
        correct[0] = 2;
        let before = Sample { reward: 0.0, ..sample };
        let both = [bytes, correct].concat();
        assert_eq!(read(&both), Some(vec![learn, Lesson::Correct { sample: before, reward: 0.5 }]));
        assert_eq!(read(&[]), Some(Vec::new()));
    }

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
        let learn = |name: &str| Lesson::Learn { sample: sample(name), drawn: true };
        let correct = Lesson::Correct { sample: sample("a"), reward: 1.0 };
        let lessons = [learn("a"), learn("b"), learn(""), correct];
        let sums = Sums::of(lessons.iter(), &learners);
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
