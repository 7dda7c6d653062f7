//! Lessons as `attribute.lua` writes them, and sums as they wait for the leader.

use crate::bandit::{Sample, Statistics};
use crate::serve::attribution::Lesson;

/// Reads the lessons of one entry; `None` for bytes that the script cannot have written.
///
/// One lesson: kind (1 learn, 2 correct), the reward before, reward, target, flags, propensity,
/// length, context; numbers are little-endian `f32`.
pub fn read(mut bytes: &[u8]) -> Option<Vec<Lesson>> {
    let mut lessons = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(16)?;
        let number = |at: usize| Some(f32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (before, reward) = (number(1)?, number(5)?);
        let (target, flags, propensity) = (head[9], head[10], number(11)?);
        let (packed, rest) = rest.split_at_checked(4 * usize::from(head[15]))?;
        bytes = rest;
        let (words, []) = packed.as_chunks::<4>() else { return None };
        let sample = |reward| Sample {
            context: words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            target: usize::from(target),
            propensity: f64::from(propensity),
            reward,
        };
        lessons.push(match head[0] {
            1 => Lesson::Learn { sample: sample(reward), drawn: flags & 1 != 0 },
            2 => Lesson::Correct { sample: sample(before), reward },
            _ => return None,
        });
    }
    Some(lessons)
}

/// What a consumer learnt from some entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    pub learnt: u32,
    pub corrected: u32,
    pub statistics: Statistics,
}

impl Sums {
    /// Nothing yet.
    pub fn new(targets: usize, dimensions: usize) -> Self {
        Sums { learnt: 0, corrected: 0, statistics: Statistics::new(targets, dimensions) }
    }

    /// Adds a lesson.
    pub fn add(&mut self, lesson: &Lesson) {
        match lesson {
            Lesson::Learn { sample, .. } => {
                self.learnt += 1;
                self.statistics.add(sample, 1.0);
            }
            Lesson::Correct { sample, reward } => {
                self.corrected += 1;
                self.statistics.correct(sample, *reward);
            }
        }
    }

    /// The layout in the list: two counts as little-endian `u32`, and the statistics.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.learnt, self.corrected].map(u32::to_le_bytes).concat();
        [counts, self.statistics.to_bytes()].concat()
    }

    /// The inverse of [`Sums::to_bytes`]; `None` for bytes of another shape.
    pub fn from_bytes(bytes: &[u8], targets: usize, dimensions: usize) -> Option<Self> {
        let (learnt, rest) = bytes.split_first_chunk::<4>()?;
        let (corrected, rest) = rest.split_first_chunk::<4>()?;
        let statistics = Statistics::from_bytes(rest, targets, dimensions)?;
        let [learnt, corrected] = [learnt, corrected].map(|count| u32::from_le_bytes(*count));
        Some(Sums { learnt, corrected, statistics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let sample = Sample { context: vec![2.0], target: 1, propensity: 0.25, reward: 0.5 };
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
    fn sums_survive_their_bytes() {
        let mut sums = Sums::new(2, 1);
        let sample = Sample { context: vec![2.0], target: 1, propensity: 0.25, reward: 0.5 };
        sums.add(&Lesson::Learn { sample: sample.clone(), drawn: true });
        sums.add(&Lesson::Correct { sample, reward: 1.0 });
        let bytes = sums.to_bytes();
        assert_eq!(Sums::from_bytes(&bytes, 2, 1), Some(sums));
        assert_eq!(Sums::from_bytes(&bytes[1..], 2, 1), None);
        assert_eq!(Sums::from_bytes(&bytes, 2, 2), None);
    }
}
