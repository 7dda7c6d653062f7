//! An answer that is held, and what is known of it.

use std::time::Instant;

use crate::acceptance::LogProbabilities;
use crate::exchange::Host;
use crate::media_type::MediaType;
use crate::target::{Hold, Usage};
use crate::verdict::{Examiner, Sign};

use super::question::Question;
use super::{Inspector, Outcome, STATUS, Token, ledger};

/// An answer that is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) token: Token,
    /// What its headers say: enough, without a look at the body.
    said: Option<Sign>,
    /// `None` then.
    pub(super) examiner: Option<Examiner>,
    /// What was asked, where a model is to judge the answer to it.
    asked: Option<String>,
    status: u16,
    events: bool,
    /// Bytes of the body that are here.
    pub(super) bytes: usize,
    pub(super) since: Instant,
}

impl Held {
    pub(super) fn begin(
        inspector: &Inspector,
        host: &impl Host,
        (token, question): (Token, Question),
        status: u16,
        ended: bool,
    ) -> Result<Self, Outcome> {
        // Envoy sends no request again that is too long for it, or not here as a whole.
        let Some(expectation) = question.expectation else { return Err(Outcome::LongRequest) };
        if !inspector.has_room() {
            return Err(Outcome::NoRoom);
        }
        let content_type = host.response_header("content-type").unwrap_or_default();
        let encoding = host.response_header("content-encoding");
        let plain = encoding.is_none_or(|name| name.eq_ignore_ascii_case(b"identity"));
        let said = match is_refusal(status) {
            true => Some(Sign::Status),
            false => ended.then_some(Sign::Empty),
        };
        let examiner = match said {
            Some(_) => None,
            None => {
                let examiner = Examiner::new(expectation, question.format, &content_type);
                Some(examiner.filter(|_| plain).ok_or(Outcome::Unreadable)?)
            }
        };
        Ok(Held {
            token,
            said,
            asked: question.asked,
            examiner,
            status,
            events: MediaType::parse(&content_type) == MediaType::EventStream,
            bytes: 0,
            since: host.instant(),
        })
    }

    /// Reads what has come since the last look.
    pub(super) fn read(&mut self, inspector: &Inspector, host: &impl Host, size: usize) {
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

    pub(super) fn sign(&self, ended: bool) -> Option<Sign> {
        self.said.or_else(|| self.examiner.as_ref()?.sign(ended))
    }

    /// Whether the model of answers finds that a whole answer is not good enough. It knows texts: an
    /// answer that calls a tool, or of which a part is not known, is not for it.
    pub(super) fn is_unlikely(&self, inspector: &Inspector) -> bool {
        let wanted = inspector.escalate.signs.contains(&Sign::Unlikely);
        let (Some(asked), Some(examiner), Some((judge, below))) =
            (&self.asked, &self.examiner, &inspector.judge)
        else {
            return false;
        };
        let text = examiner.text();
        if !wanted || text.is_empty() || examiner.is_cut() || examiner.first_call_complete() {
            return false;
        }
        let likely = examiner.log_probability();
        let likely = likely.map(|it| LogProbabilities { mean: it.mean, least: it.min });
        judge.probability(asked, text, likely).is_ok_and(|probability| probability < *below)
    }

    /// Whether the rest of a bad answer is waited for: it may have to be given back. An error is
    /// not worth that, and where only the head of a stream is held, it is not wanted.
    pub(super) fn is_to_be_whole(&self, inspector: &Inspector, sign: Sign) -> bool {
        let wanted = inspector.escalate.hold == Hold::Whole && sign != Sign::Error;
        self.status == 200 && (wanted || !self.events) && self.bytes < inspector.escalate.hold_bytes
    }

    /// Whether enough of a stream is here, where its beginning is enough.
    pub(super) fn head_is_over(&self, inspector: &Inspector) -> bool {
        let (Some(examiner), Hold::Head) = (&self.examiner, inspector.escalate.hold) else {
            return false;
        };
        self.events
            && (examiner.text_tokens() >= inspector.escalate.hold_tokens
                || examiner.first_call_complete())
    }

    pub(super) fn entry(
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

/// A status by which a target says that it will not answer, and which Envoy does not try again. A
/// wrong key is the client's business, or the operator's, and no reason to pay with another.
pub(super) fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401..=403 | 407 | 429 | STATUS)
}
