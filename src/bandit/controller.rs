//! The loop from samples to published snapshots: learn, judge, promote, roll back.

use std::collections::VecDeque;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Change, ChangeDetector, Difference, Prior, Sample, Statistics, difference};
use crate::policy::bandit::{Component, Context, Explorer, Snapshot};

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
    /// Samples on which candidates are judged.
    pub window: usize,
    /// Fewest samples for a judgement.
    pub least: usize,
    /// What a candidate must earn more than the current policy, at its lower bound.
    pub margin: f64,
    /// Standard errors between an estimate and its bound. Candidates are judged again and again,
    /// so 1.96 would let chance through.
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
            margin: 0.0,
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
    /// Judged on the log only.
    Shadow,
    /// A small share.
    Canary,
    /// All of it.
    Full,
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It moved on to [`Event::stage`].
    Promoted,
    /// It lost its traffic again.
    RolledBack,
    /// Targets earn otherwise than predicted: older samples count for little from here.
    ChangeDetected,
}

/// One step of the loop, kept for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Samples seen before.
    pub samples: u64,
    pub outcome: Outcome,
    pub stage: Stage,
    pub version: String,
    /// What it was estimated to earn more than the policy before, and the standard error.
    pub gain: Option<[f64; 2]>,
    pub note: String,
}

/// Share of old statistics that a detected change leaves.
const LEFT_AFTER_CHANGE: f64 = 0.02;
/// A canary that earned neither promotion nor rollback after so many times its fewest samples
/// ends.
const CANARY_PATIENCE: usize = 8;
/// A canary may be this much worse at its lower bound: its shadow estimate has shown the gain.
const CANARY_TOLERANCE: f64 = 0.01;

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
    /// Samples in the window that the present stage has brought.
    stage_samples: usize,
    seen: u64,
    versions: u64,
    snapshot: Snapshot,
    events: Vec<Event>,
}

/// The layout of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Saved {
    snapshot: String,
    previous: Option<String>,
    statistics: String,
    seen: u64,
    versions: u64,
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

    /// The options it was made with.
    pub fn options(&self) -> &ControllerOptions {
        &self.options
    }

    /// Takes the events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Learns from a sample. Only samples that the bandit drew belong in the window on which
    /// policies are judged: `drawn`.
    pub fn observe(&mut self, sample: Sample, drawn: bool) {
        self.seen += 1;
        self.fresh.add(&sample, 1.0);
        self.fresh_count += 1;
        let predicted = self.model.weights.get(sample.target).map_or(0.0, |weights| {
            weights.iter().zip(&sample.context).map(|(w, x)| f64::from(w * x)).sum()
        });
        // Before it has data the model is a guess, and its residuals tell of that.
        let known = self.statistics.count(sample.target) >= self.options.least as f64;
        let residual = f64::from(sample.reward) - predicted;
        let change = if known { self.detector.observe(sample.target, residual) } else { None };
        if let Some(change) = change {
            self.forget_all_but_little(sample.target, change);
        }
        if drawn {
            self.stage_samples += 1;
            self.window.push_back(sample);
            if self.window.len() > self.options.window {
                self.window.pop_front();
            }
        }
    }

    /// Takes a sample into the window that was learnt from before.
    pub fn remember(&mut self, sample: Sample) {
        self.window.push_back(sample);
        if self.window.len() > self.options.window {
            self.window.pop_front();
        }
    }

    /// All that the next process needs: statistics, policies, versions. The window is refilled
    /// from the log ([`Controller::remember`]).
    pub fn save(&mut self) -> Vec<u8> {
        self.learn();
        let previous =
            self.previous.iter().cloned().map(|component| Component { share: 1.0, ..component });
        let previous = Snapshot { components: previous.collect(), ..self.snapshot.clone() };
        let saved = Saved {
            snapshot: self.snapshot.to_json(),
            previous: self.previous.as_ref().map(|_| previous.to_json()),
            statistics: BASE64_STANDARD.encode(self.statistics.to_bytes()),
            seen: self.seen,
            versions: self.versions,
        };
        // Strings and whole numbers cannot fail to serialise.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Takes up a saved state; `None`, and nothing changed, when it is for other targets,
    /// penalties or features.
    pub fn restore(&mut self, state: &[u8]) -> Option<()> {
        let saved: Saved = serde_json::from_slice(state).ok()?;
        let snapshot = Snapshot::parse(saved.snapshot.as_bytes()).ok()?;
        if snapshot.targets != self.options.targets || snapshot.penalties != self.options.penalties
        {
            return None;
        }
        let statistics = BASE64_STANDARD.decode(&saved.statistics).ok()?;
        let dimensions = Context::new(snapshot.targets.len()).dimensions();
        let statistics = Statistics::from_bytes(&statistics, snapshot.targets.len(), dimensions)?;
        let previous = match &saved.previous {
            Some(json) => Snapshot::parse(json.as_bytes()).ok()?.components.into_iter().next(),
            None => None,
        };
        self.statistics = statistics;
        self.previous = previous;
        let mut components = snapshot.components.iter().cloned();
        self.current = components.next()?;
        self.canary = components.next();
        (self.seen, self.versions) = (saved.seen, saved.versions);
        // Another explorer takes effect with the next snapshot at the latest; here at once.
        self.snapshot = Snapshot { explorer: self.options.explorer, ..snapshot };
        let needs_factors = self.options.explorer.needs_spread();
        self.model = self.statistics.fit(&self.prior, "", needs_factors)?;
        if needs_factors && self.current.factors.is_empty() {
            self.current =
                Component { version: self.current.version.clone(), ..self.model.clone() };
            self.canary = None;
            self.publish();
        }
        Some(())
    }

    /// Replaces a reward that was learnt from: an explicit one came after an implicit one.
    pub fn correct(&mut self, old: &Sample, reward: f32) {
        self.fresh_count += 1;
        self.fresh.add(old, -1.0);
        self.fresh.add(&Sample { reward, ..old.clone() }, 1.0);
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
            Outcome::ChangeDetected,
            Stage::Full,
            version,
            None,
            &format!("{name} earns {direction} than predicted"),
        );
    }

    fn record(
        &mut self,
        outcome: Outcome,
        stage: Stage,
        version: String,
        gain: Option<Difference>,
        note: &str,
    ) {
        let gain = gain.map(|gain| [gain.mean, gain.error]);
        let note = note.to_owned();
        self.events.push(Event { samples: self.seen, outcome, stage, version, gain, note });
    }

    /// Fits a candidate, judges what is due, and says whether the snapshot is a new one.
    pub fn step(&mut self) -> bool {
        let old = self.snapshot.version.clone();
        if self.fresh_count == 0 || !self.learn() {
            return false;
        }
        if self.options.automatic {
            self.judge();
        }
        self.snapshot.version != old
    }

    /// Moves fresh sums into the statistics, and fits the model.
    fn learn(&mut self) -> bool {
        if self.fresh_count == 0 {
            return true;
        }
        let targets = self.options.targets.len();
        let empty = Statistics::new(targets, self.current.weights[0].len());
        let fresh = std::mem::replace(&mut self.fresh, empty);
        self.statistics.forget((1.0 - 1.0 / self.options.memory).powi(self.fresh_count));
        self.statistics.absorb(fresh);
        self.fresh_count = 0;
        let version = (self.versions + 1).to_string();
        let fitted =
            self.statistics.fit(&self.prior, &version, self.options.explorer.needs_spread());
        let Some(model) = fitted else { return false };
        self.model = model;
        true
    }

    fn compare(&self, challenger: &Component, champion: &Component, n: usize) -> Difference {
        let samples = self.window.iter().rev().take(n);
        difference(samples, &self.snapshot, challenger, champion, &self.model)
    }

    fn judge(&mut self) {
        let recent = self.stage_samples.min(self.window.len());
        if let Some(canary) = self.canary.take() {
            self.judge_canary(canary, recent);
            return;
        }
        if let Some(previous) = self.previous.clone()
            && recent >= self.options.least
        {
            let loss = self.compare(&previous, &self.current, recent);
            if loss.lower(self.options.bound) > self.options.margin {
                self.previous = None;
                let bad = std::mem::replace(&mut self.current, previous);
                self.record(
                    Outcome::RolledBack,
                    Stage::Full,
                    bad.version,
                    Some(loss),
                    "the policy before earns more",
                );
                self.publish();
                return;
            }
            if recent >= self.options.window {
                self.previous = None;
            }
        }
        if self.window.len() < self.options.least {
            return;
        }
        let gain = self.compare(&self.model, &self.current, self.window.len());
        if gain.lower(self.options.bound) > self.options.margin {
            self.advance(Some(gain));
        }
    }

    /// The candidate leaves the shadow.
    fn advance(&mut self, gain: Option<Difference>) {
        self.versions += 1;
        let version = self.versions.to_string();
        let candidate = Component { version: version.clone(), ..self.model.clone() };
        if self.options.canary_share > 0.0 {
            self.canary = Some(candidate);
            self.record(Outcome::Promoted, Stage::Canary, version, gain, "");
        } else {
            self.previous = Some(std::mem::replace(&mut self.current, candidate));
            self.record(Outcome::Promoted, Stage::Full, version, gain, "");
        }
        self.publish();
    }

    fn judge_canary(&mut self, canary: Component, recent: usize) {
        if recent < self.options.canary_least {
            self.canary = Some(canary);
            return;
        }
        let gain = self.compare(&canary, &self.current, recent);
        let version = canary.version.clone();
        let bound = self.options.bound;
        if gain.mean >= 0.0 && gain.lower(bound) > -CANARY_TOLERANCE {
            self.previous = Some(std::mem::replace(&mut self.current, canary));
            self.record(Outcome::Promoted, Stage::Full, version, Some(gain), "");
        } else if gain.upper(bound) < 0.0 || recent >= CANARY_PATIENCE * self.options.canary_least {
            self.record(Outcome::RolledBack, Stage::Canary, version, Some(gain), "");
        } else {
            self.canary = Some(canary);
            return;
        }
        self.publish();
    }

    fn publish(&mut self) {
        self.stage_samples = 0;
        let mut components = vec![self.current.clone()];
        if let Some(canary) = &self.canary {
            components[0].share = 1.0 - self.options.canary_share;
            let share = self.options.canary_share;
            components.push(Component { share, ..canary.clone() });
        } else {
            components[0].share = 1.0;
        }
        // A version names one mixture for ever: going back is a new one.
        self.versions += 1;
        self.snapshot =
            Snapshot { version: self.versions.to_string(), components, ..self.snapshot.clone() };
    }

    /// A person promotes: the canary to all traffic, or else the candidate to a canary.
    pub fn promote(&mut self) {
        if let Some(canary) = self.canary.take() {
            let version = canary.version.clone();
            self.previous = Some(std::mem::replace(&mut self.current, canary));
            self.record(Outcome::Promoted, Stage::Full, version, None, "by hand");
            self.publish();
        } else {
            self.advance(None);
        }
    }

    /// A person rolls back: the canary ends, or else the policy before returns. `false` when
    /// there is neither.
    pub fn roll_back(&mut self) -> bool {
        let bad = match (self.canary.take(), self.previous.take()) {
            (Some(canary), previous) => {
                self.previous = previous;
                canary
            }
            (None, Some(previous)) => std::mem::replace(&mut self.current, previous),
            (None, None) => return false,
        };
        self.record(Outcome::RolledBack, Stage::Full, bad.version, None, "by hand");
        self.publish();
        true
    }
}
