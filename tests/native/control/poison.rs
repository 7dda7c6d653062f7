//! Decisions that no filter can have made, with a valid token and a valid signature.

use pointsman_core::control_plane::paths;
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::{Context, EVERYTHING};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::control::plane::{Plane, decision, feedback};

/// A line as [`decision`] writes it, with another context and propensity.
fn line(number: u32, context: &[f32], propensity: &str) -> String {
    let mut record: Value = serde_json::from_str(&decision(number, 1, 0.9, 0.7)).unwrap();
    record["context"] = pack(context).into();
    record["propensity"] = serde_json::from_str(propensity).unwrap();
    record.to_string()
}

#[test]
fn impossible_decisions_are_counted_as_invalid_and_teach_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &["--manual"]);
    let possible = Context::new(2).of_engineered(&[], &[0.7]);
    let mut impossible = Vec::new();
    for place in 0..possible.len() {
        for value in [1000.0, 1e30, -1e30, 4.5] {
            let mut context = possible.clone();
            context[place] = value;
            impossible.push(line(1, &context, "0.9"));
        }
    }
    for propensity in ["1e-30", "1e-45", "1.5", "-0.5", "0", "1e-7"] {
        impossible.push(line(1, &possible, propensity));
    }
    for length in [0, 1, 3, 24] {
        impossible.push(line(1, &possible[..length], "0.9"));
    }
    let longer = [&possible[..], &[0.0]].concat();
    impossible.push(line(1, &longer, "0.9"));
    let lines = impossible.len();
    let (status, text) = plane.post(paths::DECISIONS, &impossible.join("\n"));
    assert_eq!(status, 400, "{text}");
    let counts: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(counts["invalid"], lines, "{counts}");
    assert_eq!(plane.accepted(paths::FEEDBACK, &feedback(1, 1.0))["early"], 1);
    assert_eq!(plane.status()["samples"], 0);
}

#[test]
fn one_poisoned_line_among_honest_ones_changes_nothing() {
    let share_of_strong = |poisoned: bool| {
        let directory = tempfile::tempdir().unwrap();
        let plane = Plane::start(&directory.path().join("state"), &["--manual"]);
        let mut rng = SmallRng::seed_from_u64(8);
        if poisoned {
            let mut context = Context::new(2).of_engineered(&[], &[0.7]);
            context[0] = 1000.0;
            assert_eq!(plane.post(paths::DECISIONS, &line(9, &context, "0.5")).0, 400);
            plane.accepted(paths::FEEDBACK, &feedback(9, 0.0));
        }
        let numbers = 100..2100_u32;
        let decisions: Vec<String> = numbers
            .clone()
            .map(|n| decision(n, usize::from(n % 2 == 1), 0.5, rng.random()))
            .collect();
        let rewards: Vec<String> = numbers.map(|n| feedback(n, (n % 2) as f32)).collect();
        plane.accepted(paths::DECISIONS, &decisions.join("\n"));
        plane.accepted(paths::FEEDBACK, &rewards.join("\n"));
        plane.wait_for("all is learnt", |status| status["samples"] == 2000);
        for _ in 0..2 {
            assert_eq!(plane.post(paths::PROMOTE, "").0, 200, "to a canary, and to all");
        }
        assert_eq!(plane.post(paths::PROMOTE, "").0, 409, "nothing since");
        let context = Context::new(2).of_engineered(&[], &[0.4]);
        plane.snapshot().probabilities(EVERYTHING, &context, &[true; 2])[1]
    };
    let (honest, poisoned) = (share_of_strong(false), share_of_strong(true));
    assert!(honest > 0.98, "{honest}");
    assert!((honest - poisoned).abs() < 1e-3, "{honest} and {poisoned}");
}

#[test]
fn a_promotion_before_anything_is_learnt_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &["--segments", "tenant-a"]);
    let before = plane.policy(None);
    for body in ["", "{}", r#"{"segment":"tenant-a"}"#] {
        let (status, said) = plane.post(paths::PROMOTE, body);
        assert_eq!((status, said.contains("nothing was learnt")), (409, true), "{body} {said}");
    }
    assert_eq!(plane.policy(None), before);
    assert!(plane.status()["events"].as_array().unwrap().is_empty());
}
