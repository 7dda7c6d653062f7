//! Answers that may be held back on their way: which, and what is learnt of what happened to them.

use crate::config::Mode;
use crate::decision::Decision;
use crate::escalation::Token;
use crate::header;
use crate::policy::gates::obstacles;
use crate::prompt::Prompt;
use crate::reason::{Reason, Source};
use crate::record;
use crate::scope::InScope;
use crate::sign::Sign;
use crate::target::Usage;

use super::body::Read;
use super::{Host, Worker};

/// The key of the route's metadata, and its value, by which nothing is escalated.
const ESCALATE: &str = "escalate";
const OFF: &str = "off";

/// Whether the answer of the target decided on may be held back: another target must be able to
/// answer the same request, and be allowed to.
pub(super) fn can_escalate(
    worker: &Worker,
    host: &impl Host,
    decision: &Decision,
    prompt: &Prompt,
    scope: InScope,
) -> bool {
    let config = worker.config();
    let target = worker.router.target(decision);
    let Some(escalate) = target.and_then(|target| target.escalate.as_ref()) else { return false };
    let forced = decision.source() == Source::Gate
        || matches!(decision.reason, Reason::ProviderState | Reason::UnknownState);
    let score = decision.score.zip(escalate.hold_below);
    let sure = score.is_some_and(|(score, below)| score >= below);
    let served = escalate.apis.contains(&scope.format);
    if scope.mode != Mode::Route || forced || sure || !served {
        return false;
    }
    let unavailable = worker.health.unavailable(host.since_epoch().as_secs());
    let mut candidates = config.targets.iter().zip(obstacles(&config.targets, prompt, unavailable));
    candidates.any(|(target, obstacle)| {
        target.name == escalate.to && obstacle.is_none() && target.serves(scope.format)
    })
}

/// By what the answer to a request is known that may be held back, unless its route says otherwise.
pub(super) fn token(host: &impl Host, read: Read) -> Option<Token> {
    let off = || host.route_metadata(ESCALATE).is_some_and(|value| value == OFF);
    (read.can_escalate && !off()).then(|| Token::new([host.random(), host.random()]))
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
/// shown, and puts it into the record. What none of them can have said is taken away.
pub(super) fn event(host: &impl Host, record: &str, shown: bool) -> Option<(Sign, Event)> {
    let show = |name: &str, value: Option<&str>| {
        host.set_response_header(name, value.filter(|_| shown));
    };
    if let Some(value) = host.response_header(header::ESCALATED) {
        let read = record::escalation(&value);
        show(header::ESCALATED, read.map(|(sign, _)| sign.name()));
        let (sign, wasted) = read?;
        host.set_record(&record::with_field(record, "escalated", sign.name()));
        return Some((sign, Event::Escalated { wasted }));
    }
    let value = host.response_header(header::KEPT)?;
    let read = str::from_utf8(&value).ok().and_then(|value| Some((value, record::kept(value)?)));
    show(header::KEPT, read.map(|(value, _)| value));
    let (value, sign) = read?;
    host.set_record(&record::with_field(record, "kept", value));
    let given_back = host.response_header(header::GIVEN_BACK).is_some();
    if given_back {
        host.set_response_header(header::GIVEN_BACK, None);
    }
    Some((sign, Event::Kept { given_back }))
}
