//! One answer of an endpoint: held back, judged, and sent on or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::ApiFormat;
use crate::exchange::{Flow, Host};
use crate::header;
use crate::media_type::MediaType;
use crate::target::{Hold, OnTimeout, Usage};
use crate::telemetry::Sample;
use crate::verdict::{Examiner, Expectation, Sign};

use super::{Inspector, KeptFor, Outcome, STATUS, Token, breaker, help, ledger};

/// Longest body of a request whose answer is held: it is kept until the answer begins.
const REQUEST_BYTES: usize = 1 << 20;
/// What stands in the place of an answer that is not sent on. Nobody sees it, unless Envoy's limits
/// on retries are reached.
const NOT_SENT_ON: &[u8] =
    br#"{"error":{"type":"gateway_error","message":"the answer was not good enough to send on"}}"#;

/// One request and its answer, next to the model.
#[derive(Debug, Default)]
pub struct Inspection {
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing is held, or no longer: bytes pass untouched.
    #[default]
    Passing,
    /// The request goes by.
    Asking(Question),
    /// The answer is held.
    Holding(Box<Held>),
    /// It was not sent on: what still comes of it is dropped.
    Dropping,
}

/// A request on its way to the model.
#[derive(Debug)]
struct Question {
    token: Token,
    format: ApiFormat,
    body: Vec<u8>,
    /// It has more bytes than are kept.
    cut: bool,
}

/// An answer that is held.
#[derive(Debug)]
struct Held {
    token: Token,
    /// `None` when its status says enough.
    examiner: Option<Examiner>,
    status: u16,
    events: bool,
    /// Bytes of the body that are here.
    bytes: usize,
    since: Instant,
}

impl Inspection {
    /// Request headers are here; `ended` says that no body follows.
    pub fn on_request_headers(
        &mut self,
        inspector: &Inspector,
        host: &impl Host,
        ended: bool,
    ) -> Flow {
        let token = host.request_header(header::HOLD).and_then(|value| Token::parse(&value));
        let path = host.request_header(":path");
        let format = path.and_then(|path| ApiFormat::of_path(&path));
        let Some((token, format)) = token.zip(format) else { return Flow::Continue };
        if ledger::contains(host, token) {
            // Another way to the same target: asking it again would give as bad an answer.
            host.reply(STATUS, "application/json", &[], NOT_SENT_ON);
            return Flow::Pause;
        }
        if !ended && inspector.escalate.apis.contains(&format) {
            self.stage = Stage::Asking(Question { token, format, body: Vec::new(), cut: false });
        }
        Flow::Continue
    }

    /// The next `size` bytes of the request body pass by.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize) {
        let Stage::Asking(question) = &mut self.stage else { return };
        question.cut |= question.body.len() + size > REQUEST_BYTES;
        if question.cut {
            question.body = Vec::new();
        } else {
            question.body.extend(host.request_body(size));
        }
    }

    /// Response headers are here; `ended` says that no body follows.
    pub fn on_response_headers(
        &mut self,
        inspector: &Inspector,
        host: &impl Host,
        ended: bool,
    ) -> Flow {
        let stage = std::mem::take(&mut self.stage);
        let (Stage::Asking(question), Some(status)) = (stage, host.status()) else {
            return Flow::Continue;
        };
        // What Envoy tries again by itself, and what is no answer.
        if !(200..300).contains(&status) && !is_refusal(status) {
            return Flow::Continue;
        }
        let held = match Held::begin(inspector, host, question, status) {
            Ok(held) => held,
            Err(outcome) => {
                measure(host, outcome, None, Duration::ZERO, None);
                return Flow::Continue;
            }
        };
        self.stage = Stage::Holding(Box::new(held));
        self.judge(inspector, host, 0, ended)
    }

    /// Of the response body `size` bytes are here, all that is held among them.
    pub fn on_response_body(
        &mut self,
        inspector: &Inspector,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) -> Flow {
        match &self.stage {
            Stage::Dropping => {
                host.replace_response_body(size, b"");
                Flow::Continue
            }
            Stage::Holding(_) => self.judge(inspector, host, size, ended),
            Stage::Passing | Stage::Asking(_) => Flow::Continue,
        }
    }

    /// The answer ends with trailers.
    pub fn on_response_trailers(&mut self, inspector: &Inspector, host: &impl Host) -> Flow {
        let Stage::Holding(held) = &self.stage else { return Flow::Continue };
        let bytes = held.bytes;
        self.judge(inspector, host, bytes, true)
    }

    /// How long the answer may still be held; `None` when it is not.
    pub fn holds_for(&self, inspector: &Inspector, now: Instant) -> Option<Duration> {
        let Stage::Holding(held) = &self.stage else { return None };
        let most = Duration::from_millis(u64::from(inspector.escalate.hold_ms));
        Some(most.saturating_sub(now.saturating_duration_since(held.since)))
    }

    /// The answer was held for as long as it may be: it goes on after this.
    pub fn on_timeout(&mut self, inspector: &Inspector, host: &impl Host) {
        let Stage::Holding(held) = std::mem::take(&mut self.stage) else { return };
        let stalled = match inspector.escalate.on_timeout {
            OnTimeout::Escalate => Some(Sign::Stalled),
            OnTimeout::Release => None,
        };
        let sign = held.sign(false).or(stalled);
        match sign.filter(|sign| inspector.escalate.signs.contains(sign)) {
            // No callback for the body is at hand, so what is buffered stays. Envoy's retry reads no
            // further than the status.
            Some(sign) => self.condemn(inspector, host, *held, sign, None),
            None => release(inspector, host, &held, Outcome::TimedOut),
        }
    }

    /// The exchange is over.
    pub fn on_end(&mut self, inspector: &Inspector, host: &impl Host) {
        if let Stage::Holding(held) = std::mem::take(&mut self.stage) {
            release(inspector, host, &held, Outcome::Aborted);
        }
    }

    fn judge(&mut self, inspector: &Inspector, host: &impl Host, size: usize, ended: bool) -> Flow {
        let Stage::Holding(mut held) = std::mem::take(&mut self.stage) else {
            return Flow::Continue;
        };
        held.read(inspector, host, size);
        let outcome = match held.sign(ended) {
            Some(sign) if inspector.escalate.signs.contains(&sign) => {
                if !ended && held.is_to_be_whole(inspector, sign) {
                    self.stage = Stage::Holding(held);
                    return Flow::Pause;
                }
                self.condemn(inspector, host, *held, sign, Some(ended));
                return Flow::Continue;
            }
            _ if ended => Outcome::Passed,
            _ if held.head_is_over(inspector) => Outcome::Passed,
            _ if held.bytes >= inspector.escalate.hold_bytes => Outcome::TooLong,
            _ => {
                self.stage = Stage::Holding(held);
                return Flow::Pause;
            }
        };
        release(inspector, host, &held, outcome);
        Flow::Continue
    }

    /// The answer is bad: it becomes a failure that Envoy takes to the next target, unless
    /// something speaks against that. `buffer` says whether what is here of the body can be
    /// touched, and then whether that is all.
    fn condemn(
        &mut self,
        inspector: &Inspector,
        host: &impl Host,
        held: Held,
        sign: Sign,
        buffer: Option<bool>,
    ) {
        let now = host.since_epoch().as_secs();
        inspector.budget.judge(now);
        inspector.hold(held.bytes, 0);
        let ran_tools = held.examiner.as_ref().is_some_and(Examiner::ran_tools);
        let usage = held.examiner.as_ref().and_then(Examiner::usage);
        let kept = if ran_tools {
            Some(KeptFor::ToolsRan)
        } else if breaker::is_open(host, &inspector.escalate.to) {
            Some(KeptFor::Unavailable)
        } else if help::is_none(host, &inspector.escalate.to, sign) {
            Some(KeptFor::NoHelp)
        } else if !inspector.budget.take(now) {
            Some(KeptFor::MaxShare)
        } else if !ledger::put(
            host,
            held.token,
            &held.entry(host, sign, usage, buffer == Some(true)),
        ) {
            Some(KeptFor::NoRoom)
        } else {
            None
        };
        let outcome = if kept.is_some() { Outcome::Kept } else { Outcome::Escalated };
        let took = host.instant().saturating_duration_since(held.since);
        measure(host, outcome, Some(sign), took, usage.filter(|_| kept.is_none()));
        if let Some(why) = kept {
            host.measure(Sample::BadAnswerKept(why));
            let value = format!("{}; {}", sign.name(), why.name());
            host.set_response_header(header::KEPT, Some(&value));
            return;
        }
        host.set_response_header(":status", Some(&STATUS.to_string()));
        for name in ["content-length", "content-encoding", "retry-after"] {
            host.set_response_header(name, None);
        }
        if held.bytes > 0 && buffer.is_some() {
            host.replace_response_body(held.bytes, NOT_SENT_ON);
        }
        self.stage = Stage::Dropping;
    }
}

impl Held {
    fn begin(
        inspector: &Inspector,
        host: &impl Host,
        question: Question,
        status: u16,
    ) -> Result<Self, Outcome> {
        if question.cut {
            return Err(Outcome::LongRequest);
        }
        if !inspector.has_room() {
            return Err(Outcome::NoRoom);
        }
        let content_type = host.response_header("content-type").unwrap_or_default();
        let encoding = host.response_header("content-encoding");
        let plain = encoding.is_none_or(|name| name.eq_ignore_ascii_case(b"identity"));
        let examiner = match is_refusal(status) {
            true => None,
            false => {
                let asked = Arc::new(Expectation::read(question.format, &question.body));
                let examiner = Examiner::new(asked, question.format, &content_type);
                Some(examiner.filter(|_| plain).ok_or(Outcome::Unreadable)?)
            }
        };
        Ok(Held {
            token: question.token,
            examiner,
            status,
            events: MediaType::parse(&content_type) == MediaType::EventStream,
            bytes: 0,
            since: host.instant(),
        })
    }

    /// Reads what has come since the last look.
    fn read(&mut self, inspector: &Inspector, host: &impl Host, size: usize) {
        let new = size.saturating_sub(self.bytes);
        if new == 0 {
            return;
        }
        if let (Some(examiner), Some(piece)) =
            (&mut self.examiner, host.response_body(self.bytes, new))
        {
            examiner.read(&piece);
        }
        inspector.hold(self.bytes, size);
        self.bytes = size;
    }

    fn sign(&self, ended: bool) -> Option<Sign> {
        match &self.examiner {
            None => Some(Sign::Status),
            Some(examiner) => examiner.sign(ended),
        }
    }

    /// Whether the rest of a bad answer is waited for: it may have to be given back. An error is
    /// not worth that, and where only the head of a stream is held, it is not wanted.
    fn is_to_be_whole(&self, inspector: &Inspector, sign: Sign) -> bool {
        let wanted = inspector.escalate.hold == Hold::Whole && sign != Sign::Error;
        (wanted || !self.events) && self.bytes < inspector.escalate.hold_bytes
    }

    /// Whether enough of a stream is here, where its beginning is enough.
    fn head_is_over(&self, inspector: &Inspector) -> bool {
        let (Some(examiner), Hold::Head) = (&self.examiner, inspector.escalate.hold) else {
            return false;
        };
        self.events
            && (examiner.text_tokens() >= inspector.escalate.hold_tokens
                || examiner.first_call_complete())
    }

    fn entry(
        &self,
        host: &impl Host,
        sign: Sign,
        usage: Option<Usage>,
        ended: bool,
    ) -> ledger::Entry {
        let whole = ended && self.status == 200;
        let body = whole.then(|| host.response_body(0, self.bytes)).flatten();
        let answer = body.map(|body| ledger::Answer { events: self.events, body });
        ledger::Entry { sign, usage, answer }
    }
}

/// A status by which a target says that it will not answer, and which Envoy does not try again.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 429 | STATUS)
}

/// The answer goes on as it is.
fn release(inspector: &Inspector, host: &impl Host, held: &Held, outcome: Outcome) {
    inspector.hold(held.bytes, 0);
    if outcome != Outcome::Aborted {
        inspector.budget.judge(host.since_epoch().as_secs());
    }
    let took = host.instant().saturating_duration_since(held.since);
    measure(host, outcome, None, took, None);
}

fn measure(
    host: &impl Host,
    outcome: Outcome,
    sign: Option<Sign>,
    held: Duration,
    wasted: Option<Usage>,
) {
    let held_ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
    host.measure(Sample::Inspected { outcome, sign, held_ms, wasted });
}
