//! Which reward belongs to which decision, each counted once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::line::{Rank, Stored};
use crate::bandit::Sample;
use pointsman_core::control_plane::DecisionId;
use pointsman_core::policy::bandit::SegmentId;

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub accepted: u64,
    /// The same decision, or a reward from the same or a lesser source, again.
    pub duplicate: u64,
    /// Rewards that wait for their decision.
    pub early: u64,
    /// Rewards after the attribution window.
    pub late: u64,
    pub forged: u64,
    pub invalid: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.early += other.early;
        self.late += other.late;
        self.forged += other.forged;
        self.invalid += other.invalid;
    }
}

/// What the learner is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson {
    /// A decision got its reward.
    Learn { sample: Sample, drawn: bool },
    /// It got a better one: the sample holds the reward that was learnt before.
    Correct { sample: Sample, reward: f32 },
}

struct Pending {
    target: u8,
    drawn: bool,
    propensity: f32,
    context: Box<[f32]>,
    segment: SegmentId,
    at_ms: u64,
    rewarded: Option<(f32, Rank)>,
}

/// Decisions that may still get a reward, and rewards that came before their decision.
pub struct Attribution {
    window_ms: u64,
    limit: usize,
    pending: HashMap<DecisionId, Pending>,
    order: VecDeque<(u64, DecisionId)>,
    early: HashMap<DecisionId, (f32, Rank)>,
    early_order: VecDeque<(u64, DecisionId)>,
}

impl Attribution {
    /// For rewards within `window`, and at most `limit` decisions and as many early rewards.
    pub fn new(window: Duration, limit: usize) -> Self {
        Attribution {
            window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            limit,
            pending: HashMap::new(),
            order: VecDeque::new(),
            early: HashMap::new(),
            early_order: VecDeque::new(),
        }
    }

    /// Length of the window in milliseconds.
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// Decisions that wait.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Takes in a line that arrived at `now_ms` on our own clock; tells what follows from it.
    pub fn take(&mut self, line: &Stored, now_ms: u64, counts: &mut Counts) -> Option<Lesson> {
        self.expire(now_ms);
        match line {
            Stored::Decision { id, target, drawn, propensity, context, segment, .. } => {
                if self.pending.contains_key(id) {
                    counts.duplicate += 1;
                    return None;
                }
                counts.accepted += 1;
                let mut pending = Pending {
                    target: *target,
                    drawn: *drawn,
                    propensity: *propensity,
                    context: context.as_slice().into(),
                    segment: *segment,
                    at_ms: now_ms,
                    rewarded: None,
                };
                let lesson =
                    self.early.remove(id).and_then(|(reward, rank)| pending.reward(reward, rank));
                self.pending.insert(*id, pending);
                self.order.push_back((now_ms, *id));
                lesson
            }
            Stored::Feedback { id, reward, rank, .. } => {
                let Some(pending) = self.pending.get_mut(id) else {
                    self.keep_early(*id, *reward, *rank, now_ms, counts);
                    return None;
                };
                if now_ms.saturating_sub(pending.at_ms) > self.window_ms {
                    counts.late += 1;
                    return None;
                }
                if pending.rewarded.is_some_and(|(_, before)| before >= *rank) {
                    counts.duplicate += 1;
                    return None;
                }
                counts.accepted += 1;
                pending.reward(*reward, *rank)
            }
        }
    }

    fn keep_early(
        &mut self,
        id: DecisionId,
        reward: f32,
        rank: Rank,
        now_ms: u64,
        counts: &mut Counts,
    ) {
        if self.early.get(&id).is_some_and(|(_, before)| *before >= rank) {
            counts.duplicate += 1;
            return;
        }
        counts.early += 1;
        if self.early.insert(id, (reward, rank)).is_none() {
            self.early_order.push_back((now_ms, id));
        }
    }

    fn expire(&mut self, now_ms: u64) {
        let oldest = now_ms.saturating_sub(self.window_ms);
        let over = |order: &VecDeque<(u64, DecisionId)>, limit: usize| {
            order.front().is_some_and(|(at, _)| *at < oldest) || order.len() > limit
        };
        while over(&self.order, self.limit) {
            if let Some((_, id)) = self.order.pop_front() {
                self.pending.remove(&id);
            }
        }
        while over(&self.early_order, self.limit) {
            if let Some((_, id)) = self.early_order.pop_front() {
                self.early.remove(&id);
            }
        }
    }
}

impl Pending {
    fn reward(&mut self, reward: f32, rank: Rank) -> Option<Lesson> {
        let before = self.rewarded.replace((reward, rank));
        if self.context.is_empty() {
            return None;
        }
        let sample = |reward| Sample {
            context: self.context.to_vec(),
            target: usize::from(self.target),
            propensity: f64::from(self.propensity),
            reward,
            segment: self.segment,
        };
        Some(match before {
            Some((before, _)) => Lesson::Correct { sample: sample(before), reward },
            None => Lesson::Learn { sample: sample(reward), drawn: self.drawn },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::policy::bandit::EVERYTHING;

    fn decision(id: u8) -> Stored {
        Stored::Decision {
            id: [id; 16],
            target: 1,
            drawn: true,
            explored: false,
            propensity: 0.5,
            context: vec![1.0],
            segment: EVERYTHING,
        }
    }

    fn feedback(id: u8, reward: f32, rank: Rank) -> Stored {
        Stored::Feedback { id: [id; 16], reward, rank, cache_id: None }
    }

    fn attribution() -> Attribution {
        Attribution::new(Duration::from_secs(10), 100)
    }

    fn sample(reward: f32) -> Sample {
        Sample { context: vec![1.0], target: 1, propensity: 0.5, reward, segment: EVERYTHING }
    }

    #[test]
    fn a_reward_counts_once_however_often_it_comes() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        assert_eq!(attribution.take(&decision(1), 0, &mut counts), None);
        let reward = feedback(1, 1.0, Rank::Explicit);
        let lesson = attribution.take(&reward, 1, &mut counts);
        assert_eq!(lesson, Some(Lesson::Learn { sample: sample(1.0), drawn: true }));
        assert_eq!(attribution.take(&reward, 2, &mut counts), None);
        assert_eq!(attribution.take(&decision(1), 3, &mut counts), None);
        assert_eq!((counts.accepted, counts.duplicate), (2, 2));
    }

    #[test]
    fn a_reward_may_come_before_its_decision() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        let reward = feedback(1, 0.5, Rank::Explicit);
        assert_eq!(attribution.take(&reward, 0, &mut counts), None);
        assert_eq!(attribution.take(&reward, 0, &mut counts), None);
        let lesson = attribution.take(&decision(1), 1, &mut counts);
        assert_eq!(lesson, Some(Lesson::Learn { sample: sample(0.5), drawn: true }));
        assert_eq!((counts.early, counts.duplicate), (1, 1));
    }

    #[test]
    fn an_explicit_reward_corrects_an_implicit_one_and_not_the_other_way() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        attribution.take(&decision(1), 0, &mut counts);
        attribution.take(&feedback(1, 1.0, Rank::Implicit), 1, &mut counts);
        let lesson = attribution.take(&feedback(1, 0.0, Rank::Explicit), 2, &mut counts);
        assert_eq!(lesson, Some(Lesson::Correct { sample: sample(1.0), reward: 0.0 }));
        assert_eq!(attribution.take(&feedback(1, 1.0, Rank::AskedAgain), 3, &mut counts), None);
        assert_eq!(counts.duplicate, 1);
    }

    #[test]
    fn the_window_and_the_limit_bound_what_is_held() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        attribution.take(&decision(1), 0, &mut counts);
        attribution.take(&feedback(1, 1.0, Rank::Explicit), 10_001, &mut counts);
        assert_eq!((counts.accepted, attribution.waiting()), (1, 0));
        let mut attribution = Attribution::new(Duration::from_secs(10), 3);
        for id in 0..50 {
            attribution.take(&decision(id), 0, &mut counts);
            attribution.take(&feedback(100 + id, 1.0, Rank::Explicit), 0, &mut counts);
        }
        assert!(attribution.waiting() <= 4 && attribution.early.len() <= 4);
    }

    #[test]
    fn a_decision_without_a_context_teaches_nothing() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        let mut bare = decision(1);
        if let Stored::Decision { context, .. } = &mut bare {
            context.clear();
        }
        attribution.take(&bare, 0, &mut counts);
        assert_eq!(attribution.take(&feedback(1, 1.0, Rank::Explicit), 1, &mut counts), None);
        assert_eq!(counts.accepted, 2);
    }
}
