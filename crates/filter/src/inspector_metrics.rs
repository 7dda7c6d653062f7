//! Metrics of answers that are held, defined once per endpoint's configuration.

use pointsman_core::escalation::{KeptFor, Outcome};
use pointsman_core::telemetry::{self, Direction, Sample};
use pointsman_core::verdict::Sign;
use proxy_wasm::hostcalls::define_metric;
use proxy_wasm::types::{MetricType, Status};

use super::metrics::{counter, counters, increment, increment_named, record};

/// Identifiers of the metrics that Envoy gave out.
pub(super) struct InspectorMetrics {
    outcomes: Vec<(Outcome, u32)>,
    escalations: Vec<(Sign, u32)>,
    kept: Vec<(KeptFor, u32)>,
    wasted: [u32; 2],
    held_ms: u32,
}

impl InspectorMetrics {
    pub(super) fn define(target: &str) -> Result<Self, Status> {
        let wasted = |direction| counter(&telemetry::wasted_tokens(target, direction));
        Ok(InspectorMetrics {
            outcomes: counters(&Outcome::ALL, |outcome| telemetry::inspected(target, outcome))?,
            escalations: counters(&Sign::ALL, |sign| telemetry::escalations(target, sign))?,
            kept: counters(&KeptFor::ALL, |why| telemetry::bad_answers_kept(target, why))?,
            wasted: [wasted(Direction::Input)?, wasted(Direction::Output)?],
            held_ms: define_metric(MetricType::Histogram, telemetry::HELD_TIME)?,
        })
    }

    pub(super) fn count(&self, sample: Sample) {
        match sample {
            Sample::Inspected { outcome, sign, held_ms, wasted } => {
                increment_named(&self.outcomes, outcome);
                let unheld = [Outcome::Unreadable, Outcome::NoRoom, Outcome::LongRequest];
                if !unheld.contains(&outcome) {
                    record(self.held_ms, held_ms);
                }
                if let Some(sign) = sign.filter(|_| outcome == Outcome::Escalated) {
                    increment_named(&self.escalations, sign);
                }
                if let Some(usage) = wasted {
                    let [input, output] = self.wasted;
                    increment(input, usage.input);
                    increment(output, usage.output);
                }
            }
            Sample::BadAnswerKept(why) => increment_named(&self.kept, why),
            _ => {}
        }
    }
}
