//! Which reward belongs to which decision, each counted once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::bandit::Update;
use crate::serve::journal::Counts;
use crate::serve::line::{Decision, Rank, Stored};
use pointsman_core::control_plane::DecisionId;

/// A decision that may still get a reward, or a better one.
struct Pending {
    decision: Decision,
    rewarded: Option<(f32, Rank)>,
}

/// Decisions that may still get a reward, and rewards that came before their decision.
pub struct Attribution {
    window_ms: u64,
    limit: usize,
    pending: Aging<Pending>,
    /// Of these, those without a reward.
    unrewarded: usize,
    early: Aging<(f32, Rank)>,
    /// Decisions whose window is over, for another window or until a restart: their rewards are
    /// late.
    over: Aging<()>,
}

impl Attribution {
    /// For rewards within `window`; holds `limit` decisions, and as many early rewards, at most.
    pub fn new(window: Duration, limit: usize) -> Self {
        Attribution {
            window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            limit,
            pending: Aging::default(),
            unrewarded: 0,
            early: Aging::default(),
            over: Aging::default(),
        }
    }

    /// Length of the window in milliseconds.
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// Decisions that have no reward and may still get one.
    pub fn waiting(&self) -> usize {
        self.unrewarded
    }

    /// Takes in a line that arrived at `now_ms` on our own clock, counts it, and returns what
    /// follows from it.
    pub fn take(&mut self, line: &Stored, now_ms: u64, counts: &mut Counts) -> Option<Update> {
        self.expire(now_ms);
        match line {
            Stored::Decision { id, decision } => {
                if self.pending.entries.contains_key(id) {
                    counts.duplicate += 1;
                    return None;
                }
                counts.accepted += 1;
                let mut pending = Pending { decision: decision.clone(), rewarded: None };
                let early = self.early.entries.remove(id);
                let update = early.and_then(|(reward, rank)| pending.reward(reward, rank));
                self.unrewarded += usize::from(pending.rewarded.is_none());
                self.pending.insert(*id, pending, now_ms);
                update
            }
            Stored::Feedback { id, reward, rank, .. } => {
                let Some(pending) = self.pending.entries.get_mut(id) else {
                    self.without_decision(*id, *reward, *rank, now_ms, counts);
                    return None;
                };
                if pending.rewarded.is_some_and(|(_, before)| before >= *rank) {
                    counts.duplicate += 1;
                    return None;
                }
                counts.accepted += 1;
                self.unrewarded -= usize::from(pending.rewarded.is_none());
                pending.reward(*reward, *rank)
            }
        }
    }

    fn without_decision(
        &mut self,
        id: DecisionId,
        reward: f32,
        rank: Rank,
        now_ms: u64,
        counts: &mut Counts,
    ) {
        if self.over.entries.contains_key(&id) {
            counts.late += 1;
        } else if self.early.entries.get(&id).is_some_and(|(_, before)| *before >= rank) {
            counts.duplicate += 1;
        } else {
            counts.early += 1;
            self.early.insert(id, (reward, rank), now_ms);
        }
    }

    fn expire(&mut self, now_ms: u64) {
        let oldest = now_ms.saturating_sub(self.window_ms);
        let unrewarded = |gone: &Pending| usize::from(gone.rewarded.is_none());
        while let Some((at_ms, id, gone)) = self.pending.remove_before(oldest) {
            self.unrewarded -= gone.as_ref().map_or(0, unrewarded);
            self.over.insert(id, (), at_ms);
        }
        while self.over.remove_before(oldest.saturating_sub(self.window_ms)).is_some() {}
        while self.early.remove_before(oldest).is_some() {}
        let gone = self.pending.shorten(self.limit);
        self.unrewarded -= gone.iter().map(unrewarded).sum::<usize>();
        self.over.shorten(self.limit);
        self.early.shorten(self.limit);
    }
}

impl Pending {
    fn reward(&mut self, reward: f32, rank: Rank) -> Option<Update> {
        let before = self.rewarded.replace((reward, rank));
        if self.decision.context.is_empty() {
            return None;
        }
        Some(match before {
            Some((before, _)) => Update::Correct { sample: self.decision.sample(before), reward },
            None => {
                Update::Learn { sample: self.decision.sample(reward), drawn: self.decision.drawn }
            }
        })
    }
}

/// Entries by ID that leave in the order in which they came.
struct Aging<V> {
    entries: HashMap<DecisionId, V>,
    order: VecDeque<(u64, DecisionId)>,
}

impl<V> Default for Aging<V> {
    fn default() -> Self {
        Aging { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Aging<V> {
    /// Adds an entry, or replaces its value: its age stays.
    fn insert(&mut self, id: DecisionId, value: V, at_ms: u64) {
        if self.entries.insert(id, value).is_none() {
            self.order.push_back((at_ms, id));
        }
    }

    /// Removes the oldest entry if it is older than `oldest`.
    fn remove_before(&mut self, oldest: u64) -> Option<(u64, DecisionId, Option<V>)> {
        let (at_ms, id) = self.order.pop_front_if(|(at_ms, _)| *at_ms < oldest)?;
        Some((at_ms, id, self.entries.remove(&id)))
    }

    /// Removes the oldest entries beyond the limit.
    fn shorten(&mut self, limit: usize) -> Vec<V> {
        let beyond = self.order.len().saturating_sub(limit);
        self.order.drain(..beyond).filter_map(|(_, id)| self.entries.remove(&id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandit::Sample;
    use pointsman_core::policy::bandit::EVERYTHING;

    fn decision(id: u8) -> Stored {
        let decision = Decision {
            target: 1,
            drawn: true,
            explored: false,
            propensity: 0.5,
            context: [1.0].into(),
            segment: EVERYTHING,
        };
        Stored::Decision { id: [id; 16], decision }
    }

    fn feedback(id: u8, reward: f32, rank: Rank) -> Stored {
        Stored::Feedback { id: [id; 16], reward, rank, cache_id: None, bad: None }
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
        let update = attribution.take(&reward, 1, &mut counts);
        assert_eq!(update, Some(Update::Learn { sample: sample(1.0), drawn: true }));
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
        let update = attribution.take(&decision(1), 1, &mut counts);
        assert_eq!(update, Some(Update::Learn { sample: sample(0.5), drawn: true }));
        assert_eq!((counts.early, counts.duplicate), (1, 1));
    }

    #[test]
    fn an_explicit_reward_corrects_an_implicit_one_and_not_the_other_way() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        attribution.take(&decision(1), 0, &mut counts);
        attribution.take(&feedback(1, 1.0, Rank::Implicit), 1, &mut counts);
        let update = attribution.take(&feedback(1, 0.0, Rank::Explicit), 2, &mut counts);
        assert_eq!(update, Some(Update::Correct { sample: sample(1.0), reward: 0.0 }));
        assert_eq!(attribution.take(&feedback(1, 1.0, Rank::AskedAgain), 3, &mut counts), None);
        assert_eq!(counts.duplicate, 1);
    }

    #[test]
    fn the_window_and_the_limit_bound_what_is_held() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        attribution.take(&decision(1), 0, &mut counts);
        attribution.take(&feedback(1, 1.0, Rank::Explicit), 10_001, &mut counts);
        assert_eq!((counts.accepted, attribution.waiting()), (1, 0));
        assert_eq!((counts.late, counts.early), (1, 0));
        // Nothing is known forever.
        attribution.take(&feedback(1, 1.0, Rank::Explicit), 20_001, &mut counts);
        assert_eq!((counts.late, counts.early), (1, 1));
        let mut attribution = Attribution::new(Duration::from_secs(10), 3);
        for id in 0..50 {
            attribution.take(&decision(id), 0, &mut counts);
            attribution.take(&feedback(100 + id, 1.0, Rank::Explicit), 0, &mut counts);
        }
        assert!(attribution.pending.entries.len() <= 4 && attribution.early.entries.len() <= 4);
        assert_eq!(attribution.waiting(), attribution.pending.entries.len());
    }

    #[test]
    fn those_that_wait_have_no_reward() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        attribution.take(&feedback(9, 1.0, Rank::Explicit), 0, &mut counts);
        let mut waiting = |line: Stored, at_ms: u64| {
            attribution.take(&line, at_ms, &mut counts);
            attribution.waiting()
        };
        assert_eq!(waiting(decision(1), 0), 1);
        assert_eq!(waiting(decision(9), 0), 1, "its reward was there already");
        assert_eq!(waiting(decision(2), 5_000), 2);
        assert_eq!(waiting(feedback(2, 0.5, Rank::Implicit), 5_000), 1);
        assert_eq!(waiting(feedback(2, 1.0, Rank::Explicit), 5_000), 1, "a better one");
        assert_eq!(waiting(decision(3), 10_001), 1, "the first one is too old");
        assert_eq!(waiting(decision(4), 90_000), 1);
    }

    #[test]
    fn a_decision_without_a_context_teaches_nothing() {
        let (mut attribution, mut counts) = (attribution(), Counts::default());
        let mut bare = decision(1);
        if let Stored::Decision { decision, .. } = &mut bare {
            decision.context = [].into();
        }
        attribution.take(&bare, 0, &mut counts);
        assert_eq!(attribution.take(&feedback(1, 1.0, Rank::Explicit), 1, &mut counts), None);
        assert_eq!(counts.accepted, 2);
    }
}
