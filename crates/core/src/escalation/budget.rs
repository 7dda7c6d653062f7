//! How many of a minute's answers may be escalated.

use std::cell::Cell;

/// So many a minute may be escalated before the share counts: a share of little is nothing.
const FIRST: f64 = 5.0;
const SECONDS: u64 = 60;

/// Counts of the last minute, estimated from this one and the one before in proportion.
#[derive(Debug)]
pub(super) struct Budget {
    max_share: f64,
    counts: Cell<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    minute: u64,
    judged: [u32; 2],
    escalated: [u32; 2],
}

impl Budget {
    pub(super) fn new(max_share: f32) -> Self {
        Budget { max_share: f64::from(max_share), counts: Cell::default() }
    }

    /// An answer was judged, at this time in seconds.
    pub(super) fn judge(&self, now: u64) {
        let mut counts = self.at(now);
        let [this, _] = &mut counts.judged;
        *this = this.saturating_add(1);
        self.counts.set(counts);
    }

    /// Takes one escalation, if one is left.
    pub(super) fn take(&self, now: u64) -> bool {
        let mut counts = self.at(now);
        let before = 1.0 - (now % SECONDS) as f64 / SECONDS as f64;
        let last_minute = |[this, last]: [u32; 2]| f64::from(this) + before * f64::from(last);
        let most = (self.max_share * last_minute(counts.judged)).max(FIRST);
        if self.max_share == 0.0 || last_minute(counts.escalated) + 1.0 > most {
            return false;
        }
        let [this, _] = &mut counts.escalated;
        *this = this.saturating_add(1);
        self.counts.set(counts);
        true
    }

    fn at(&self, now: u64) -> Counts {
        let minute = now / SECONDS;
        let counts = self.counts.get();
        let moved = |[this, _]: [u32; 2]| match minute.checked_sub(counts.minute) {
            Some(1) => [0, this],
            _ => [0, 0],
        };
        match counts.minute == minute {
            true => counts,
            false => {
                Counts { minute, judged: moved(counts.judged), escalated: moved(counts.escalated) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget, now: u64, judged: u32, asked: u32) -> u32 {
        (0..judged).for_each(|_| budget.judge(now));
        (0..asked).map(|_| u32::from(budget.take(now))).sum()
    }

    #[test]
    fn a_share_of_the_last_minutes_answers_may_be_escalated() {
        let budget = Budget::new(0.2);
        assert_eq!(taken(&budget, 0, 100, 100), 20);
        assert_eq!(taken(&budget, 30, 0, 10), 0);
        // Half of the minute before still counts: 10 of 50.
        assert_eq!(taken(&budget, 90, 50, 100), 10);
        assert_eq!(taken(&budget, 500, 0, 10), 5);
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!(taken(&Budget::new(0.0), 0, 100, 10), 0);
    }

    #[test]
    fn all_may_be_escalated_where_the_share_is_all() {
        assert_eq!(taken(&Budget::new(1.0), 7, 1000, 1000), 1000);
    }
}
