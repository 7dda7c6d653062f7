//! The snapshot in use, and the decision that it changes.

use std::time::{Duration, Instant};

use crate::decision::Decision;
use crate::policy::bandit::{Context, SegmentId, Snapshot};
use crate::reason::{FallbackReason, Reason};

/// A snapshot with the time at which the control plane last said that it holds.
///
/// Age is counted on our own clock from that moment, so that clocks which differ do no harm.
#[derive(Debug)]
pub struct Live {
    context: Context,
    max_age: Duration,
    snapshot: Option<(Snapshot, Instant)>,
}

impl Live {
    /// No snapshot yet.
    pub fn new(targets: usize, max_age: Duration) -> Self {
        Live { context: Context::new(targets), max_age, snapshot: None }
    }

    /// Replaces the snapshot.
    pub fn replace(&mut self, snapshot: Snapshot, now: Instant) {
        self.snapshot = Some((snapshot, now));
    }

    /// The snapshot still holds.
    pub fn confirm(&mut self, now: Instant) {
        if let Some((_, confirmed)) = &mut self.snapshot {
            *confirmed = now;
        }
    }

    /// The version in use, if any.
    pub fn version(&self) -> Option<&str> {
        self.snapshot.as_ref().map(|(snapshot, _)| snapshot.version.as_str())
    }

    /// The context of a decision, if the classifier was asked.
    pub fn context(&self, decision: &Decision) -> Option<Vec<f32>> {
        (!decision.scores.is_empty())
            .then(|| self.context.of_engineered(&decision.context, &decision.scores))
    }

    /// Draws a target where the classifier would have decided, by the policy of the decision's
    /// segment; `uniform` is in 0..1. What gates, rules, stickiness or an override decided stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// Why the classifier's decision stands.
    pub fn decide(
        &self,
        decision: &mut Decision,
        segment: SegmentId,
        context: &[f32],
        uniform: f64,
        now: Instant,
    ) -> Result<(), FallbackReason> {
        if !decision.is_drawable() {
            return Ok(());
        }
        let Some((snapshot, confirmed)) = &self.snapshot else {
            return Err(FallbackReason::NoSnapshot);
        };
        if now.saturating_duration_since(*confirmed) > self.max_age {
            return Err(FallbackReason::StaleSnapshot);
        }
        let targets = 0..snapshot.targets.len();
        let eligible: Vec<bool> = targets.map(|target| decision.open.contains(target)).collect();
        if let Some(draw) = snapshot.choose(segment, context, &eligible, uniform) {
            decision.target = draw.target;
            decision.propensity = draw.propensity as f32;
            decision.reason =
                if draw.explored { Reason::BanditExplored } else { Reason::BanditBest };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::bandit::EVERYTHING;
    use crate::policy::bandit::fixture::snapshot;
    use crate::target::TargetSet;

    fn live(max_age: u64) -> Live {
        Live::new(2, Duration::from_secs(max_age))
    }

    fn decision(reason: Reason) -> Decision {
        let open = TargetSet::first(2);
        Decision { scores: vec![0.9], open, ..Decision::fallback(0, reason) }
    }

    #[test]
    fn the_bandit_takes_over_from_the_classifier_and_logs_its_propensity() {
        let mut live = live(60);
        let now = Instant::now();
        let mut decided = decision(Reason::ScoreReachedThreshold);
        let context = live.context(&decided).unwrap();
        assert_eq!(
            live.decide(&mut decided, EVERYTHING, &context, 0.5, now),
            Err(FallbackReason::NoSnapshot)
        );
        assert_eq!(decided.target, 0);
        live.replace(snapshot(), now);
        for (uniform, target, reason, propensity) in
            [(0.5, 1, Reason::BanditBest, 0.9), (0.05, 0, Reason::BanditExplored, 0.1)]
        {
            let mut decided = decision(Reason::ScoreReachedThreshold);
            live.decide(&mut decided, EVERYTHING, &context, uniform, now).unwrap();
            assert_eq!((decided.target, decided.reason), (target, reason));
            assert!((decided.propensity - propensity).abs() < 1e-6);
        }
    }

    #[test]
    fn what_the_classifier_did_not_decide_stays_as_it_is() {
        let mut live = live(60);
        let now = Instant::now();
        live.replace(snapshot(), now);
        let held =
            Decision { open: TargetSet::default(), ..decision(Reason::ScoreReachedThreshold) };
        for before in [
            decision(Reason::MalformedJson),
            decision(Reason::ClientHeader),
            decision(Reason::Conversation),
            decision(Reason::Images),
            held,
        ] {
            let mut decided = before.clone();
            live.decide(&mut decided, EVERYTHING, &[], 0.5, now).unwrap();
            assert_eq!(decided, before);
        }
    }

    #[test]
    fn a_snapshot_that_nobody_confirms_grows_stale() {
        let mut live = live(60);
        let begin = Instant::now();
        live.replace(snapshot(), begin);
        let later = begin + Duration::from_secs(61);
        let mut decided = decision(Reason::ScoreReachedThreshold);
        let context = live.context(&decided).unwrap();
        assert_eq!(
            live.decide(&mut decided, EVERYTHING, &context, 0.5, later),
            Err(FallbackReason::StaleSnapshot)
        );
        live.confirm(later);
        assert_eq!(live.decide(&mut decided, EVERYTHING, &context, 0.5, later), Ok(()));
    }
}
