//! What all workers know of answers that were found bad and not sent on, until the other target was
//! asked: a table of fixed size that the host shares.

use crate::exchange::{Host, memory};
use crate::target::Usage;
use crate::verdict::Sign;

use super::Token;

/// Places of the table. An entry may stand in eight of them, drawn with its token: with a thousand
/// escalations a second, of which each takes a place for up to two, one in a hundred million finds all
/// of its eight taken. Neighbours would not do: they fill up together.
const PLACES: usize = 32 * 1024;
/// After so many seconds an entry that nobody took makes room: the retry never came.
const SECONDS: u32 = 60;
/// The same for one that was taken. Until then it says that the request had its second chance.
const TAKEN_SECONDS: u32 = 1;
/// Bytes of an entry: token, time, sign, whether usage is known, input, output, kind of answer.
const BYTES: usize = 16 + 4 + 1 + 1 + 8 + 8 + 1;
/// The kind of an answer that was taken.
const TAKEN: u8 = 3;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its answer was bad, and the other target has not been asked.
    Waiting,
    /// The other target was asked.
    Taken,
}

/// An answer that was not sent on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) sign: Sign,
    /// What it cost, as far as it said so.
    pub(super) usage: Option<Usage>,
    /// All of it, when all of it was held.
    pub(super) answer: Option<Answer>,
}

/// A whole answer with status 200.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// A stream of events, and not one JSON text.
    pub(super) events: bool,
    pub(super) body: Vec<u8>,
}

/// Enters an answer; false when there is no room.
pub(super) fn put(host: &impl Host, token: Token, entry: &Entry) -> bool {
    let now = memory::seconds(host);
    let encoded = encode(token, now, entry);
    places(token).any(|at| {
        let name = name(at);
        let Some((place, version)) = host.shared(&name) else { return false };
        if !is_free(&place.unwrap_or_default(), now) {
            return false;
        }
        // The body first, and with its token: a worker that is as fast as this one may write
        // another's place, but never give away another's answer.
        let body = entry.answer.as_ref().map(|answer| [&token.0[..], &answer.body].concat());
        set(host, &body_name(at), &body.unwrap_or_default());
        host.swap_shared(&name, &encoded, version)
    })
}

/// What is known of a request.
pub(super) fn find(host: &impl Host, token: Token) -> Option<Known> {
    let (_, place, _) = entered(host, token)?;
    Some(if place.last() == Some(&TAKEN) { Known::Taken } else { Known::Waiting })
}

/// Takes an answer out. Whoever comes next learns of it without its bytes.
pub(super) fn take(host: &impl Host, token: Token) -> Option<Entry> {
    let (at, mut place, version) = entered(host, token)?;
    let body = host.shared(&body_name(at)).and_then(|(body, _)| body).unwrap_or_default();
    let body = body.strip_prefix(&token.0).map(<[u8]>::to_vec);
    let entry = decode(&place, body)?;
    if let Some(kind) = place.last_mut().filter(|kind| **kind != TAKEN) {
        *kind = TAKEN;
        set(host, &body_name(at), &[]);
        host.swap_shared(&name(at), &place, version);
    }
    Some(entry)
}

fn is_free(place: &[u8], now: u32) -> bool {
    let entered = place.get(16..20).and_then(|bytes| bytes.try_into().ok());
    let seconds = if place.last() == Some(&TAKEN) { TAKEN_SECONDS } else { SECONDS };
    entered.map(u32::from_be_bytes).is_none_or(|entered| now.saturating_sub(entered) > seconds)
}

fn entered(host: &impl Host, token: Token) -> Option<(usize, Vec<u8>, Option<u32>)> {
    places(token).find_map(|at| {
        let (place, version) = host.shared(&name(at))?;
        let place = place.filter(|place| place.starts_with(&token.0))?;
        Some((at, place, version))
    })
}

fn places(token: Token) -> impl Iterator<Item = usize> {
    let drawn = u128::from_be_bytes(token.0);
    (0..8).map(move |way| (drawn >> (16 * way)) as usize % PLACES)
}

fn name(at: usize) -> String {
    format!("pointsman.escalated.{at}")
}

fn body_name(at: usize) -> String {
    format!("pointsman.escalated.{at}.answer")
}

/// Writes whatever was there before: whoever has the place has this, too. Nothing is not written
/// where there is nothing: the host would keep the name forever.
fn set(host: &impl Host, name: &str, value: &[u8]) {
    let is_empty = || host.shared(name).is_none_or(|(old, _)| old.is_none_or(|it| it.is_empty()));
    if !value.is_empty() || !is_empty() {
        memory::swap(host, name, |_| ((), value.to_vec()));
    }
}

fn encode(token: Token, now: u32, entry: &Entry) -> Vec<u8> {
    let sign = Sign::ALL.iter().position(|sign| *sign == entry.sign).unwrap_or(0);
    let usage = entry.usage.unwrap_or(Usage { input: 0, output: 0 });
    let kind = entry.answer.as_ref().map_or(0, |answer| 1 + u8::from(answer.events));
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend(token.0);
    bytes.extend(now.to_be_bytes());
    bytes.push(u8::try_from(sign).unwrap_or(0));
    bytes.push(u8::from(entry.usage.is_some()));
    bytes.extend(usage.input.to_be_bytes());
    bytes.extend(usage.output.to_be_bytes());
    bytes.push(kind);
    bytes
}

fn decode(place: &[u8], body: Option<Vec<u8>>) -> Option<Entry> {
    let (_, rest) = place.split_at_checked(20)?;
    let (&[sign, known], rest) = rest.split_first_chunk()?;
    let (input, rest) = rest.split_first_chunk()?;
    let (output, rest) = rest.split_first_chunk()?;
    let [kind] = rest else { return None };
    let usage = Usage { input: u64::from_be_bytes(*input), output: u64::from_be_bytes(*output) };
    Some(Entry {
        sign: *Sign::ALL.get(usize::from(sign))?,
        usage: (known != 0).then_some(usage),
        answer: body
            .filter(|_| matches!(kind, 1 | 2))
            .map(|body| Answer { events: *kind == 2, body }),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::OfflineHost;

    /// Tokens as they are drawn: each bit as likely as the other, by a hash of a number.
    fn token(number: u64) -> Token {
        let half = |salt: u8| crate::features::hash64(&[&[salt], &number.to_be_bytes()]);
        Token::new([half(0), half(1)])
    }

    #[test]
    fn a_thousand_escalations_a_second_find_room() {
        const A_SECOND: u64 = 1000;
        let entry = Entry { sign: Sign::Empty, usage: None, answer: None };
        let host = OfflineHost::new([], Vec::new());
        for number in 0..60 * A_SECOND {
            host.clock.set(Duration::from_secs(1_000_000 + number / A_SECOND));
            assert!(put(&host, token(number), &entry), "escalation {number} has no room");
            assert_eq!(take(&host, token(number)).as_ref(), Some(&entry));
        }
    }
}
