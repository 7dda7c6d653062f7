//! The way back: the answer's headers, what is learnt from it while it passes, and at its end.

use crate::answer::FinishedAnswer;
use crate::config::Mode;
use crate::header;
use crate::record;
use crate::sign::Sign;
use crate::telemetry::Sample;

use super::answer::{self, Answer};
use super::held::{self, Event};
use super::{Decided, Exchange, Host, Stage, Worker, memory};

impl Exchange {
    /// Response headers are here; `ended` says that no body follows.
    pub fn on_response_headers(&mut self, worker: &Worker, host: &impl Host, ended: bool) {
        let Stage::Decided(Decided { decision, id, mode, .. }) = &self.stage else {
            return;
        };
        let config = worker.config();
        let event = self
            .held
            .as_ref()
            .and_then(|record| held::event(host, record, config.response_headers.escalated));
        if let Some((sign, event)) = &event {
            self.bad = true;
            bad_answer(worker, host, (decision.target, id), *sign, event);
        }
        if let Some((asked, status)) = self.asked.zip(host.status()) {
            // Where only Envoy routes, the target decided on has most likely not answered.
            let routed = (*mode == Mode::Route).then_some(decision.target);
            let given_back = matches!(event, Some((_, Event::Kept { given_back: true })));
            let answering = answer::answering(host, &config.targets).filter(|_| !given_back);
            let target = answering.or(routed);
            if let (Some(decided), Some(target)) = (routed, target)
                && decided != target
                && event.is_none()
            {
                host.measure(Sample::TookOver { target });
            }
            let answer = Answer::begin(host, status, target, asked.format, ended);
            if let (Some(health), Some(target)) = (&config.health, target)
                && !answer.is_read()
            {
                worker.health.answered(health, target, status, host.since_epoch().as_secs());
            }
            self.answer = Some(answer);
        }
        let shown = config.response_headers;
        let Some(target) = worker.router.target(decision) else {
            return;
        };
        let score = decision.score.map(|score| score.to_string());
        for (show, name, value) in [
            (shown.target, header::TARGET, Some(target.name.as_str())),
            (shown.source, header::SOURCE, Some(decision.source().name())),
            (shown.reason, header::REASON, Some(config.reason_name(decision.reason))),
            (shown.score, header::SCORE, score.as_deref()),
            (shown.decision_id, header::DECISION_ID, Some(id.as_str())),
        ] {
            if let Some(value) = value.filter(|_| show) {
                host.set_response_header(name, Some(value));
            }
        }
    }

    /// `size` more bytes of the response body pass by.
    pub fn on_response_body(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) {
        let Some((answer, asked)) = self.answer.as_mut().zip(self.asked) else { return };
        answer.pass(host, size, ended);
        // At once: the client may come back with it before the answer is over.
        let (made, target) = answer.take_state();
        let target = target.and_then(|target| worker.config().targets.get(target));
        if let Some(target) = target {
            made.into_iter().for_each(|id| memory::made(host, asked.caller, id, target));
        }
    }

    /// Response trailers pass by.
    pub fn on_response_trailers(&mut self) {
        self.answer.iter_mut().for_each(Answer::finish);
    }

    /// The exchange is over, or the client went away.
    pub fn on_end(&mut self, worker: &Worker, host: &impl Host) {
        let Some(answer) = self.answer.take() else { return };
        if let Some(target) = answer.charged() {
            charge(worker, host, &answer, target);
        }
        if let Some((target, fault)) = answer.verdict() {
            match (&worker.config().health, fault) {
                (Some(health), Some(_)) => {
                    worker.health.failed(health, target, host.since_epoch().as_secs());
                }
                _ => worker.health.succeeded(target),
            }
            if let Some(fault) = fault {
                host.measure(Sample::Faulty { target, fault });
            }
        }
        if !self.bad {
            self.judge(worker, host, &answer);
        }
    }

    /// Tells the control plane what a complete answer is worth by its own signs.
    fn judge(&self, worker: &Worker, host: &impl Host, answer: &Answer) {
        let (Stage::Decided(decided), Some(client)) = (&self.stage, &worker.control_plane) else {
            return;
        };
        let Some(status) = answer.complete(decided.decision.target) else { return };
        let target = worker.router.target(&decided.decision);
        let price = target.and_then(|target| target.price).filter(|_| !answer.is_cached());
        let finished = FinishedAnswer {
            status,
            took: host.instant().saturating_duration_since(decided.at),
            cost: price.zip(answer.billed()).map(|(price, billed)| price.of_billed(&billed)),
            outcome: answer.outcome(),
        };
        if !client.judge(&decided.id, &finished) {
            host.measure(Sample::EventDropped);
        }
    }
}

/// The target decided on gave a bad answer: it is worth nothing, and paid for even if it was not
/// sent on.
fn bad_answer(
    worker: &Worker,
    host: &impl Host,
    (target, id): (usize, &str),
    sign: Sign,
    event: &Event,
) {
    if let Event::Escalated { wasted: Some(usage) } = event
        && worker.counts_spending
    {
        host.measure(Sample::Wasted { target, usage: *usage });
    }
    let what = match event {
        Event::Escalated { .. } => "escalated",
        Event::Kept { .. } => "kept",
    };
    if let Some(client) = &worker.control_plane
        && !client.bad_answer(id, what, sign)
    {
        host.measure(Sample::EventDropped);
    }
}

/// Counts and records what a target's answer cost.
fn charge(worker: &Worker, host: &impl Host, answer: &Answer, target: usize) {
    let (usage, cached) = (answer.billed(), answer.is_cached());
    if worker.counts_spending {
        host.measure(match cached {
            true => Sample::Saved { target, usage },
            false => Sample::Answered { target, usage },
        });
    }
    if let Some((target, billed)) = worker.config().targets.get(target).zip(usage) {
        host.set_usage(&record::of_usage(target, &billed, cached));
    }
}
