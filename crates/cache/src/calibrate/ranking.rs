//! Pairs by falling similarity, and what each threshold makes of them.

use super::Goal;

/// Hits below which a share of false ones is not believed.
const LEAST_HITS: usize = 20;

/// Pairs by falling score: the first `k` are the hits of some threshold.
pub(super) struct Ranking {
    scores: Vec<f32>,
    /// True hits among the first `k + 1`.
    right: Vec<usize>,
    /// Pairs that are the same, and that are not, refused ones included.
    same: usize,
    other: usize,
}

impl Ranking {
    pub(super) fn new(mut pairs: Vec<(f32, bool)>, same: usize, other: usize) -> Self {
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let right = pairs.iter().scan(0, |right, (_, same)| {
            *right += usize::from(*same);
            Some(*right)
        });
        let right = right.collect();
        Ranking { scores: pairs.into_iter().map(|(score, _)| score).collect(), right, same, other }
    }

    /// The places at which a threshold can cut: behind the last of equal scores.
    fn cuts(&self) -> impl DoubleEndedIterator<Item = usize> {
        let next = |at: usize| self.scores.get(at + 1);
        (LEAST_HITS - 1..self.scores.len()).filter(move |at| next(*at) != self.scores.get(*at))
    }

    fn false_share(&self, at: usize) -> f64 {
        1.0 - self.right[at] as f64 / (at + 1) as f64
    }

    pub(super) fn recall(&self, at: usize) -> f64 {
        self.right[at] as f64 / self.same.max(1) as f64
    }

    pub(super) fn threshold(&self, at: usize) -> f32 {
        self.scores[at]
    }

    pub(super) fn false_alarms(&self, at: usize) -> f64 {
        (at + 1 - self.right[at]) as f64 / self.other.max(1) as f64
    }

    pub(super) fn last_within(&self, goal: Goal) -> Option<usize> {
        self.cuts().rev().find(|at| match goal {
            Goal::FalseHits(most) => self.false_share(*at) <= most,
            Goal::FalseAlarms(most) => self.false_alarms(*at) <= most,
        })
    }

    pub(super) fn fewest_false(&self) -> (f64, f32) {
        let cuts = self.cuts().map(|at| (self.false_share(at), self.threshold(at)));
        cuts.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((1.0, 1.0))
    }

    /// (recall, false hits) of a threshold.
    pub(super) fn at(&self, threshold: f32) -> (f64, f64) {
        match self.scores.partition_point(|score| *score >= threshold).checked_sub(1) {
            Some(at) => (self.recall(at), self.false_share(at)),
            None => (0.0, 0.0),
        }
    }

    pub(super) fn curve(&self) -> Vec<[f64; 2]> {
        let cuts: Vec<usize> = self.cuts().collect();
        let step = cuts.len().div_ceil(200).max(1);
        cuts.iter().step_by(step).map(|at| [self.recall(*at), self.false_share(*at)]).collect()
    }
}

/// The 95 % interval of values.
pub(super) fn interval(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    [at(0.025), at(0.975)]
}
