//! Features and scores to a choice of target.

pub mod bandit;

/// A choice among targets by their scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Position of the chosen target.
    pub target: usize,
    /// The score that decided.
    pub score: f32,
    /// The threshold it was held against.
    pub threshold: f32,
    /// Whether the score reached the threshold.
    pub reached: bool,
}

/// Chooses the cheapest target whose score reaches its threshold, otherwise the strongest.
///
/// `scores` and `thresholds` run over the non-strongest targets, cheapest first, as targets do;
/// the strongest target follows them. `None` when there is no score.
pub fn choose(scores: &[f32], thresholds: &[f32]) -> Option<Choice> {
    let strongest = scores.len();
    let mut nearest: Option<Choice> = None;
    for (target, (&score, &threshold)) in scores.iter().zip(thresholds).enumerate() {
        if score >= threshold {
            return Some(Choice { target, score, threshold, reached: true });
        }
        let miss = Choice { target: strongest, score, threshold, reached: false };
        if nearest.is_none_or(|near| score - threshold > near.score - near.threshold) {
            nearest = Some(miss);
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_target_that_is_good_enough_wins() {
        let choice = choose(&[0.2, 0.7, 0.9], &[0.5, 0.6, 0.6]).unwrap();
        assert_eq!((choice.target, choice.score, choice.reached), (1, 0.7, true));
    }

    #[test]
    fn a_score_at_the_threshold_reaches_it() {
        assert_eq!(choose(&[0.5], &[0.5]).unwrap().target, 0);
    }

    #[test]
    fn the_strongest_takes_what_no_score_reaches() {
        let choice = choose(&[0.1, 0.5], &[0.5, 0.6]).unwrap();
        assert_eq!((choice.target, choice.score, choice.reached), (2, 0.5, false));
    }

    #[test]
    fn no_score_is_no_choice() {
        assert_eq!(choose(&[], &[]), None);
    }
}
