//! A request on its way to the target that is asked in another's place.

use std::sync::Arc;

use crate::api::ApiFormat;
use crate::exchange::{Flow, Host};
use crate::header;
use crate::record;
use crate::verdict::{Examiner, Expectation};

use super::{KeptFor, Token, breaker, help, ledger};

/// Longest body of a request whose answer is compared with the one that was held.
const REQUEST_BYTES: usize = 1 << 20;

/// One request and its answer, in front of the target `to`.
#[derive(Debug, Default)]
pub struct StandIn {
    escalated: Option<Escalated>,
}

/// Of a request that came here because of a bad answer.
#[derive(Debug)]
struct Escalated {
    entry: ledger::Entry,
    format: Option<ApiFormat>,
    body: Vec<u8>,
    expectation: Option<Arc<Expectation>>,
    /// Reads the answer in passing, to see whether it is better.
    examiner: Option<Examiner>,
}

impl StandIn {
    /// Request headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host) {
        let Some(value) = host.request_header(header::HOLD) else { return };
        // Nothing is escalated twice.
        host.set_request_header(header::HOLD, None);
        host.set_request_header(header::HELD_EVENTS, None);
        let entry = Token::parse(&value).and_then(|token| ledger::take(host, token));
        // By it the listener knows how to write its own reply, if the answer is given back.
        let events = |entry: &ledger::Entry| entry.answer.as_ref().is_some_and(|it| it.events);
        if entry.as_ref().is_some_and(events) {
            host.set_request_header(header::HELD_EVENTS, Some("yes"));
        }
        let path = host.request_header(":path").unwrap_or_default();
        let format = ApiFormat::of_path(&path);
        let begin = |entry| Escalated {
            entry,
            format,
            body: Vec::new(),
            expectation: None,
            examiner: None,
        };
        self.escalated = entry.map(begin);
    }

    /// The next `size` bytes of the request body pass by.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, ended: bool) {
        let Some(escalated) = &mut self.escalated else { return };
        if escalated.body.len() + size <= REQUEST_BYTES {
            escalated.body.extend(host.request_body(size));
        }
        if let Some(format) = escalated.format.filter(|_| ended) {
            let body = std::mem::take(&mut escalated.body);
            escalated.expectation = Some(Arc::new(Expectation::read(format, &body)));
        }
    }

    /// Response headers are here: what was escalated is marked; when this target fails, too, the
    /// client gets the answer that was held.
    pub fn on_response_headers(&mut self, host: &impl Host, to: &str) -> Flow {
        let Some(escalated) = &mut self.escalated else { return Flow::Continue };
        let entry = &mut escalated.entry;
        let status = host.status().unwrap_or(503);
        let failed = status >= 400;
        // 4xx says something about the request, and one client must not switch escalation off for
        // all.
        if !failed || status == 429 || status >= 500 {
            breaker::answered(host, to, !failed);
        }
        if let Some(answer) = entry.answer.take().filter(|_| failed) {
            let kept = format!("{}; {}", entry.sign.name(), KeptFor::Unavailable.name());
            let media = if answer.events { "text/event-stream" } else { "application/json" };
            let headers = [
                (header::KEPT, kept.as_str()),
                (header::GIVEN_BACK, "yes"),
                ("cache-control", "no-store"),
            ];
            host.reply(200, media, &headers, &answer.body);
            self.escalated = None;
            return Flow::Pause;
        }
        let value = record::of_escalation(entry.sign, entry.usage);
        host.set_response_header(header::ESCALATED, Some(&value));
        let asked = escalated.format.zip(escalated.expectation.take()).filter(|_| !failed);
        if let Some((format, expectation)) = asked {
            let content_type = host.response_header("content-type").unwrap_or_default();
            escalated.examiner = Examiner::new(expectation, format, &content_type);
        }
        Flow::Continue
    }

    /// The next `size` bytes of the response body pass by.
    pub fn on_response_body(&mut self, host: &impl Host, to: &str, size: usize, ended: bool) {
        let Some(Escalated { entry, examiner: Some(examiner), .. }) = &mut self.escalated else {
            return;
        };
        if let Some(piece) = host.response_body(0, size) {
            examiner.read(&piece);
        }
        if ended {
            help::learn(host, to, entry.sign, examiner.sign(true) != Some(entry.sign));
            self.escalated = None;
        }
    }
}
