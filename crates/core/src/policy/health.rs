//! Which targets are down, as far as this worker's own answers show.
//!
//! Envoy's outlier detection takes hosts out of a cluster and leaves the cluster the filter's
//! choice; this takes the cluster out of the choice.

use std::cell::Cell;

use crate::target::TargetSet;

/// When a target counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row: answers with 5xx, and those with a good status that are none.
    pub consecutive_failures: u32,
    /// How long it is left out then.
    pub ejection_seconds: u32,
}

/// Failures in a row, and until when a target is left out.
#[derive(Debug, Default)]
pub struct Watch {
    targets: Vec<Cell<Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    failures: u32,
    /// Seconds since the Unix epoch.
    out_until: u64,
}

impl Watch {
    pub fn new(targets: usize) -> Self {
        Watch { targets: vec![Cell::default(); targets] }
    }

    /// A target answered with this HTTP status. 429 says that one client has asked too often, and
    /// nothing of the target.
    pub fn answered(&self, health: &Health, target: usize, status: u16, now: u64) {
        match status {
            429 => {}
            500.. => self.failed(health, target, now),
            _ => self.succeeded(target),
        }
    }

    /// A target gave an answer.
    pub fn succeeded(&self, target: usize) {
        self.targets.get(target).iter().for_each(|seen| seen.set(Seen::default()));
    }

    /// A target gave none, or none that is one.
    pub fn failed(&self, health: &Health, target: usize, now: u64) {
        let Some(seen) = self.targets.get(target) else { return };
        let Seen { failures, out_until } = seen.get();
        let failures = failures.saturating_add(1);
        let out = failures >= health.consecutive_failures;
        let end = now.saturating_add(u64::from(health.ejection_seconds));
        seen.set(Seen { failures, out_until: if out { end } else { out_until } });
    }

    /// The targets that are down. After its time one is tried again, and the next failure takes
    /// it out again.
    pub fn unavailable(&self, now: u64) -> TargetSet {
        let down = |seen: &Cell<Seen>| seen.get().out_until > now;
        let bits = self.targets.iter().enumerate().filter(|(_, seen)| down(seen));
        TargetSet(bits.fold(0, |set, (target, _)| set | 1 << target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH: Health = Health { consecutive_failures: 3, ejection_seconds: 10 };

    fn after(statuses: &[u16], now: u64) -> TargetSet {
        let watch = Watch::new(2);
        statuses.iter().for_each(|status| watch.answered(&HEALTH, 1, *status, 100));
        watch.unavailable(now)
    }

    #[test]
    fn failures_in_a_row_take_a_target_out_for_a_while() {
        assert_eq!(after(&[503, 500], 100), TargetSet(0));
        assert_eq!(after(&[503, 502, 500], 109), TargetSet(0b10));
        assert_eq!(after(&[503, 502, 500], 110), TargetSet(0), "tried again");
    }

    #[test]
    fn an_answer_ends_the_row() {
        assert_eq!(after(&[503, 503, 200, 503, 503], 100), TargetSet(0));
        assert_eq!(after(&[503, 503, 404, 503], 100), TargetSet(0), "the request was at fault");
    }

    #[test]
    fn one_clients_limit_says_nothing_of_the_target() {
        assert_eq!(after(&[429; 50], 100), TargetSet(0));
        assert_eq!(after(&[503, 503, 429, 503], 100), TargetSet(0b10), "nor does it end a row");
    }

    #[test]
    fn a_target_that_is_still_down_goes_out_at_its_next_failure() {
        let watch = Watch::new(1);
        (0..3).for_each(|_| watch.answered(&HEALTH, 0, 503, 100));
        watch.answered(&HEALTH, 0, 503, 115);
        assert_eq!(watch.unavailable(120), TargetSet(0b1));
        watch.answered(&HEALTH, 9, 503, 115);
    }
}
