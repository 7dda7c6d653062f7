//! A policy snapshot: what the control plane publishes and the filter decides with.

use super::{Context, Draw, Explorer, MAX_DIMENSIONS, SnapshotError, Spread, draw};
use crate::features::hash64;

/// Largest weight or penalty: predicted rewards are near 0..=1, so that a larger one comes from a broken
/// learner.
const LARGEST: f32 = 1e4;
/// Most policies of all traffic, or of one segment.
const MAX_COMPONENTS: usize = 4;
/// Most segments with policies of their own.
pub const MAX_SEGMENTS: usize = 16;

/// Hash of a segment's name: the same size for any name.
pub type SegmentId = u64;

/// All traffic of unknown segments.
pub const EVERYTHING: SegmentId = 0;

/// The ID of a segment: the policy of the filter's configuration that its decisions follow. The
/// main policy, which has no name, is not a segment.
pub fn segment_id(name: &str) -> SegmentId {
    if name.is_empty() { EVERYTHING } else { hash64(&[b"segment", name.as_bytes()]) }
}

/// One linear policy and its share of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    pub version: String,
    /// Probability with which a request is decided by it, 0..=1.
    pub share: f64,
    /// Predicted reward of each target: `f32[targets][dimensions]`.
    pub weights: Vec<Vec<f32>>,
    /// For each target the lower triangle, row by row, of `L` with `L Lᵀ` the covariance of the
    /// weights; empty when the explorer does not need it.
    pub factors: Vec<Vec<f32>>,
}

impl Component {
    /// A number that no snapshot may have: it is not finite, or too large.
    pub fn wild_number(&self) -> Option<f32> {
        wild(self.weights.iter().chain(&self.factors).flatten())
    }
}

fn wild<'n>(mut numbers: impl Iterator<Item = &'n f32>) -> Option<f32> {
    numbers.find(|number| !number.is_finite() || number.abs() > LARGEST).copied()
}

/// Policies of the decisions that follow one policy of the filter's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub name: String,
    id: SegmentId,
    pub components: Vec<Component>,
}

impl Segment {
    pub fn new(name: String, components: Vec<Component>) -> Self {
        Segment { id: segment_id(&name), name, components }
    }
}

/// Policies with their shares, the explorer, and each target's penalty.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub version: String,
    /// [`Context::hash`] of the code that learnt it.
    pub context_hash: String,
    /// Cheapest first, as in the filter's configuration.
    pub targets: Vec<String>,
    /// λ times the cost of each target, in units of reward.
    pub penalties: Vec<f32>,
    pub explorer: Explorer,
    /// Policies of all traffic without a segment of its own.
    pub components: Vec<Component>,
    pub segments: Vec<Segment>,
}

impl Snapshot {
    /// Checks that all parts have matching shapes and valid numbers.
    pub(super) fn check(&self) -> Result<(), SnapshotError> {
        let targets = self.targets.len();
        let dimensions = Context::new(targets).dimensions();
        let shape = |what: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            Err(SnapshotError::Shape(format!("{found} {what}: must be {expected}")))
        };
        if targets < 2 || dimensions > MAX_DIMENSIONS {
            return Err(SnapshotError::Shape(format!("{targets} targets")));
        }
        shape("penalties", self.penalties.len(), targets)?;
        let within = |what: &str, found: usize, least: usize, most: usize| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(SnapshotError::Shape(format!("{found} {what}: must be {least} to {most}")))
        };
        within("segments", self.segments.len(), 0, MAX_SEGMENTS)?;
        for components in self.mixtures() {
            within("components", components.len(), 1, MAX_COMPONENTS)?;
        }
        for component in self.mixtures().flatten() {
            shape("rows of weights", component.weights.len(), targets)?;
            for weights in &component.weights {
                shape("weights of a target", weights.len(), dimensions)?;
            }
            if self.explorer.needs_spread() || !component.factors.is_empty() {
                shape("factors", component.factors.len(), targets)?;
            }
            for factor in &component.factors {
                shape("numbers of a factor", factor.len(), dimensions * (dimensions + 1) / 2)?;
            }
        }
        self.check_values()
    }

    fn check_values(&self) -> Result<(), SnapshotError> {
        let refuse = |problem: String| Err(SnapshotError::Value(problem));
        if let Some(problem) = self.explorer.problem() {
            return refuse(format!("explorer: {problem}"));
        }
        let learnt = self.mixtures().flatten().find_map(Component::wild_number);
        if let Some(number) = learnt.or_else(|| wild(self.penalties.iter())) {
            return refuse(format!("weight {number}: must be within ±{LARGEST}"));
        }
        for components in self.mixtures() {
            let shares: f64 = components.iter().map(|component| component.share).sum();
            let each = components.iter().all(|c| (0.0..=1.0).contains(&c.share));
            if !each || (shares - 1.0).abs() > 1e-9 {
                return refuse(format!("shares sum to {shares}: must be 1"));
            }
        }
        Ok(())
    }

    fn mixtures(&self) -> impl Iterator<Item = &Vec<Component>> {
        std::iter::once(&self.components).chain(self.segments.iter().map(|it| &it.components))
    }

    /// The policies that decide in a segment.
    pub fn components_of(&self, segment: SegmentId) -> &[Component] {
        let own = self.segments.iter().find(|it| it.id == segment);
        own.map_or(&self.components, |own| &own.components)
    }

    /// Values of the targets under one component.
    pub fn values(&self, component: &Component, context: &[f32]) -> Vec<Spread> {
        let dot = |row: &[f32]| -> f64 {
            row.iter().zip(context).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let error = |target: usize| {
            component.factors.get(target).map_or(0.0, |factor| spread(factor, context))
        };
        let of = |(target, (weights, penalty)): (usize, (&Vec<f32>, &f32))| Spread {
            value: dot(weights) - f64::from(*penalty),
            error: error(target),
        };
        component.weights.iter().zip(&self.penalties).enumerate().map(of).collect()
    }

    /// The probability of each target in a segment, over all its components; empty when none is
    /// eligible.
    pub fn probabilities(
        &self,
        segment: SegmentId,
        context: &[f32],
        eligible: &[bool],
    ) -> Vec<f64> {
        let mut sum: Vec<f64> = Vec::new();
        for component in self.components_of(segment).iter().filter(|it| it.share > 0.0) {
            let values = self.values(component, context);
            let own = self.explorer.probabilities(&values, eligible);
            sum.resize(own.len(), 0.0);
            sum.iter_mut().zip(own).for_each(|(sum, p)| *sum += component.share * p);
        }
        sum
    }

    /// Draws a target in a segment; `uniform` is in 0..1. `None` when none is eligible.
    pub fn choose(
        &self,
        segment: SegmentId,
        context: &[f32],
        eligible: &[bool],
        uniform: f64,
    ) -> Option<Draw> {
        let probabilities = self.probabilities(segment, context, eligible);
        let target = draw(&probabilities, uniform)?;
        let propensity = probabilities.get(target).copied()?;
        let components = self.components_of(segment).iter();
        let main = components.max_by(|a, b| a.share.total_cmp(&b.share))?;
        let values = self.values(main, context);
        let value = values.get(target)?.value;
        let better = |(other, spread): (usize, &Spread)| {
            spread.value > value && eligible.get(other).copied().unwrap_or(false)
        };
        let explored = values.iter().enumerate().any(better);
        Some(Draw { target, propensity, value, explored })
    }
}

/// `|Lᵀ x|` for a packed lower triangle.
fn spread(factor: &[f32], context: &[f32]) -> f64 {
    let mut product = vec![0.0_f64; context.len()];
    let mut rest = factor;
    for (row, x) in context.iter().enumerate() {
        let Some((line, tail)) = rest.split_at_checked(row + 1) else { break };
        for (sum, l) in product.iter_mut().zip(line) {
            *sum += f64::from(*l) * f64::from(*x);
        }
        rest = tail;
    }
    libm::sqrt(product.iter().map(|value| value * value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::bandit::MAX_SNAPSHOT_BYTES;

    fn snapshot(shares: &[f64]) -> Snapshot {
        let context = Context::new(2);
        let mut cheap = vec![0.0; context.dimensions()];
        cheap[1] = 1.0;
        let mut strong = vec![0.0; context.dimensions()];
        strong[0] = 0.8;
        let component = |(number, share): (usize, &f64)| Component {
            version: number.to_string(),
            share: *share,
            weights: if number == 0 {
                vec![cheap.clone(), strong.clone()]
            } else {
                vec![vec![0.0; cheap.len()], strong.clone()]
            },
            factors: Vec::new(),
        };
        Snapshot {
            version: "7".into(),
            context_hash: context.hash(),
            targets: vec!["cheap".into(), "strong".into()],
            penalties: vec![0.0, 0.2],
            explorer: Explorer::EpsilonGreedy { epsilon: 0.1 },
            components: shares.iter().enumerate().map(component).collect(),
            segments: Vec::new(),
        }
    }

    #[test]
    fn a_segment_has_its_own_policy_and_the_others_share_one() {
        let mut snapshot = snapshot(&[1.0]);
        let never_cheap = canary_alone();
        snapshot.segments.push(Segment::new("tenant-a".into(), vec![never_cheap]));
        let json = snapshot.to_json();
        let snapshot = Snapshot::read(json.as_bytes(), &["cheap", "strong"]).unwrap();
        for (name, target) in [("", 0), ("tenant-b", 0), ("tenant-a", 1)] {
            let draw = snapshot.choose(segment_id(name), &context(0.9), &[true; 2], 0.5).unwrap();
            assert_eq!((draw.target, draw.explored), (target, false), "{name}");
        }
    }

    fn canary_alone() -> Component {
        Component { share: 1.0, ..snapshot(&[0.9, 0.1]).components.remove(1) }
    }

    fn context(score: f32) -> Vec<f32> {
        Context::new(2).of_engineered(&[], &[score])
    }

    #[test]
    fn a_snapshot_survives_its_own_json() {
        let snapshot = snapshot(&[0.9, 0.1]);
        let json = snapshot.to_json();
        assert_eq!(Snapshot::read(json.as_bytes(), &["cheap", "strong"]).unwrap(), snapshot);
    }

    #[test]
    fn the_penalty_counts_against_the_target() {
        let snapshot = snapshot(&[1.0]);
        // The strong target is worth 0.8 - 0.2.
        for (score, target) in [(0.65, 0), (0.55, 1)] {
            let draw = snapshot.choose(EVERYTHING, &context(score), &[true; 2], 0.5).unwrap();
            assert_eq!(draw.target, target, "{score}");
            assert!((draw.propensity - 0.95).abs() < 1e-12);
            assert!(!draw.explored);
        }
    }

    #[test]
    fn a_canary_gets_its_share_and_the_propensity_is_that_of_the_mixture() {
        let snapshot = snapshot(&[0.9, 0.1]);
        // The canary thinks nothing of the cheap target.
        let probabilities = snapshot.probabilities(EVERYTHING, &context(0.9), &[true; 2]);
        assert!((probabilities[0] - (0.9 * 0.95 + 0.1 * 0.05)).abs() < 1e-12, "{probabilities:?}");
        let explored = snapshot.choose(EVERYTHING, &context(0.9), &[true; 2], 0.99).unwrap();
        assert!(explored.explored && explored.target == 1);
    }

    #[test]
    fn what_is_not_eligible_is_never_drawn() {
        let snapshot = snapshot(&[1.0]);
        let draw = snapshot.choose(EVERYTHING, &context(0.99), &[false, true], 0.0).unwrap();
        assert_eq!((draw.target, draw.propensity, draw.explored), (1, 1.0, false));
        assert_eq!(snapshot.choose(EVERYTHING, &context(0.99), &[false; 2], 0.0), None);
    }

    #[test]
    fn bad_snapshots_are_refused_and_say_why() {
        let good = snapshot(&[1.0]);
        let refused = |snapshot: &Snapshot| {
            let json = snapshot.to_json();
            Snapshot::read(json.as_bytes(), &["cheap", "strong"]).unwrap_err().to_string()
        };
        let with = |change: &dyn Fn(&mut Snapshot)| {
            let mut snapshot = good.clone();
            change(&mut snapshot);
            refused(&snapshot)
        };
        assert!(with(&|s| s.context_hash = "old".into()).starts_with("context old: "));
        assert!(with(&|s| s.targets[0] = "other".into()).starts_with("targets [\"other\""));
        assert_eq!(with(&|s| s.components.clear()), "0 components: must be 1 to 4");
        assert_eq!(
            with(&|s| {
                s.components[0].weights.pop();
            }),
            "1 rows of weights: must be 2"
        );
        assert_eq!(
            with(&|s| s.components[0].weights[0][0] = f32::NAN),
            "weight NaN: must be within ±10000"
        );
        assert_eq!(
            with(&|s| s.components[0].weights[0][0] = 1e9),
            "weight 1000000000: must be within ±10000"
        );
        assert_eq!(with(&|s| s.components[0].share = 0.5), "shares sum to 0.5: must be 1");
        let segments = |s: &mut Snapshot, count: usize, share: f64| {
            let own = vec![Component { share, ..s.components[0].clone() }];
            s.segments = vec![Segment::new("a".into(), own); count];
        };
        assert_eq!(with(&|s| segments(s, 17, 1.0)), "17 segments: must be 0 to 16");
        assert_eq!(with(&|s| segments(s, 1, 0.5)), "shares sum to 0.5: must be 1");
        assert_eq!(
            with(&|s| s.explorer = Explorer::SquareCb { gamma: -1.0 }),
            "explorer: gamma: a positive number"
        );
        assert_eq!(
            with(&|s| s.explorer = Explorer::LinUcb { alpha: 1.0, epsilon: 0.0 }),
            "0 factors: must be 2"
        );
        let large = vec![b' '; MAX_SNAPSHOT_BYTES + 1];
        assert!(matches!(Snapshot::parse(&large), Err(SnapshotError::TooLarge { .. })));
        assert!(matches!(Snapshot::parse(b"{"), Err(SnapshotError::Json(_))));
        let other = good.to_json().replace("\"format\":1", "\"format\":2");
        assert_eq!(Snapshot::parse(other.as_bytes()), Err(SnapshotError::Format { found: 2 }));
    }

    #[test]
    fn the_spread_is_the_length_of_the_factor_times_the_context() {
        // L = [[2, 0], [1, 3]], x = [1, 2]: Lᵀ x = [4, 6].
        assert!((spread(&[2.0, 1.0, 3.0], &[1.0, 2.0]) - 52.0_f64.sqrt()).abs() < 1e-9);
    }
}
