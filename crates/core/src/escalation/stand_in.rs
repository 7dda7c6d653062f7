//! A request on its way to the target that is asked in another's place.

use crate::api::ApiFormat;
use crate::exchange::{Flow, Host};
use crate::header;
use crate::media_type::MediaType;
use crate::record;
use crate::target::Capture;
use crate::verdict::Examiner;

use super::pair::Pair;
use super::question::Question;
use super::{KeptFor, Token, breaker, help, ledger};

/// One request and its answer, in front of the target `to`.
#[derive(Debug, Default)]
pub struct StandIn {
    escalated: Option<Escalated>,
}

/// Of a request that came here because of a bad answer.
#[derive(Debug)]
struct Escalated {
    entry: ledger::Entry,
    question: Option<Question>,
    /// Reads the answer in passing, to see whether it is better.
    examiner: Option<Examiner>,
    /// What is kept for those who label.
    pair: Option<Pair>,
}

impl StandIn {
    /// Request headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host, capture: Option<&Capture>) {
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
        let question = ApiFormat::of_path(&path).map(Question::new);
        self.escalated = entry.map(|entry| {
            let pair = capture.zip(entry.answer.as_ref()).and_then(|(capture, answer)| {
                Pair::begin(capture, host, &value, (entry.sign, answer))
            });
            Escalated { entry, question, examiner: None, pair }
        });
    }

    /// The next `size` bytes of the request body pass by.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, ended: bool) {
        let Some(escalated) = &mut self.escalated else { return };
        if let Some(question) = &mut escalated.question {
            question.pass(host, size, ended, false);
        }
        keep(&mut escalated.pair, |pair| pair.ask(&host.request_body(size)));
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
            let kept = record::of_kept(entry.sign, KeptFor::Unavailable);
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
        let content_type = host.response_header("content-type").unwrap_or_default();
        let plain = host.response_header("content-encoding").is_none();
        keep(&mut escalated.pair, |pair| {
            pair.answers(MediaType::parse(&content_type) == MediaType::EventStream);
            plain && !failed
        });
        let question = escalated.question.take().filter(|_| !failed);
        if let Some(Question { format, expectation: Some(expectation), .. }) = question {
            escalated.examiner = Examiner::new(expectation, format, &content_type);
        }
        Flow::Continue
    }

    /// The next `size` bytes of the response body pass by. With the last of them, what is to be sent
    /// to `pointsman capture`, if anything is.
    pub fn on_response_body(
        &mut self,
        host: &impl Host,
        to: &str,
        size: usize,
        ended: bool,
    ) -> Option<String> {
        let Escalated { entry, examiner, pair, .. } = self.escalated.as_mut()?;
        let read = size > 0 && (examiner.is_some() || pair.is_some());
        if read && let Some(piece) = host.response_body(0, size) {
            if let Some(examiner) = examiner {
                examiner.read(&piece);
            }
            keep(pair, |pair| pair.answer(&piece));
        }
        if !ended {
            return None;
        }
        if let Some(examiner) = examiner {
            help::learn(host, to, entry.sign, examiner.sign(true) != Some(entry.sign));
        }
        let pair = pair.take();
        self.escalated = None;
        pair?.json(to)
    }
}

/// Does something to a pair, which is dropped when that is in vain.
fn keep(pair: &mut Option<Pair>, change: impl FnOnce(&mut Pair) -> bool) {
    if let Some(inner) = pair
        && !change(inner)
    {
        *pair = None;
    }
}
