//! The global controller, and one per segment.

mod saved;

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
    /// all its traffic, or else the candidate to a canary. `false` when no learner has this name, or
    /// it has learnt nothing that could be promoted.
    pub fn promote(&mut self, segment: &str) -> bool {
        self.order(segment, Controller::promote)
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
        if done {
            self.publish();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use pointsman_core::policy::bandit::{Context, Explorer, MAX_SNAPSHOT_BYTES};

    /// Two segments next to all other traffic.
    pub(super) fn learners() -> Learners {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let mut options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        options.explorer = Explorer::EpsilonGreedy { epsilon: 0.2 };
        let segments = ["hard".to_owned(), "idle".to_owned()];
        Learners::new(options, Prior::warm(&[0.5], &[0.0, 0.2]), &segments)
    }

    /// Plays requests of a segment: in `hard` the cheap target earns nothing, elsewhere nearly
    /// everything.
    pub(super) fn play(learners: &mut Learners, name: &str, requests: usize, rng: &mut SmallRng) {
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

    /// Samples that are learnt and not evaluated.
    pub(super) fn teach(learners: &mut Learners, name: &str, samples: usize, rng: &mut SmallRng) {
        for k in 0..samples {
            let context = Context::new(2).of_engineered(&[], &[rng.random()]);
            let (target, segment) = (k % 2, segment_id(name));
            let sample = Sample { context, target, propensity: 0.5, reward: rng.random(), segment };
            learners.observe(sample, false);
        }
    }

    #[test]
    fn what_has_learnt_nothing_has_nothing_to_promote() {
        let mut learners = learners();
        let first = learners.snapshot().clone();
        for segment in ["", "hard", "idle"] {
            assert!(!learners.promote(segment), "{segment:?}");
        }
        assert_eq!(learners.snapshot(), &first);
        let mut rng = SmallRng::seed_from_u64(3);
        teach(&mut learners, "hard", 50, &mut rng);
        assert!(!learners.promote("idle"), "others have learnt");
        assert!(learners.promote("") && learners.promote(""), "to a canary, and to all");
        assert!(!learners.promote(""), "nothing since");
        teach(&mut learners, "", 1, &mut rng);
        assert!(learners.promote(""));
    }

    pub(super) fn strong_share(learners: &Learners, name: &str) -> f64 {
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
        let mut rng = SmallRng::seed_from_u64(3);
        teach(&mut learners, "", 50, &mut rng);
        assert!(learners.promote("") && learners.promote(""));
        let global = learners.snapshot().clone();
        assert!(global.segments.is_empty());
        teach(&mut learners, "idle", 50, &mut rng);
        assert!(learners.promote("idle"), "a canary in one segment");
        assert_eq!(learners.snapshot().components, global.components);
        assert_eq!(learners.snapshot().segments[0].components.len(), 2);
        assert_ne!(learners.snapshot().version, global.version);
        assert!(learners.roll_back("idle"));
        assert!(!learners.promote("nobody") && !learners.roll_back("nobody"));
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
        let mut rng = SmallRng::seed_from_u64(3);
        names.iter().for_each(|name| teach(&mut learners, name, 20, &mut rng));
        for name in names.iter().map(String::as_str).chain([""]) {
            assert!(learners.promote(name));
        }
        let found = learners.snapshot().to_json().len();
        assert!(found <= bound && bound <= MAX_SNAPSHOT_BYTES, "{found} bytes, bound {bound}");
    }
}
