//! What a decision can be under this configuration. A number may be finite and still be impossible,
//! and one such number outweighs ten thousand honest decisions.

use super::line::Decision;
use crate::bandit::Learners;
use pointsman_core::policy::bandit::Context;

/// Predicted rewards are near 0..=1, but a linear model overshoots: values that differ by more than
/// this, penalties apart, are not drawn from often enough to be missed.
const WIDEST_GAP: f64 = 4.0;
/// A propensity is sent as `f32`.
const ROUNDING: f64 = 1e-5;

/// The rules for decisions, at the door and again when they are read back.
#[derive(Clone, Debug)]
pub struct Rules {
    pub targets: Vec<String>,
    context: Context,
    /// The least propensity that the explorer, or a canary under it, draws with.
    least_propensity: f64,
}

impl Rules {
    /// Those of a configuration.
    pub fn new(learners: &Learners) -> Self {
        let options = learners.options();
        let targets = options.targets.len();
        let penalties = || options.penalties.iter().copied().map(f64::from);
        let dearest = penalties().fold(f64::MIN, f64::max);
        let spread = dearest - penalties().fold(f64::MAX, f64::min);
        let least = options.explorer.least_propensity(targets, WIDEST_GAP + spread);
        let canary = options.canary_share;
        let share = if canary > 0.0 { canary.min(1.0 - canary) } else { 1.0 };
        Rules {
            targets: options.targets.clone(),
            context: Context::new(targets),
            least_propensity: share * least * (1.0 - ROUNDING),
        }
    }

    /// Whether the filter can have made this decision under the present explorer.
    pub fn admit(&self, decision: &Decision) -> bool {
        let drawn_so = f64::from(decision.propensity) >= self.least_propensity;
        self.are_met(decision) && (drawn_so || !decision.drawn)
    }

    /// Whether it can have been made under any explorer: the log is older than the configuration.
    pub fn are_met(&self, decision: &Decision) -> bool {
        let Decision { target, drawn, explored, propensity, context, .. } = decision;
        // The bandit draws by a context alone, and only what is drawn explores.
        let drawn_by = if context.is_empty() { !drawn } else { self.context.admits(context) };
        usize::from(*target) < self.targets.len()
            && *propensity > 0.0
            && *propensity <= 1.0
            && drawn_by
            && (*drawn || !explored)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bandit::{ControllerOptions, Prior};
    use pointsman_core::policy::bandit::{EVERYTHING, Explorer};

    /// Two targets under an explorer.
    pub fn rules(explorer: Explorer, canary_share: f64) -> Rules {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let options = ControllerOptions { explorer, canary_share, ..options(targets) };
        Rules::new(&Learners::new(options, Prior::cold(2), &[]))
    }

    fn options(targets: Vec<String>) -> ControllerOptions {
        ControllerOptions::new(targets, vec![0.0, 0.2])
    }

    fn drawn(propensity: f32) -> Decision {
        Decision {
            target: 1,
            drawn: true,
            explored: false,
            propensity,
            context: Context::new(2).of_engineered(&[], &[0.7]).into(),
            segment: EVERYTHING,
        }
    }

    #[test]
    fn a_propensity_that_the_explorer_cannot_give_is_not_admitted() {
        let greedy = Explorer::EpsilonGreedy { epsilon: 0.2 };
        for (explorer, canary, least) in [
            (greedy, 0.0, 0.1),
            (greedy, 0.1, 0.01),
            (greedy, 0.5, 0.05),
            (Explorer::SquareCb { gamma: 1000.0 }, 0.0, 1.0 / 4202.0),
            (Explorer::EpsilonGreedy { epsilon: 0.0 }, 0.25, 0.25),
        ] {
            let rules = rules(explorer, canary);
            assert!(rules.admit(&drawn(least)), "{explorer:?} {least}");
            assert!(rules.admit(&drawn(1.0)), "{explorer:?}");
            for less in [0.98 * least, 1e-30, 1e-45] {
                assert!(!rules.admit(&drawn(less)), "{explorer:?} {less}");
                assert!(rules.are_met(&drawn(less)), "another explorer may have drawn so");
                // What a share of conversations decided is not the explorer's.
                let shared = Decision { drawn: false, ..drawn(less) };
                assert!(rules.admit(&shared), "{explorer:?} {less}");
            }
        }
    }

    #[test]
    fn what_no_filter_can_have_decided_is_not_admitted() {
        let rules = rules(Explorer::SquareCb { gamma: 1000.0 }, 0.1);
        let possible = drawn(0.9);
        assert!(rules.admit(&possible));
        let with = |change: &dyn Fn(&mut Decision)| {
            let mut decision = possible.clone();
            change(&mut decision);
            rules.admit(&decision) || rules.are_met(&decision)
        };
        assert!(!with(&|it| it.target = 2));
        for propensity in [0.0, -0.5, 1.001, f32::NAN, f32::INFINITY] {
            assert!(!with(&|it| it.propensity = propensity), "{propensity}");
        }
        assert!(!with(&|it| it.context = [1.0, 0.5, 0.0].into()));
        assert!(!with(&|it| it.context[0] = 1000.0));
        assert!(!with(&|it| it.context[24] = 5.0));
        assert!(!with(&|it| it.context = [].into()), "drawn by nothing");
        assert!(!with(&|it| (it.drawn, it.explored) = (false, true)));
        assert!(with(&|it| (it.drawn, it.context) = (false, [].into())));
    }
}
