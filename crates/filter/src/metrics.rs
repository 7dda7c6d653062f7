//! Metrics, defined once per configuration.

use std::cell::Cell;
use std::collections::HashMap;

use pointsman_core::answer::Fault;
use pointsman_core::config::Config;
use pointsman_core::reason::FallbackReason;
use pointsman_core::reason::Reason;
use pointsman_core::scope::Pass;
use pointsman_core::target::{Billed, Price, Usage};
use pointsman_core::telemetry::{self, Direction, Sample};
use proxy_wasm::hostcalls::{define_metric, increment_metric, record_metric};
use proxy_wasm::types::{MetricType, Status};

/// Identifiers of the metrics that Envoy gave out.
pub(super) struct Metrics {
    passed: Vec<(Pass, u32)>,
    misdirected: u32,
    decision_time: u32,
    body_bytes: u32,
    bodies_cut: u32,
    not_rewritten: u32,
    score: u32,
    decisions: HashMap<(usize, Reason), u32>,
    /// By target.
    took_over: Vec<u32>,
    faults: Vec<Vec<(Fault, u32)>>,
    /// One per target, when all targets have prices.
    spending: Vec<Spending>,
    /// Of a bandit, whether it has a control plane or not.
    fallbacks: Vec<(FallbackReason, u32)>,
    control: Option<Control>,
    /// Gauge of the workers that serve with this configuration.
    configuration: u32,
    serving: Cell<bool>,
}

/// Of the control plane's client.
struct Control {
    dropped: u32,
    failed: u32,
    loaded: u32,
    refused: u32,
}

/// What one target's answers cost.
struct Spending {
    price: Price,
    strongest: Price,
    reported: u32,
    missing: u32,
    tokens: [u32; Direction::ALL.len()],
    spend: u32,
    always_strongest: u32,
    cached: u32,
    saved: u32,
    wasted: u32,
}

impl Metrics {
    /// Defines the bounded set: every target with every reason.
    pub(super) fn define(config: &Config, model_version: &str) -> Result<Self, Status> {
        let mut decisions = HashMap::new();
        for (target, described) in config.targets.iter().enumerate() {
            for reason in config.reasons(target) {
                let id = counter(&telemetry::decisions(config, &described.name, reason))?;
                decisions.insert((target, reason), id);
            }
        }
        let faults = config
            .targets
            .iter()
            .map(|target| counters(&Fault::ALL, |fault| telemetry::faults(&target.name, fault)));
        let took_over =
            config.targets.iter().map(|target| counter(&telemetry::fallbacks(&target.name)));
        let configuration = telemetry::configuration(model_version, &config.version);
        Ok(Metrics {
            passed: counters(&Pass::ALL, telemetry::passed)?,
            misdirected: counter(telemetry::MISDIRECTED)?,
            decision_time: define_metric(MetricType::Histogram, telemetry::DECISION_TIME)?,
            body_bytes: define_metric(MetricType::Histogram, telemetry::BODY_BYTES)?,
            bodies_cut: counter(telemetry::BODIES_CUT)?,
            not_rewritten: counter(telemetry::NOT_REWRITTEN)?,
            score: define_metric(MetricType::Histogram, telemetry::SCORE)?,
            decisions,
            took_over: took_over.collect::<Result<_, _>>()?,
            faults: faults.collect::<Result<_, _>>()?,
            spending: spending(config)?,
            fallbacks: fallbacks(config)?,
            control: config.control.is_some().then(Control::define).transpose()?,
            configuration: define_metric(MetricType::Gauge, &configuration)?,
            serving: Cell::new(false),
        })
    }

    /// A request comes: this worker serves with this configuration. Configuring alone does not
    /// count, because Envoy tries a configuration in a VM that it throws away.
    pub(super) fn serves(&self) {
        if !self.serving.replace(true) {
            increment(self.configuration, 1);
        }
    }

    pub(super) fn count(&self, sample: Sample) {
        match sample {
            Sample::Passed(why) => increment_named(&self.passed, why),
            Sample::Misdirected => increment(self.misdirected, 1),
            Sample::BodyCut => increment(self.bodies_cut, 1),
            Sample::NotRewritten => increment(self.not_rewritten, 1),
            Sample::Decided { target, reason, score, body_bytes, latency_us } => {
                if let Some(&id) = self.decisions.get(&(target, reason)) {
                    increment(id, 1);
                }
                record(self.decision_time, latency_us);
                record(self.body_bytes, body_bytes as u64);
                if let Some(score) = score {
                    record(self.score, (score * 1000.0).round() as u64);
                }
            }
            Sample::BanditFallback(reason) => increment_named(&self.fallbacks, reason),
            Sample::Answered { target, usage } => {
                self.spending.get(target).iter().for_each(|spending| spending.count(usage));
            }
            Sample::Saved { target, usage } => {
                self.spending.get(target).iter().for_each(|spending| spending.save(usage));
            }
            Sample::Wasted { target, usage } => {
                self.spending.get(target).iter().for_each(|spending| spending.waste(usage));
            }
            // Others count these.
            Sample::Inspected { .. } | Sample::BadAnswerKept(_) => {}
            Sample::TookOver { target } => {
                self.took_over.get(target).iter().for_each(|id| increment(**id, 1));
            }
            Sample::Faulty { target, fault } => {
                self.faults.get(target).iter().for_each(|faults| increment_named(faults, fault));
            }
            Sample::EventDropped => self.count_control(|control| control.dropped),
            Sample::ControlCallFailed => self.count_control(|control| control.failed),
            Sample::SnapshotLoaded => self.count_control(|control| control.loaded),
            Sample::SnapshotRefused => self.count_control(|control| control.refused),
        }
    }

    fn count_control(&self, id: impl Fn(&Control) -> u32) {
        self.control.iter().for_each(|control| increment(id(control), 1));
    }
}

impl Drop for Metrics {
    /// The configuration was replaced, and its last request is over.
    fn drop(&mut self) {
        if self.serving.get() {
            let _ = increment_metric(self.configuration, -1);
        }
    }
}

impl Control {
    fn define() -> Result<Self, Status> {
        Ok(Control {
            dropped: counter(telemetry::EVENTS_DROPPED)?,
            failed: counter(telemetry::CONTROL_CALLS_FAILED)?,
            loaded: counter(telemetry::SNAPSHOTS_LOADED)?,
            refused: counter(telemetry::SNAPSHOTS_REFUSED)?,
        })
    }
}

impl Spending {
    /// The target answered, and reported its token counts or not.
    fn count(&self, billed: Option<Billed>) {
        let Some(billed) = billed else {
            increment(self.missing, 1);
            return;
        };
        increment(self.reported, 1);
        for (direction, id) in Direction::ALL.into_iter().zip(self.tokens) {
            increment(
                id,
                match direction {
                    Direction::Input => billed.usage.input,
                    Direction::Output => billed.usage.output,
                    Direction::CachedInput => billed.cached_input,
                    Direction::CacheWrite => billed.cache_write,
                    Direction::Reasoning => billed.reasoning,
                },
            );
        }
        increment(self.spend, self.price.nanodollars(&billed));
        increment(self.always_strongest, self.strongest.nanodollars(&billed));
    }

    /// The target's answer was not sent on.
    fn waste(&self, usage: Usage) {
        let billed = Billed { usage, ..Billed::default() };
        let cost = self.price.nanodollars(&billed);
        increment(self.wasted, cost);
        increment(self.spend, cost);
    }

    /// A cache had the target's answer.
    fn save(&self, billed: Option<Billed>) {
        increment(self.cached, 1);
        billed.iter().for_each(|billed| increment(self.saved, self.price.nanodollars(billed)));
    }
}

fn spending(config: &Config) -> Result<Vec<Spending>, Status> {
    let prices = config.prices().unwrap_or_default();
    let Some(&strongest) = prices.last() else { return Ok(Vec::new()) };
    let define = |(target, &price): (&pointsman_core::target::Target, &Price)| {
        let name = &target.name;
        Ok(Spending {
            price,
            strongest,
            reported: counter(&telemetry::answers(name, true))?,
            missing: counter(&telemetry::answers(name, false))?,
            tokens: tokens(name)?,
            spend: counter(&telemetry::spend(name))?,
            always_strongest: counter(&telemetry::spend_always_strongest(name))?,
            cached: counter(&telemetry::cached_answers(name))?,
            saved: counter(&telemetry::saved_by_cache(name))?,
            wasted: counter(&telemetry::wasted(name))?,
        })
    };
    config.targets.iter().zip(&prices).map(define).collect()
}

/// One for each direction, in the order of all of them.
fn tokens(target: &str) -> Result<[u32; Direction::ALL.len()], Status> {
    let mut ids = [0; Direction::ALL.len()];
    for (id, direction) in ids.iter_mut().zip(Direction::ALL) {
        *id = counter(&telemetry::tokens(target, direction))?;
    }
    Ok(ids)
}

/// Without a control plane a bandit can lack a snapshot, but never have a stale one.
fn fallbacks(config: &Config) -> Result<Vec<(FallbackReason, u32)>, Status> {
    let possible: &[FallbackReason] = match (&config.control, &config.bandit) {
        (Some(_), _) => &FallbackReason::ALL,
        (None, Some(_)) => &[FallbackReason::NoSnapshot],
        (None, None) => &[],
    };
    counters(possible, telemetry::bandit_fallback)
}

/// One for each of these, by its name.
pub(super) fn counters<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> String,
) -> Result<Vec<(T, u32)>, Status> {
    all.iter().map(|&one| Ok((one, counter(&name(one))?))).collect()
}

pub(super) fn counter(name: &str) -> Result<u32, Status> {
    define_metric(MetricType::Counter, name)
}

pub(super) fn increment_named<T: PartialEq>(all: &[(T, u32)], name: T) {
    if let Some((_, id)) = all.iter().find(|(known, _)| *known == name) {
        increment(*id, 1);
    }
}

/// A metric that cannot be written must not cost a request: the loss shows in the metric itself.
pub(super) fn increment(id: u32, amount: u64) {
    let _ = increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX));
}

pub(super) fn record(id: u32, value: u64) {
    let _ = record_metric(id, value);
}
