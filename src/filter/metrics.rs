//! Metrics, defined once per configuration.

use std::collections::HashMap;

use proxy_wasm::hostcalls::{define_metric, increment_metric, record_metric};
use proxy_wasm::types::{MetricType, Status};

use crate::config::Config;
use crate::decision::{Decision, Reason};
use crate::metrics;

/// Identifiers of the metrics that Envoy gave out.
pub(super) struct Metrics {
    passed: u32,
    decision_time: u32,
    body_bytes: u32,
    decisions: HashMap<(usize, &'static str), u32>,
}

impl Metrics {
    /// Defines the bounded set: every target with every reason.
    pub(super) fn define(config: &Config) -> Result<Self, Status> {
        let mut decisions = HashMap::new();
        for (target, described) in config.targets.iter().enumerate() {
            for reason in Reason::ALL {
                let name = metrics::decisions(&described.name, reason);
                let id = define_metric(MetricType::Counter, &name)?;
                decisions.insert((target, reason.name()), id);
            }
        }
        Ok(Metrics {
            passed: define_metric(MetricType::Counter, metrics::PASSED)?,
            decision_time: define_metric(MetricType::Histogram, metrics::DECISION_TIME)?,
            body_bytes: define_metric(MetricType::Histogram, metrics::BODY_BYTES)?,
            decisions,
        })
    }

    pub(super) fn passed(&self) {
        count(self.passed, 1);
    }

    pub(super) fn decided(&self, decision: &Decision, body_bytes: usize, latency_us: u64) {
        if let Some(&id) = self.decisions.get(&(decision.target, decision.reason.name())) {
            count(id, 1);
        }
        record(self.decision_time, latency_us);
        record(self.body_bytes, body_bytes as u64);
    }
}

/// A metric that cannot be written must not cost a request: the loss shows in the metric itself.
pub(super) fn count(id: u32, amount: i64) {
    let _ = increment_metric(id, amount);
}

pub(super) fn counter(name: &str) -> Result<u32, Status> {
    define_metric(MetricType::Counter, name)
}

fn record(id: u32, value: u64) {
    let _ = record_metric(id, value);
}
