//! One request: headers, body, trailers to a decision; the decision to headers and record.

use std::rc::Rc;
use std::time::Instant;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use super::control::Told;
use super::root::Service;
use super::{
    CLUSTER_HEADER, DECISION_ID_HEADER, REASON_HEADER, RECORD_PROPERTY, SCORE_HEADER,
    SOURCE_HEADER, TARGET_HEADER,
};
use crate::config::Mode;
use crate::decision::{Decision, Reason};
use crate::prompt::ApiFormat;
use crate::record::{self, Record};

/// How far a request has come.
enum Stage {
    /// Not ours: never touched again.
    Passed,
    /// Headers are held back until the body is here.
    Reading(ApiFormat),
    /// On its way.
    Decided { decision: Decision, id: String },
}

pub(super) struct Request {
    service: Rc<Service>,
    stage: Stage,
}

impl Request {
    pub(super) fn new(service: Rc<Service>) -> Self {
        Request { service, stage: Stage::Passed }
    }

    /// Only the bytes getters: the `String` ones panic on headers that are not UTF-8, which any
    /// client can send (proxy-wasm `hostcalls.rs`, `get_map_value`).
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
    }

    /// The format of a request that is ours.
    fn format(&self) -> Option<ApiFormat> {
        if self.header(":method")? != b"POST" {
            return None;
        }
        let path = self.header(":path")?;
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        path.ends_with(b"/chat/completions").then_some(ApiFormat::ChatCompletions)
    }

    /// Why the body cannot be read, as far as headers tell.
    fn unreadable(&self, end_of_stream: bool) -> Option<Reason> {
        if self.header("content-type").is_some_and(|value| !is_json(&value)) {
            return Some(Reason::NotJson);
        }
        let encoding = self.header("content-encoding");
        if encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity")) {
            return Some(Reason::ContentEncoded);
        }
        end_of_stream.then_some(Reason::EmptyBody)
    }

    /// Reads what is buffered of the body and decides on it.
    fn decide_on_body(&mut self, format: ApiFormat, size: usize, end_of_stream: bool) {
        let started = Instant::now();
        let limit = self.service.router.config().max_body_bytes;
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size.min(limit));
        let mut body = body.ok().flatten().unwrap_or_default();
        let body_bytes = body.len();
        let truncated = !end_of_stream || size > limit;
        let decision = self.service.router.decide(format, &mut body, truncated);
        self.settle(decision, body_bytes, started);
    }

    /// Puts a decision into effect: route, record, metrics.
    fn settle(&mut self, mut decision: Decision, body_bytes: usize, started: Instant) {
        let service = Rc::clone(&self.service);
        let told = match &service.control {
            Some(control) => control.decide(&mut decision, service.uniform()),
            None => Told::default(),
        };
        let Some(target) = service.router.target(&decision) else {
            return;
        };
        let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if service.router.config().mode == Mode::Route {
            self.set_http_request_header(CLUSTER_HEADER, Some(&target.cluster));
            // ABI 0.2.1 clears the route cache on header changes; newer ones will not. Hosts
            // without the function say "not found", which changes nothing.
            let _ = hostcalls::call_foreign_function("clear_route_cache", None);
        }
        let id = service.decision_id();
        let record = Record {
            ts: milliseconds_since_epoch(),
            decision_id: &id,
            policy_version: &service.policy_version,
            model_version: &service.router.classifier().manifest().version,
            schema_hash: &service.schema_hash,
            target: &target.name,
            cluster: &target.cluster,
            source: decision.source().name(),
            reason: decision.reason.name(),
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
        self.stage = Stage::Decided { decision, id };
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Some(format) = self.format() else {
            self.service.metrics.passed();
            // A client must not steer by a header that only this filter may set.
            if self.header(CLUSTER_HEADER).is_some() {
                self.set_http_request_header(CLUSTER_HEADER, None);
            }
            return Action::Continue;
        };
        if let Some(reason) = self.unreadable(end_of_stream) {
            let decision = self.service.router.fall_back(reason);
            self.settle(decision, 0, Instant::now());
            return Action::Continue;
        }
        self.stage = Stage::Reading(format);
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Stage::Reading(format) = self.stage else {
            return Action::Continue;
        };
        if !end_of_stream && size < self.service.router.config().max_body_bytes {
            return Action::Pause;
        }
        self.decide_on_body(format, size, end_of_stream);
        Action::Continue
    }

    /// With trailers the body callback never sees the end of the stream.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Stage::Reading(format) = self.stage {
            let limit = self.service.router.config().max_body_bytes;
            self.decide_on_body(format, limit, true);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Stage::Decided { decision, id } = &self.stage else {
            return Action::Continue;
        };
        let shown = self.service.router.config().response_headers;
        let Some(target) = self.service.router.target(decision) else {
            return Action::Continue;
        };
        let score = decision.score.map(|score| score.to_string());
        for (show, name, value) in [
            (shown.target, TARGET_HEADER, Some(target.name.as_str())),
            (shown.source, SOURCE_HEADER, Some(decision.source().name())),
            (shown.reason, REASON_HEADER, Some(decision.reason.name())),
            (shown.score, SCORE_HEADER, score.as_deref()),
            (shown.decision_id, DECISION_ID_HEADER, Some(id.as_str())),
        ] {
            if show && value.is_some() {
                self.set_http_response_header(name, value);
            }
        }
        Action::Continue
    }
}

/// `application/json`, `application/problem+json; charset=utf-8` and the like.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

fn milliseconds_since_epoch() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|age| u64::try_from(age.as_millis()).ok()).unwrap_or(0)
}
