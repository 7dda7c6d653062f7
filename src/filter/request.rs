//! One request: headers, body, trailers to a decision; the decision to headers and record.

use std::rc::Rc;
use std::time::Instant;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::control::{Control, Told};
use super::response::Answer;
use super::root::Service;
use super::route::header;
use super::{
    CLUSTER_HEADER, DECISION_ID_HEADER, REASON_HEADER, RECORD_PROPERTY, SCORE_HEADER,
    SOURCE_HEADER, TARGET_HEADER, body, conversation, response, route,
};
use crate::config::Mode;
use crate::control;
use crate::decision::{Decision, Reason};
use crate::policy::Facts;
use crate::record::{self, Record};
use crate::router::CLIENT_HEADER;
use crate::scope::{Ours, Pass, Scope};

/// How far a request has come.
enum Stage {
    /// Not ours: never touched again.
    Passed,
    /// Headers are held back until the body is here.
    Reading(Ours),
    /// On its way.
    Decided { decision: Decision, id: String, at: Instant, mode: Mode },
}

/// How much of the body is buffered.
#[derive(Clone, Copy)]
struct Extent {
    /// Nothing follows.
    ended: bool,
    /// More than is read.
    cut: bool,
}

pub(super) struct Request {
    service: Rc<Service>,
    stage: Stage,
    answer: Option<Answer>,
}

impl Request {
    pub(super) fn new(service: Rc<Service>) -> Self {
        Request { service, stage: Stage::Passed, answer: None }
    }

    /// Decides on what is buffered of the body.
    fn decide_on_body(&mut self, ours: Ours, extent: Extent) {
        let started = Instant::now();
        let service = Rc::clone(&self.service);
        let (router, config) = (&service.router, service.router.config());
        let mut body = body::read(config.max_body_bytes);
        let body_bytes = body.len();
        let mut facts = Facts {
            header: &header,
            policy: ours.policy,
            unavailable: service.watch.unavailable(milliseconds_since_epoch() / 1000),
            ..Facts::default()
        };
        let mut told = Told::default();
        let id = service.decision_id();
        let decision = match router.read(ours.format, &mut body, extent.cut || !extent.ended) {
            Err(error) => router.fall_back(error.into()),
            Ok(prompt) => {
                let talk = config.sticky.as_ref();
                let talk = talk.map(|sticky| (sticky, router.conversation(&prompt, &facts)));
                facts.previous = talk
                    .and_then(|(sticky, key)| conversation::recall(sticky, key, &config.targets));
                let mut decision = router.decide_prompt(&prompt, &facts);
                if let Some(control) = &service.control {
                    told = control.decide(&mut decision, service.uniform());
                    let now = u32::try_from(milliseconds_since_epoch() / 1000).unwrap_or(0);
                    control.asked(&prompt, header("authorization").as_deref(), &id, now);
                } else {
                    told.fallback = service.metrics.bandit_fallback(&decision);
                }
                // Where it goes while its target is down is no choice to hold on to.
                let chosen = router.target(&decision).filter(|_| decision.reason != Reason::Health);
                if let (Some((sticky, key)), Some(target)) = (talk, chosen) {
                    conversation::remember(sticky, key, target);
                }
                decision
            }
        };
        if ours.mode == Mode::Route
            && let Some(target) = router.target(&decision).filter(|it| !it.edits.is_empty())
        {
            body::write(target, config.max_body_bytes, extent.ended && !extent.cut);
        }
        self.settle(decision, id, told, ours.mode, body_bytes, started);
    }

    /// Puts a decision into effect: route, record, metrics.
    fn settle(
        &mut self,
        decision: Decision,
        id: String,
        told: Told,
        mode: Mode,
        body_bytes: usize,
        started: Instant,
    ) {
        let service = Rc::clone(&self.service);
        let Some(target) = service.router.target(&decision) else {
            return;
        };
        let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if !service.router.config().client.targets.is_empty() {
            self.set_http_request_header(CLIENT_HEADER, None);
        }
        if mode == Mode::Route {
            self.set_http_request_header(CLUSTER_HEADER, Some(&target.cluster));
            // ABI 0.2.1 clears the route cache on header changes; newer ones will not. Hosts
            // without the function say "not found", which changes nothing.
            let _ = hostcalls::call_foreign_function("clear_route_cache", None);
        }
        let config = service.router.config();
        let record = Record {
            ts: milliseconds_since_epoch(),
            decision_id: &id,
            policy_version: &config.version,
            model_version: &service.router.classifier().manifest().version,
            schema_hash: &service.schema_hash,
            mode: mode.name(),
            target: &target.name,
            cluster: &target.cluster,
            source: decision.source().name(),
            reason: config.reason_name(decision.reason),
            policy: config.policies.get(decision.policy).map_or("", |policy| &policy.name),
            score: decision.score,
            threshold: decision.threshold,
            propensity: decision.propensity,
            features: record::pack(&decision.context),
            context: told.context,
            snapshot: told.snapshot,
            bandit_fallback: told.fallback,
            body_bytes,
            prompt_tokens_estimate: decision.prompt_tokens_estimate,
            latency_us,
        };
        let record = record.to_json();
        self.set_property(vec![RECORD_PROPERTY], Some(record.as_bytes()));
        if let Some(control) = &service.control {
            control.tell(&record);
        }
        service.metrics.decided(&decision, body_bytes, latency_us);
        self.stage = Stage::Decided { decision, id, at: Instant::now(), mode };
    }

    /// Tells the control plane what a complete answer is worth by its own signs.
    fn judge(&self, answer: &Answer) {
        let (Stage::Decided { decision, id, at, .. }, Some(control)) =
            (&self.stage, &self.service.control)
        else {
            return;
        };
        let Some(status) = answer.complete(decision.target) else { return };
        let price = self.service.router.target(decision).and_then(|target| target.price);
        let cost = price.zip(answer.usage()).map(|(price, usage)| price.of(usage));
        let outcome = answer.outcome();
        control.judge(id, &control::Answer { status, took: at.elapsed(), cost, outcome });
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        // A client must not steer by a header that only this filter may set, whatever the mode.
        if header(CLUSTER_HEADER).is_some() {
            self.set_http_request_header(CLUSTER_HEADER, None);
        }
        let config = self.service.router.config();
        let ours = match Scope::of(config, &header, &route::metadata, end_of_stream) {
            Scope::Ours(ours) => ours,
            Scope::Passes(why) => {
                if why == Pass::Skipped {
                    self.set_http_request_header(CLIENT_HEADER, None);
                }
                self.service.metrics.passed(why);
                self.set_property(vec![RECORD_PROPERTY], Some(record::of_pass(why).as_bytes()));
                return Action::Continue;
            }
        };
        if ours.misdirected {
            self.service.metrics.misdirected();
        }
        if let Some(reason) = ours.unreadable {
            let decision = self.service.router.fall_back(reason);
            let id = self.service.decision_id();
            self.settle(decision, id, Told::default(), ours.mode, 0, Instant::now());
            return Action::Continue;
        }
        self.stage = Stage::Reading(ours);
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Stage::Reading(ours) = self.stage else {
            return Action::Continue;
        };
        let limit = self.service.router.config().max_body_bytes;
        if !end_of_stream && size < limit {
            return Action::Pause;
        }
        self.decide_on_body(ours, Extent { ended: end_of_stream, cut: size > limit });
        Action::Continue
    }

    /// With trailers the body callback never sees the end of the stream.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Stage::Reading(ours) = self.stage {
            // More than the limit would have been decided on before.
            self.decide_on_body(ours, Extent { ended: true, cut: false });
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Stage::Decided { decision, id, mode, .. } = &self.stage else {
            return Action::Continue;
        };
        let judged = self.service.control.as_ref().is_some_and(Control::judges);
        let config = self.service.router.config();
        let reads = judged || self.service.metrics.counts_spending();
        if (reads || config.health.is_some())
            && let Some(status) = response::status()
        {
            // Where only Envoy routes, the target decided on has most likely not answered.
            let routed = (*mode == Mode::Route).then_some(decision.target);
            let target = response::answering(&config.targets).or(routed);
            if reads {
                self.answer = Some(Answer::begin(status, target, judged, end_of_stream));
            }
            if let (Some(health), Some(target)) = (&config.health, target) {
                let now = milliseconds_since_epoch() / 1000;
                self.service.watch.answered(health, target, status, now);
            }
        }
        let shown = config.response_headers;
        let Some(target) = self.service.router.target(decision) else {
            return Action::Continue;
        };
        let score = decision.score.map(|score| score.to_string());
        for (show, name, value) in [
            (shown.target, TARGET_HEADER, Some(target.name.as_str())),
            (shown.source, SOURCE_HEADER, Some(decision.source().name())),
            (shown.reason, REASON_HEADER, Some(config.reason_name(decision.reason))),
            (shown.score, SCORE_HEADER, score.as_deref()),
            (shown.decision_id, DECISION_ID_HEADER, Some(id.as_str())),
        ] {
            if show && value.is_some() {
                self.set_http_response_header(name, value);
            }
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(answer) = &mut self.answer {
            answer.pass(size, end_of_stream);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.answer.iter_mut().for_each(Answer::finish);
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(answer) = &self.answer {
            answer.count(&self.service.metrics);
            self.judge(answer);
        }
    }
}

fn milliseconds_since_epoch() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|age| u64::try_from(age.as_millis()).ok()).unwrap_or(0)
}
