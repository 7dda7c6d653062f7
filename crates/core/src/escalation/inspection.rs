//! One answer of an endpoint: held back, judged, and sent on or not.

use std::time::{Duration, Instant};

use crate::api::ApiFormat;
use crate::exchange::{Flow, Host};
use crate::header;
use crate::record;
use crate::target::{OnTimeout, Usage};
use crate::telemetry::Sample;
use crate::verdict::{Examiner, Sign};

use super::held::{Held, is_refusal};
use super::ledger::Known;
use super::question::Question;
use super::{Inspector, KeptFor, Outcome, STATUS, Token, breaker, help, ledger};

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
    Asking(Token, Question),
    /// The answer is held.
    Holding(Box<Held>),
    /// It goes on since its time was over, piece by piece.
    ///
    /// Up to Envoy 1.37, a filter that goes on outside of a callback for the body loses the piece
    /// that comes next: `Context::encodeData` puts it behind what was buffered, and nobody sends
    /// that. So each piece is `paused` once more, until two of them come between two ticks of the
    /// clock: then the callback of the second lets both go.
    Trickling { paused: bool },
    /// It was not sent on: what still comes of it is dropped.
    Dropping,
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
        match ledger::find(host, token) {
            // Another way to the same target: asking it again would give as bad an answer.
            Some(Known::Waiting) => {
                host.reply(STATUS, "application/json", &[], NOT_SENT_ON);
                return Flow::Pause;
            }
            // The other target has failed, and nothing else is left.
            Some(Known::Taken) => return Flow::Continue,
            None => {}
        }
        if !ended && inspector.escalate.apis.contains(&format) {
            self.stage = Stage::Asking(token, Question::new(format));
        }
        Flow::Continue
    }

    /// The next `size` bytes of the request body pass by.
    pub fn on_request_body(
        &mut self,
        inspector: &Inspector,
        host: &impl Host,
        size: usize,
        ended: bool,
    ) {
        if let Stage::Asking(_, question) = &mut self.stage {
            question.pass(host, size, ended, inspector.judge.is_some());
        }
    }

    /// The request ends with trailers.
    pub fn on_request_trailers(&mut self, inspector: &Inspector) {
        if let Stage::Asking(_, question) = &mut self.stage {
            question.read(inspector.judge.is_some());
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
        let (Stage::Asking(token, question), Some(status)) = (stage, host.status()) else {
            return Flow::Continue;
        };
        // What Envoy tries again by itself, and what is no answer.
        if !(200..300).contains(&status) && !is_refusal(status) {
            return Flow::Continue;
        }
        let held = match Held::begin(inspector, host, (token, question), status, ended) {
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
            Stage::Trickling { paused: false } => {
                self.stage = Stage::Trickling { paused: true };
                Flow::Pause
            }
            Stage::Trickling { paused: true } => {
                self.stage = Stage::Passing;
                Flow::Continue
            }
            Stage::Passing | Stage::Asking(..) => Flow::Continue,
        }
    }

    /// The answer ends with trailers.
    pub fn on_response_trailers(&mut self, inspector: &Inspector, host: &impl Host) -> Flow {
        if let Stage::Trickling { .. } = self.stage {
            self.stage = Stage::Passing;
        }
        let Stage::Holding(held) = &self.stage else { return Flow::Continue };
        let bytes = held.bytes;
        self.judge(inspector, host, bytes, true)
    }

    /// How long the answer may still be held; `None` when it is not.
    pub fn holds_for(&self, inspector: &Inspector, now: Instant) -> Option<Duration> {
        let most = Duration::from_millis(u64::from(inspector.escalate.hold_ms));
        match &self.stage {
            Stage::Holding(held) => {
                Some(most.saturating_sub(now.saturating_duration_since(held.since)))
            }
            Stage::Trickling { paused: true } => Some(Duration::ZERO),
            Stage::Trickling { paused: false } => Some(most),
            _ => None,
        }
    }

    /// What is here of the answer was held for as long as it may be: it goes on after this.
    pub fn on_timeout(&mut self, inspector: &Inspector, host: &impl Host) {
        match &mut self.stage {
            Stage::Trickling { paused } => return *paused = false,
            Stage::Holding(_) => {}
            _ => return,
        }
        let Stage::Holding(held) = std::mem::take(&mut self.stage) else { return };
        let body = held.bytes > 0;
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
        if body && let Stage::Passing = self.stage {
            self.stage = Stage::Trickling { paused: false };
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
            None if ended && held.is_unlikely(inspector) => {
                self.condemn(inspector, host, *held, Sign::Unlikely, Some(true));
                return Flow::Continue;
            }
            _ if ended => Outcome::Passed,
            _ if held.head_is_over(inspector) => Outcome::Passed,
            _ if held.bytes >= inspector.escalate.hold_bytes => Outcome::TooLong,
            _ if !inspector.has_room() => Outcome::NoRoom,
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
            host.set_response_header(header::KEPT, Some(&record::of_kept(sign, why)));
            // No cache on the way is to give it to anybody else.
            host.set_response_header("cache-control", Some("no-store"));
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
