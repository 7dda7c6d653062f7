//! The loop from samples to published snapshots: learn, evaluate, promote, roll back.

mod promotion;
mod saved;

pub use saved::RestoreError;
pub(super) use saved::Saved;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Change, ChangeDetector, Difference, Prior, Sample, Statistics};
use pointsman_core::policy::bandit::{Component, Context, Explorer, Snapshot};

/// What governs learning and promotion.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerOptions {
    /// Cheapest first.
    pub targets: Vec<String>,
    /// λ times each target's cost.
    pub penalties: Vec<f32>,
    pub explorer: Explorer,
    /// Samples after which an old one counts for 1/e.
    pub memory: f64,
    /// Samples on which candidates are evaluated.
    pub window: usize,
    /// Fewest samples for an evaluation.
    pub least: usize,
    /// Reward that the lower bound of a candidate must gain over the current policy.
    pub margin: f64,
    /// Standard errors between an estimate and its bound. Candidates are evaluated again and
    /// again, so 1.96 would let chance through.
    pub bound: f64,
    /// Share of the traffic that tries a candidate first; 0 publishes at once.
    pub canary_share: f64,
    /// Fewest samples of a canary.
    pub canary_least: usize,
    /// Whether the gate publishes by itself; otherwise a person promotes.
    pub automatic: bool,
}

impl ControllerOptions {
    /// Defaults for these targets and penalties.
    pub fn new(targets: Vec<String>, penalties: Vec<f32>) -> Self {
        ControllerOptions {
            targets,
            penalties,
            explorer: Explorer::SquareCb { gamma: 1000.0 },
            memory: 50_000.0,
            window: 20_000,
            least: 500,
            margin: 0.001,
            bound: 2.6,
            canary_share: 0.1,
            canary_least: 300,
            automatic: true,
        }
    }
}

/// How much traffic a policy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Evaluated on the log only.
    Shadow,
    /// A small share.
    Canary,
    /// All of it.
    Full,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A version moved on to [`Event::stage`].
    Promoted,
    /// A version lost its traffic again.
    RolledBack,
    /// Targets earn something else than predicted: older samples count for little from here.
    ChangeDetected,
}

/// One step of the loop, for the dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Samples seen before.
    pub samples: u64,
    pub outcome: EventKind,
    pub stage: Stage,
    pub version: String,
    /// Estimated gain over the policy before, and its standard error.
    pub gain: Option<[f64; 2]>,
    pub note: String,
    /// The segment; empty for the global learner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub segment: String,
}

/// Factor of old statistics after a detected change.
const LEFT_AFTER_CHANGE: f64 = 0.02;

/// Learner, window, detector and gate.
#[derive(Clone, Debug)]
pub struct Controller {
    options: ControllerOptions,
    prior: Prior,
    statistics: Statistics,
    fresh: Statistics,
    fresh_count: i32,
    window: VecDeque<Sample>,
    detector: ChangeDetector,
    model: Component,
    current: Component,
    previous: Option<Component>,
    canary: Option<Component>,
    /// Samples in the window since the present stage began.
    stage_samples: usize,
    seen: u64,
    versions: u64,
    snapshot: Snapshot,
    events: Vec<Event>,
}

impl Controller {
    /// Publishes the prior as version 1 and learns from there.
    pub fn new(options: ControllerOptions, prior: Prior) -> Self {
        let targets = options.targets.len();
        let dimensions = Context::new(targets).dimensions();
        let statistics = Statistics::new(targets, dimensions);
        // A prior is positive definite, so that the fit of no samples exists.
        let current = statistics
            .fit(&prior, "1", options.explorer.needs_spread())
            .unwrap_or_else(|| prior.component("1"));
        let snapshot = Snapshot {
            version: "1".to_owned(),
            context_hash: Context::new(targets).hash(),
            targets: options.targets.clone(),
            penalties: options.penalties.clone(),
            explorer: options.explorer,
            components: vec![current.clone()],
            segments: Vec::new(),
        };
        Controller {
            fresh: statistics.clone(),
            statistics,
            fresh_count: 0,
            window: VecDeque::new(),
            detector: ChangeDetector::new(targets),
            model: current.clone(),
            current,
            previous: None,
            canary: None,
            stage_samples: 0,
            seen: 0,
            versions: 1,
            snapshot,
            events: Vec::new(),
            options,
            prior,
        }
    }

    /// What the filter should decide with.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Samples taken in so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Length of the contexts that it learns from.
    pub fn dimensions(&self) -> usize {
        self.statistics.dimensions()
    }

    /// The options it was made with.
    pub fn options(&self) -> &ControllerOptions {
        &self.options
    }

    /// Takes the events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Learns from a sample. Only samples that the bandit drew belong in the window on which
    /// policies are evaluated: `drawn`.
    pub fn observe(&mut self, sample: Sample, drawn: bool) {
        self.learn_from(&sample);
        self.watch(sample, drawn);
    }

    /// Learns from a sample that another policy decided.
    pub(super) fn learn_from(&mut self, sample: &Sample) {
        self.seen = self.seen.saturating_add(1);
        self.fresh.add(sample, 1.0);
        self.fresh_count = self.fresh_count.saturating_add(1);
    }

    /// Whether a version of its own was ever published.
    pub(super) fn has_own_policy(&self) -> bool {
        self.versions > 1
    }

    /// Takes another's model as a prior worth `precision` samples, and its policy until there is one
    /// of its own.
    pub(super) fn follow(&mut self, other: &Controller, precision: f64) {
        let wide = |weights: &Vec<f32>| weights.iter().map(|weight| f64::from(*weight)).collect();
        self.prior = Prior { mean: other.model.weights.iter().map(wide).collect(), precision };
        if !self.has_own_policy() {
            self.current = other.current.clone();
        }
    }

    /// Learns from sums that others have added up: `learnt` samples, and `corrected` ones.
    pub fn absorb(&mut self, sums: Statistics, learnt: u32, corrected: u32) {
        self.seen = self.seen.saturating_add(u64::from(learnt));
        self.fresh.absorb(sums);
        let count = i32::try_from(learnt.saturating_add(corrected)).unwrap_or(i32::MAX);
        self.fresh_count = self.fresh_count.saturating_add(count);
    }

    /// Takes a sample that others sum up into the window, and looks for a change.
    pub fn watch(&mut self, sample: Sample, drawn: bool) {
        let predicted = self.model.weights.get(sample.target).map_or(0.0, |weights| {
            weights.iter().zip(&sample.context).map(|(w, x)| f64::from(w * x)).sum()
        });
        // Before it has data the model is a guess, and so are its residuals.
        let known = self.statistics.count(sample.target) >= self.options.least as f64;
        let residual = f64::from(sample.reward) - predicted;
        let change = if known { self.detector.observe(sample.target, residual) } else { None };
        if let Some(change) = change {
            self.forget_all_but_little(sample.target, change);
        }
        if drawn {
            self.stage_samples += 1;
            self.remember(sample);
        }
    }

    /// Takes a sample into the window that was learnt from already.
    pub fn remember(&mut self, sample: Sample) {
        self.window.push_back(sample);
        if self.window.len() > self.options.window {
            self.window.pop_front();
        }
    }

    /// Replaces a reward that was learnt from: one of higher rank came later.
    pub fn correct(&mut self, old: &Sample, reward: f32) {
        self.fresh_count = self.fresh_count.saturating_add(1);
        self.fresh.correct(old, reward);
    }

    fn forget_all_but_little(&mut self, target: usize, change: Change) {
        self.statistics.forget(LEFT_AFTER_CHANGE);
        self.fresh.forget(LEFT_AFTER_CHANGE);
        self.window.clear();
        self.stage_samples = 0;
        self.detector.reset();
        let direction = match change {
            Change::Up => "more",
            Change::Down => "less",
        };
        let name = self.options.targets.get(target).map_or("", String::as_str);
        let version = self.current.version.clone();
        self.record(
            EventKind::ChangeDetected,
            Stage::Full,
            version,
            None,
            &format!("{name} earns {direction} than predicted"),
        );
        if self.options.automatic
            && let Some(canary) = self.canary.take()
        {
            let note = "learnt before the change";
            self.record(EventKind::RolledBack, Stage::Canary, canary.version, None, note);
        }
    }

    fn record(
        &mut self,
        outcome: EventKind,
        stage: Stage,
        version: String,
        gain: Option<Difference>,
        note: &str,
    ) {
        let gain = gain.map(|gain| [gain.mean, gain.error]);
        let note = note.to_owned();
        let segment = String::new();
        self.events.push(Event {
            samples: self.seen,
            outcome,
            stage,
            version,
            gain,
            note,
            segment,
        });
    }

    /// Fits a candidate and evaluates what is due; `true` when the snapshot is a new one.
    pub fn step(&mut self) -> bool {
        let old = self.snapshot.version.clone();
        if self.fresh_count == 0 || !self.learn() {
            return false;
        }
        if self.options.automatic {
            self.evaluate();
        }
        self.snapshot.version != old
    }

    /// Moves fresh sums into the statistics, and fits the model. Sums that no model can be fitted to
    /// were damaged on their way, and are left out.
    fn learn(&mut self) -> bool {
        if self.fresh_count == 0 {
            return true;
        }
        let targets = self.options.targets.len();
        let empty = Statistics::new(targets, self.dimensions());
        let before = self.statistics.clone();
        let fresh = std::mem::replace(&mut self.fresh, empty);
        self.statistics.forget((1.0 - 1.0 / self.options.memory).powi(self.fresh_count));
        self.statistics.absorb(fresh);
        self.fresh_count = 0;
        let version = self.versions.saturating_add(1).to_string();
        let fitted =
            self.statistics.fit(&self.prior, &version, self.options.explorer.needs_spread());
        let Some(model) = fitted else {
            self.statistics = before;
            return false;
        };
        self.model = model;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::policy::bandit::EVERYTHING;

    #[test]
    fn sums_that_no_model_fits_are_left_out() {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        let mut controller = Controller::new(options, Prior::warm(&[0.5], &[0.0, 0.2]));
        let before = controller.clone();
        let numbers = Statistics::new(2, controller.dimensions()).to_bytes();
        for place in [7, 8 * 325 + 7] {
            let mut damaged = numbers.clone();
            // The exponent of the first product, or of the first sum of rewards.
            damaged[place] = 0xfe;
            damaged[place - 1] = 0xef;
            let sums = Statistics::from_bytes(&damaged, 2, controller.dimensions()).unwrap();
            controller.absorb(sums, 1, 0);
            assert!(!controller.step());
            assert_eq!(controller.statistics, before.statistics, "byte {place}");
            assert_eq!(controller.model, before.model);
        }
    }

    #[test]
    fn what_others_sum_up_teaches_the_same_as_the_samples() {
        let targets = vec!["cheap".to_owned(), "strong".to_owned()];
        let options = ControllerOptions::new(targets, vec![0.0, 0.2]);
        let new = || Controller::new(options.clone(), Prior::warm(&[0.5], &[0.0, 0.2]));
        let (mut alone, mut leader) = (new(), new());
        let mut sums = Statistics::new(2, leader.dimensions());
        for k in 0..2000_u16 {
            let score = f32::from(k % 100) / 100.0;
            let target = usize::from(k % 3 == 0);
            let sample = Sample {
                context: Context::new(2).of_engineered(&[], &[score]),
                target,
                propensity: 0.5,
                reward: if target == 0 { 1.0 - score } else { score },
                segment: EVERYTHING,
            };
            sums.add(&sample, 1.0);
            leader.watch(sample.clone(), true);
            alone.observe(sample, true);
        }
        leader.absorb(sums, 2000, 0);
        assert_eq!((alone.step(), leader.step()), (true, true));
        assert_eq!(alone.snapshot(), leader.snapshot());
        assert_eq!(alone.save(), leader.save());
    }
}
