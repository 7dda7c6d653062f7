//! Answers that may be held back on their way: which, and what is learnt of what happened to them.

use crate::config::Mode;
use crate::escalation::Token;
use crate::header;
use crate::reason::{Reason, Source};
use crate::record;
use crate::target::{Target, Usage};

use super::body::Read;
use super::{Asked, Decided, Host};

/// The key of the route's metadata, and its value, by which nothing is escalated.
const ESCALATE: &str = "escalate";
const OFF: &str = "off";

/// By what the answer to a request is known that may be held back. Not every answer may: another
/// target would have to be able to give one, and be allowed to.
pub(super) fn token(
    host: &impl Host,
    target: &Target,
    decided: &Decided,
    asked: Option<Asked>,
    read: Read,
) -> Option<Token> {
    let escalate = target.escalate.as_ref()?;
    let decision = &decided.decision;
    let forced = decision.source() == Source::Gate || decision.reason == Reason::ProviderState;
    let served = asked.is_some_and(|asked| escalate.apis.contains(&asked.format));
    let sure = decision.score.zip(escalate.hold_below).is_some_and(|(score, below)| score >= below);
    if decided.mode != Mode::Route || forced || !served || sure || read.cut {
        return None;
    }
    let off = host.route_metadata(ESCALATE).is_some_and(|value| value == OFF);
    (!off).then(|| Token::new([host.random(), host.random()]))
}

/// What happened to an answer that could be held back.
pub(super) enum Event {
    /// The target decided on gave a bad one, and another was asked.
    Escalated {
        /// What the bad one cost, if it said so.
        wasted: Option<Usage>,
    },
    /// It was bad, and sent on.
    Kept {
        /// The other target was asked and failed, and the answer was given back.
        given_back: bool,
    },
}

/// Reads what other instances of the filter say of an answer, shows it to the client if it is to be
/// shown, and puts it into the record.
pub(super) fn event(host: &impl Host, record: &str, shown: bool) -> Option<Event> {
    let show = |name: &str, value: &str| {
        host.set_response_header(name, Some(value).filter(|_| shown));
    };
    if let Some(value) = host.response_header(header::ESCALATED) {
        let (sign, wasted) = record::escalation(&value)?;
        show(header::ESCALATED, sign);
        host.set_record(&record::with_field(record, "escalated", sign));
        return Some(Event::Escalated { wasted });
    }
    let value = host.response_header(header::KEPT)?;
    let value = str::from_utf8(&value).ok()?;
    show(header::KEPT, value);
    host.set_record(&record::with_field(record, "kept", value));
    let given_back = host.response_header(header::GIVEN_BACK).is_some();
    if given_back {
        host.set_response_header(header::GIVEN_BACK, None);
    }
    Some(Event::Kept { given_back })
}
