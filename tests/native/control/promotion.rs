//! Shadow, canary, all traffic and back, without a person.

use pointsman_control_plane::bandit::{
    Controller, ControllerOptions, Event, EventKind, Prior, Sample, Stage,
};
use pointsman_core::policy::bandit::{Context, EVERYTHING, Explorer};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The better the score, the better the cheap target: as the classifier believes.
const HONEST: fn(f64) -> [f64; 2] = |score| [score, 0.7];
/// The cheap target's answers are worth nothing any more.
const BROKEN: fn(f64) -> [f64; 2] = |_| [0.0, 0.7];

struct World {
    controller: Controller,
    rng: SmallRng,
}

impl World {
    fn new(change: impl Fn(&mut ControllerOptions)) -> World {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let mut options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        options.explorer = Explorer::EpsilonGreedy { epsilon: 0.2 };
        change(&mut options);
        let prior = Prior::warm(&[0.5], &[0.0, 0.2]);
        World { controller: Controller::new(options, prior), rng: SmallRng::seed_from_u64(11) }
    }

    /// Plays requests whose rewards are coins; gives the events.
    fn play(&mut self, requests: usize, chance: fn(f64) -> [f64; 2]) -> Vec<Event> {
        for k in 1..=requests {
            let score: f32 = self.rng.random();
            let context = Context::new(2).of_engineered(&[], &[score]);
            let (eligible, uniform) = ([true; 2], self.rng.random());
            let snapshot = self.controller.snapshot();
            let draw = snapshot.choose(EVERYTHING, &context, &eligible, uniform).unwrap();
            let good = self.rng.random_bool(chance(f64::from(score))[draw.target]);
            let sample = Sample {
                context,
                target: draw.target,
                propensity: draw.propensity,
                reward: f32::from(u8::from(good)),
                segment: EVERYTHING,
            };
            self.controller.observe(sample, true);
            if k % 250 == 0 {
                self.controller.step();
            }
        }
        self.controller.take_events()
    }

    fn strong_share(&self, score: f32) -> f64 {
        let context = Context::new(2).of_engineered(&[], &[score]);
        self.controller.snapshot().probabilities(EVERYTHING, &context, &[true; 2])[1]
    }
}

fn steps(events: &[Event]) -> Vec<(EventKind, Stage)> {
    events.iter().map(|event| (event.outcome, event.stage)).collect()
}

#[test]
fn a_candidate_stays_in_the_shadow_while_it_is_no_better() {
    let mut world = World::new(|_| {});
    let events = world.play(10_000, HONEST);
    assert_eq!(steps(&events), [], "the classifier is right, so that nothing earns more");
    assert_eq!(world.controller.snapshot().version, "1");
}

#[test]
fn what_earns_more_goes_through_a_canary_to_all_traffic_with_its_gain_on_record() {
    let mut world = World::new(|_| {});
    let events = world.play(10_000, |_| [0.1, 0.9]);
    let first = &steps(&events)[..2];
    assert_eq!(first, [(EventKind::Promoted, Stage::Canary), (EventKind::Promoted, Stage::Full)]);
    for event in &events[..2] {
        let [gain, error] = event.gain.unwrap();
        assert!(gain > 0.0 && error > 0.0, "{event:?}");
    }
    assert!(world.strong_share(0.9) > 0.8);
}

#[test]
fn a_change_is_reported_and_followed() {
    let mut world = World::new(|_| {});
    world.play(5000, HONEST);
    let events = world.play(5000, BROKEN);
    assert_eq!(events[0].outcome, EventKind::ChangeDetected, "{events:?}");
    assert_eq!(events[0].note, "cheap earns less than predicted");
    assert!(events[0].samples < 5500, "{events:?}");
    assert!(world.strong_share(0.9) > 0.8, "{events:?}");
}

#[test]
fn a_change_ends_a_canary() {
    let mut world = World::new(|options| options.canary_least = 100_000);
    let events = world.play(3000, |_| [0.1, 0.9]);
    assert_eq!(steps(&events), [(EventKind::Promoted, Stage::Canary)]);
    let events = world.play(500, |_| [0.9, 0.1]);
    assert_eq!(events[0].outcome, EventKind::ChangeDetected, "{events:?}");
    assert_eq!(events[1].outcome, EventKind::RolledBack, "{events:?}");
    assert_eq!(events[1].note, "learnt before the change");
    assert_ne!(world.controller.snapshot().components[0].version, events[1].version);
}

#[test]
fn a_policy_that_turns_out_worse_loses_its_traffic_by_itself() {
    // A gate that lets through what is worse, as chance or a wrong reward might.
    let mut world = World::new(|options| options.canary_share = 0.0);
    world.play(3000, |_| [0.9, 0.1]);
    assert!(world.strong_share(0.2) < 0.2, "all to the cheap target");
    let version = world.controller.snapshot().version.clone();
    let events = world.play(6000, |_| [0.1, 0.9]);
    let back = events.iter().find(|event| event.outcome == EventKind::RolledBack);
    let back = back.unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!((back.stage, back.note.as_str()), (Stage::Full, "the policy before earns more"));
    assert_ne!(world.controller.snapshot().version, version);
}
