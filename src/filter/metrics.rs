//! Metrics, defined once per configuration.

use std::cell::Cell;
use std::collections::HashMap;

use proxy_wasm::hostcalls::{define_metric, increment_metric, record_metric};
use proxy_wasm::types::{MetricType, Status};

use crate::config::{Config, Target};
use crate::control::Missing;
use crate::decision::{Decision, Reason};
use crate::metrics::{self, Direction};
use crate::scope::Pass;
use crate::usage::{Price, Usage};

/// Identifiers of the metrics that Envoy gave out.
pub(super) struct Metrics {
    passed: Vec<(Pass, u32)>,
    misdirected: u32,
    decision_time: u32,
    body_bytes: u32,
    score: u32,
    decisions: HashMap<(usize, Reason), u32>,
    /// One a target, when all targets have prices.
    spending: Vec<Spending>,
    /// For a bandit that no control plane gives a policy.
    no_snapshot: Option<u32>,
    /// Gauge of the workers that serve with this configuration.
    configuration: u32,
    serving: Cell<bool>,
}

/// What one target's answers cost.
struct Spending {
    price: Price,
    strongest: Price,
    reported: u32,
    missing: u32,
    input: u32,
    output: u32,
    spend: u32,
    always_strongest: u32,
}

impl Metrics {
    /// Defines the bounded set: every target with every reason.
    pub(super) fn define(config: &Config, model_version: &str) -> Result<Self, Status> {
        let mut decisions = HashMap::new();
        for (target, described) in config.targets.iter().enumerate() {
            for reason in config.reasons(target) {
                let id = counter(&metrics::decisions(config, &described.name, reason))?;
                decisions.insert((target, reason), id);
            }
        }
        let no_snapshot = (config.bandit.is_some() && config.control.is_none())
            .then(|| counter(&metrics::bandit_fallback(Missing::NoSnapshot)));
        let passed = Pass::ALL.iter().map(|&why| Ok((why, counter(&metrics::passed(why))?)));
        let configuration = metrics::configuration(model_version, &config.version);
        Ok(Metrics {
            passed: passed.collect::<Result<_, _>>()?,
            misdirected: counter(metrics::MISDIRECTED)?,
            decision_time: define_metric(MetricType::Histogram, metrics::DECISION_TIME)?,
            body_bytes: define_metric(MetricType::Histogram, metrics::BODY_BYTES)?,
            score: define_metric(MetricType::Histogram, metrics::SCORE)?,
            decisions,
            spending: spending(&config.targets)?,
            no_snapshot: no_snapshot.transpose()?,
            configuration: define_metric(MetricType::Gauge, &configuration)?,
            serving: Cell::new(false),
        })
    }

    /// A request comes: this worker serves with this configuration. Configuring alone does not
    /// count, because Envoy tries a configuration in a VM that it throws away.
    pub(super) fn serves(&self) {
        if !self.serving.replace(true) {
            count(self.configuration, 1);
        }
    }

    pub(super) fn passed(&self, why: Pass) {
        if let Some((_, id)) = self.passed.iter().find(|(known, _)| *known == why) {
            count(*id, 1);
        }
    }

    /// A route's metadata was not understood.
    pub(super) fn misdirected(&self) {
        count(self.misdirected, 1);
    }

    pub(super) fn decided(&self, decision: &Decision, body_bytes: usize, latency_us: u64) {
        if let Some(&id) = self.decisions.get(&(decision.target, decision.reason)) {
            count(id, 1);
        }
        record(self.decision_time, latency_us);
        record(self.body_bytes, body_bytes as u64);
        if let Some(score) = decision.score {
            record(self.score, (score * 1000.0).round() as u64);
        }
    }

    /// Why the classifier decided, when it should have been a bandit that has no control plane.
    pub(super) fn bandit_fallback(&self, decision: &Decision) -> Option<&'static str> {
        let id = self.no_snapshot.filter(|_| decision.is_drawable())?;
        count(id, 1);
        Some(Missing::NoSnapshot.name())
    }

    /// Whether answers are read for what they cost.
    pub(super) fn counts_spending(&self) -> bool {
        !self.spending.is_empty()
    }

    /// A target answered, and told its token counts or not.
    pub(super) fn answered(&self, target: usize, usage: Option<Usage>) {
        let Some(spending) = self.spending.get(target) else { return };
        let Some(usage) = usage else {
            count(spending.missing, 1);
            return;
        };
        count(spending.reported, 1);
        count(spending.input, usage.input);
        count(spending.output, usage.output);
        count(spending.spend, spending.price.nanodollars(usage));
        count(spending.always_strongest, spending.strongest.nanodollars(usage));
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

/// Savings compare each target's price with the strongest's, so one that is missing hides them.
fn spending(targets: &[Target]) -> Result<Vec<Spending>, Status> {
    let prices: Option<Vec<Price>> = targets.iter().map(|target| target.price).collect();
    let prices = prices.unwrap_or_default();
    let Some(&strongest) = prices.last() else { return Ok(Vec::new()) };
    let define = |(target, &price): (&Target, &Price)| {
        let name = &target.name;
        Ok(Spending {
            price,
            strongest,
            reported: counter(&metrics::answers(name, true))?,
            missing: counter(&metrics::answers(name, false))?,
            input: counter(&metrics::tokens(name, Direction::Input))?,
            output: counter(&metrics::tokens(name, Direction::Output))?,
            spend: counter(&metrics::spend(name))?,
            always_strongest: counter(&metrics::spend_always_strongest(name))?,
        })
    };
    targets.iter().zip(&prices).map(define).collect()
}

pub(super) fn counter(name: &str) -> Result<u32, Status> {
    define_metric(MetricType::Counter, name)
}

/// A metric that cannot be written must not cost a request: the loss shows in the metric itself.
pub(super) fn count(id: u32, amount: u64) {
    let _ = increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX));
}

fn record(id: u32, value: u64) {
    let _ = record_metric(id, value);
}
