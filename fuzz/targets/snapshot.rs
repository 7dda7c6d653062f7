//! Policy snapshots, as a control plane publishes them.

use pointsman_core::config::TARGETS;
use pointsman_core::features::ENGINEERED;
use pointsman_core::policy::bandit::{Context, EVERYTHING, Snapshot, SnapshotError, segment_id};
use serde_json::Value;

/// JSON of a snapshot: one that is accepted has finite numbers, draws with exact probabilities, and
/// survives being written. `"context_hash": "HERE"` is that of the targets it names.
pub fn snapshot(data: &[u8]) -> bool {
    let as_it_is = drawn_from(data);
    as_it_is || with_hash(data).is_some_and(|json| drawn_from(&json))
}

fn with_hash(data: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(data).ok()?;
    let targets = value.get("targets")?.as_array()?.len();
    let hash = value.get_mut("context_hash").filter(|hash| **hash == "HERE")?;
    // The hash of more is that of nothing in use.
    *hash = Context::new(targets.min(2 * TARGETS.end())).hash().into();
    serde_json::to_vec(&value).ok()
}

fn drawn_from(json: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::parse(json) else { return false };
    let written = snapshot.to_json();
    assert_eq!(Snapshot::parse(written.as_bytes()), Ok(snapshot.clone()));
    let targets: Vec<&str> = snapshot.targets.iter().map(String::as_str).collect();
    assert_eq!(Snapshot::read(written.as_bytes(), &targets), Ok(snapshot.clone()));
    let fewer = Snapshot::read(written.as_bytes(), &targets[1..]);
    assert!(matches!(fewer, Err(SnapshotError::OtherTargets { .. })), "{fewer:?}");
    valid(&snapshot);
    true
}

/// Whatever a request is like, each eligible target has a probability, and one of them is drawn.
pub fn valid(snapshot: &Snapshot) {
    let count = snapshot.targets.len();
    let context = Context::new(count);
    let segments = snapshot.segments.iter().map(|it| it.components.as_slice());
    for component in segments.chain([snapshot.components.as_slice()]).flatten() {
        let numbers = component.weights.iter().chain(&component.factors).flatten();
        assert!(numbers.chain(&snapshot.penalties).all(|number| number.is_finite()));
    }
    let names = snapshot.segments.iter().map(|segment| segment.name.as_str());
    let known = names.map(segment_id);
    for segment in known.chain([EVERYTHING]) {
        for (engineered, score) in [(0.0, 0.0), (50.0, 1.0), (-50.0, 0.37)] {
            let values = [engineered; ENGINEERED];
            let context = context.of_engineered(&values, &vec![score; count - 1]);
            for left_out in 0..=count {
                let eligible: Vec<bool> = (0..count).map(|target| target != left_out).collect();
                drawn(snapshot, segment, &context, &eligible);
            }
        }
    }
}

fn drawn(snapshot: &Snapshot, segment: u64, context: &[f32], eligible: &[bool]) {
    let probabilities = snapshot.probabilities(segment, context, eligible);
    let sum: f64 = probabilities.iter().sum();
    let explorer = &snapshot.explorer;
    assert!((sum - 1.0).abs() < 1e-6, "{probabilities:?} of {explorer:?}");
    assert!(probabilities.iter().all(|it| (-1e-12..=1.0 + 1e-9).contains(it)), "{probabilities:?}");
    for uniform in [0.0, 0.5, 0.999_999_999] {
        let draw = snapshot.choose(segment, context, eligible, uniform).expect("one is eligible");
        assert!(eligible[draw.target] && draw.value.is_finite());
        assert!(draw.propensity > 0.0 && draw.propensity <= 1.0 + 1e-9, "{draw:?}");
    }
}
