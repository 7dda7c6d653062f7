//! The global controller, and one per segment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::controller::Saved;
use super::{Controller, ControllerOptions, Event, Prior, Sample, Statistics};
use pointsman_core::policy::bandit::{EVERYTHING, Segment, SegmentId, Snapshot, segment_id};

/// Samples that the global model is worth as the prior of a segment's learner.
const SHARED_PRECISION: f64 = 100.0;

/// Every sample teaches the global learner, and the learner of its segment. Where a segment has no
/// policy of its own yet, the global one decides.
#[derive(Clone, Debug)]
pub struct Learners {
    global: Controller,
    segments: Vec<Member>,
    snapshot: Snapshot,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    id: SegmentId,
    controller: Controller,
}

/// The layout of a checkpoint.
#[derive(Serialize, Deserialize)]
struct SavedLearners {
    global: Saved,
    segments: BTreeMap<String, Saved>,
}

impl Learners {
    /// Publishes the prior as version 1 and learns from there.
    pub fn new(options: ControllerOptions, prior: Prior, segments: &[String]) -> Self {
        let global = Controller::new(options, prior);
        let member = |name: &String| Member {
            name: name.clone(),
            id: segment_id(name),
            controller: global.clone(),
        };
        let segments = segments.iter().map(member).collect();
        Learners { snapshot: global.snapshot().clone(), segments, global }
    }

    /// What the filter should decide with.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Bytes of the largest snapshot that may ever be published: one with a canary everywhere.
    pub fn largest_snapshot(&self) -> usize {
        let mixture = || vec![self.snapshot.components.first().cloned(); 2].into_iter().flatten();
        let segments = self.segments.iter();
        let segments = segments.map(|it| Segment::new(it.name.clone(), mixture().collect()));
        let largest = Snapshot {
            components: mixture().collect(),
            segments: segments.collect(),
            ..self.snapshot.clone()
        };
        // Versions and shares grow by some digits in each mixture.
        largest.to_json().len() + 256 * (1 + self.segments.len())
    }

    /// Samples taken in so far.
    pub fn seen(&self) -> u64 {
        self.global.seen()
    }

    /// Length of the contexts that are learnt from.
    pub fn dimensions(&self) -> usize {
        self.global.dimensions()
    }

    /// The options of every learner.
    pub fn options(&self) -> &ControllerOptions {
        self.global.options()
    }

    /// Names of the segments.
    pub fn names(&self) -> Vec<String> {
        self.segments.iter().map(|member| member.name.clone()).collect()
    }

    /// The segment itself if it has a learner, otherwise [`EVERYTHING`].
    pub fn known(&self, segment: SegmentId) -> SegmentId {
        let known = self.segments.iter().any(|member| member.id == segment);
        if known { segment } else { EVERYTHING }
    }

    fn own(&mut self, segment: SegmentId) -> Option<&mut Controller> {
        let member = self.segments.iter_mut().find(|member| member.id == segment);
        member.map(|member| &mut member.controller)
    }

    /// The learner that decides in a segment.
    fn deciding(&mut self, segment: SegmentId) -> &mut Controller {
        let member = self.segments.iter_mut().find(|member| member.id == segment);
        member.map_or(&mut self.global, |member| &mut member.controller)
    }

    /// Takes the events since the last call, each with the name of its segment.
    pub fn take_events(&mut self) -> Vec<Event> {
        let mut events = self.global.take_events();
        for member in &mut self.segments {
            let own = member.controller.take_events().into_iter();
            events.extend(own.map(|event| Event { segment: member.name.clone(), ..event }));
        }
        events
    }

    /// Learns from a sample. Only samples that the bandit drew belong in the window on which
    /// policies are evaluated: `drawn`.
    pub fn observe(&mut self, sample: Sample, drawn: bool) {
        self.global.learn_from(&sample);
        if let Some(own) = self.own(sample.segment) {
            own.learn_from(&sample);
        }
        self.watch(sample, drawn);
    }

    /// Learns from sums of a segment that others have added up: `learnt` samples, and `corrected` ones.
    pub fn absorb(&mut self, segment: SegmentId, sums: Statistics, learnt: u32, corrected: u32) {
        if let Some(own) = self.own(segment) {
            own.absorb(sums.clone(), learnt, corrected);
        }
        self.global.absorb(sums, learnt, corrected);
    }

    /// Takes a sample that others sum up into the window, and looks for a change.
    pub fn watch(&mut self, sample: Sample, drawn: bool) {
        self.deciding(sample.segment).watch(sample, drawn);
    }

    /// Takes a sample into the window that was learnt from already.
    pub fn remember(&mut self, sample: Sample) {
        self.deciding(sample.segment).remember(sample);
    }

    /// Replaces a reward that was learnt from: one of higher rank came later.
    pub fn correct(&mut self, old: &Sample, reward: f32) {
        self.global.correct(old, reward);
        if let Some(own) = self.own(old.segment) {
            own.correct(old, reward);
        }
    }

    /// Fits candidates and evaluates what is due; `true` when the snapshot is a new one.
    pub fn step(&mut self) -> bool {
        let mut changed = self.global.step();
        for member in &mut self.segments {
            member.controller.follow(&self.global, SHARED_PRECISION);
            changed |= member.controller.step();
        }
        if changed {
            self.publish();
        }
        changed
    }

    fn publish(&mut self) {
        let own = self.segments.iter().filter(|member| member.controller.has_own_policy());
        let segment = |member: &Member| {
            let components = member.controller.snapshot().components.clone();
            Segment::new(member.name.clone(), components)
        };
        let controllers = self.segments.iter().map(|member| &member.controller);
        let versions: Vec<&str> = std::iter::once(&self.global)
            .chain(controllers)
            .map(|controller| controller.snapshot().version.as_str())
            .collect();
        self.snapshot = Snapshot {
            version: versions.join("-"),
            segments: own.map(segment).collect(),
            ..self.global.snapshot().clone()
        };
    }

    /// Promotes by hand, for a segment's learner or, without a name, the global one: the canary to
    /// all its traffic, or else the candidate to a canary. `false` when no learner has this name.
    pub fn promote(&mut self, segment: &str) -> bool {
        self.order(segment, |controller| {
            controller.promote();
            true
        })
    }

    /// Rolls back by hand: the canary ends, or else the policy before returns. `false` when there
    /// is neither.
    pub fn roll_back(&mut self, segment: &str) -> bool {
        self.order(segment, Controller::roll_back)
    }

    fn order(&mut self, segment: &str, carry_out: impl Fn(&mut Controller) -> bool) -> bool {
        let found = self.segments.iter_mut().find(|member| member.name == segment);
        let controller = match found {
            Some(member) => &mut member.controller,
            None if segment.is_empty() => &mut self.global,
            None => return false,
        };
        let done = carry_out(controller);
        self.publish();
        done
    }

    /// All that the next process needs except the windows, which are refilled from the log
    /// ([`Learners::remember`]).
    pub fn save(&mut self) -> Vec<u8> {
        let global = self.global.save();
        let segments = self.segments.iter_mut();
        let segments = segments.map(|it| (it.name.clone(), it.controller.save())).collect();
        // Strings and whole numbers cannot fail to serialise.
        serde_json::to_vec(&SavedLearners { global, segments }).unwrap_or_default()
    }

    /// Restores a saved state; `None`, and nothing changed, when it is for other targets,
    /// penalties or features. New segments begin with the global model.
    pub fn restore(&mut self, state: &[u8]) -> Option<()> {
        let mut saved: SavedLearners = serde_json::from_slice(state).ok()?;
        self.global.restore(&saved.global)?;
        for member in &mut self.segments {
            let own = saved.segments.remove(&member.name);
            let _ = own.and_then(|own| member.controller.restore(&own));
            member.controller.follow(&self.global, SHARED_PRECISION);
        }
        self.publish();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use pointsman_core::policy::bandit::{Context, Explorer, MAX_SNAPSHOT_BYTES};

    /// Two segments next to all other traffic.
    fn learners() -> Learners {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let mut options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        options.explorer = Explorer::EpsilonGreedy { epsilon: 0.2 };
        let segments = ["hard".to_owned(), "idle".to_owned()];
        Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &segments)
    }

    /// Plays requests of a segment: in `hard` the cheap target earns nothing, elsewhere nearly
    /// everything.
    fn play(learners: &mut Learners, name: &str, requests: usize, rng: &mut SmallRng) {
        for k in 1..=requests {
            let context = Context::new(2).of_engineered(&[], &[rng.random_range(0.6..1.0)]);
            let segment = segment_id(name);
            let drawn =
                learners.snapshot().choose(segment, &context, &[true; 2], rng.random()).unwrap();
            let (target, propensity) = (drawn.target, drawn.propensity);
            let reward = if target == 1 || name != "hard" { 0.9 } else { 0.0 };
            learners.observe(Sample { context, target, propensity, reward, segment }, true);
            if k % 250 == 0 {
                learners.step();
            }
        }
    }

    fn strong_share(learners: &Learners, name: &str) -> f64 {
        let context = Context::new(2).of_engineered(&[], &[0.8]);
        learners.snapshot().probabilities(segment_id(name), &context, &[true; 2])[1]
    }

    #[test]
    fn a_segment_learns_its_own_policy_and_leaves_the_others_theirs() {
        let mut learners = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        for _ in 0..16 {
            play(&mut learners, "hard", 250, &mut rng);
            play(&mut learners, "", 500, &mut rng);
        }
        assert!(strong_share(&learners, "hard") > 0.8, "{:?}", learners.snapshot());
        for other in ["", "idle", "unheard of"] {
            assert!(strong_share(&learners, other) < 0.2, "{other}: {:?}", learners.snapshot());
        }
        let names: Vec<&str> =
            learners.snapshot().segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["hard"], "the idle one does not have a policy of its own");
        let events = learners.take_events();
        assert!(events.iter().any(|event| event.segment == "hard"), "{events:?}");
    }

    #[test]
    fn a_segment_follows_everything_until_it_has_a_policy_of_its_own() {
        let mut learners = learners();
        assert!(learners.promote("") && learners.promote(""));
        let global = learners.snapshot().clone();
        assert!(global.segments.is_empty());
        assert!(learners.promote("idle"), "a canary in one segment");
        assert_eq!(learners.snapshot().components, global.components);
        assert_eq!(learners.snapshot().segments[0].components.len(), 2);
        assert_ne!(learners.snapshot().version, global.version);
        assert!(learners.roll_back("idle"));
        assert!(!learners.promote("nobody") && !learners.roll_back("nobody"));
    }

    #[test]
    fn what_was_learnt_survives_and_a_new_segment_begins_with_the_global_model() {
        let mut before = learners();
        let mut rng = SmallRng::seed_from_u64(3);
        for _ in 0..16 {
            play(&mut before, "hard", 250, &mut rng);
        }
        let state = before.save();
        let mut after = learners();
        after.restore(&state).unwrap();
        assert_eq!(after.snapshot(), before.snapshot());
        let names = ["new".to_owned(), "hard".to_owned()];
        let options = before.options().clone();
        let mut other = Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &names);
        other.restore(&state).unwrap();
        assert_eq!(strong_share(&other, "hard"), strong_share(&before, "hard"));
        assert_eq!(strong_share(&other, "new"), strong_share(&before, ""));
    }

    #[test]
    fn without_segments_there_is_one_learner() {
        let options = learners().options().clone();
        let prior = Prior::warm(&[0.5], &[0.0, 0.2]);
        let mut alone = Controller::new(options.clone(), prior.clone());
        let mut learners = Learners::new(options, prior, &[]);
        let mut rng = SmallRng::seed_from_u64(3);
        for k in 0..2000 {
            let context = Context::new(2).of_engineered(&[], &[rng.random()]);
            let (target, segment) = (k % 2, segment_id("somebody"));
            let sample = Sample { context, target, propensity: 0.5, reward: rng.random(), segment };
            alone.observe(sample.clone(), true);
            learners.observe(sample, true);
        }
        assert_eq!(alone.step(), learners.step());
        assert_eq!(alone.snapshot(), learners.snapshot());
    }

    #[test]
    fn the_largest_snapshot_is_known_before_anything_is_learnt() {
        let names: Vec<String> = (0..16).map(|k| format!("tenant-{k}")).collect();
        let options = learners().options().clone();
        let mut learners = Learners::new(options, Prior::cold(2), &names);
        let bound = learners.largest_snapshot();
        for name in names.iter().map(String::as_str).chain([""]) {
            learners.promote(name);
        }
        let found = learners.snapshot().to_json().len();
        assert!(found <= bound && bound <= MAX_SNAPSHOT_BYTES, "{found} bytes, bound {bound}");
    }
}
