//! Lines of the API, checked, and the compact form in which they are kept.

use std::borrow::Cow;

use serde::Deserialize;

use pointsman_core::control_plane::{DecisionId, Signer};
use pointsman_core::policy::bandit::{MAX_DIMENSIONS, SegmentId, segment_id};
use pointsman_core::reason::Source;
use pointsman_core::record::unpack;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Decision {
        id: DecisionId,
        target: u8,
        /// Whether the bandit drew it: only then does its propensity say something.
        drawn: bool,
        explored: bool,
        propensity: f32,
        /// Empty when the classifier was not asked.
        context: Vec<f32>,
        segment: SegmentId,
    },
    Feedback {
        id: DecisionId,
        reward: f32,
        rank: Rank,
        /// What a cache calls the entry that it answered from. Nothing is learnt from it, so it is
        /// not kept.
        cache_id: Option<u64>,
    },
}

/// Whose word counts more about one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Read from the response.
    Implicit = 1,
    /// The client asked the same again.
    AskedAgain = 2,
    /// A person or a program said so.
    Explicit = 3,
}

impl Rank {
    fn of(source: &str) -> Self {
        match source {
            "implicit" => Rank::Implicit,
            "asked_again" => Rank::AskedAgain,
            _ => Rank::Explicit,
        }
    }
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    Malformed,
    /// The id carries no tag of our key.
    Forged,
    /// A target, number or context that cannot be.
    Invalid,
}

/// A decision record; fields that are not named here are not needed.
#[derive(Deserialize)]
struct DecisionLine<'l> {
    #[serde(borrow)]
    decision_id: Cow<'l, str>,
    #[serde(borrow)]
    target: Cow<'l, str>,
    #[serde(borrow)]
    source: Cow<'l, str>,
    #[serde(borrow)]
    reason: Cow<'l, str>,
    propensity: f32,
    #[serde(borrow)]
    context: Option<Cow<'l, str>>,
    #[serde(borrow)]
    policy: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
struct FeedbackLine<'l> {
    #[serde(borrow)]
    decision_id: Cow<'l, str>,
    reward: f32,
    #[serde(borrow)]
    source: Option<Cow<'l, str>>,
    #[serde(borrow)]
    cache_id: Option<Cow<'l, str>>,
}

/// Reads a decision record.
///
/// # Errors
///
/// Why it is not taken.
pub fn decision(line: &[u8], signer: &Signer, targets: &[String]) -> Result<Stored, Reject> {
    let line: DecisionLine = serde_json::from_slice(line).map_err(|_| Reject::Malformed)?;
    let id = signer.verify(&line.decision_id).ok_or(Reject::Forged)?;
    let target = targets.iter().position(|name| *name == line.target).ok_or(Reject::Invalid)?;
    let context = match &line.context {
        Some(packed) => unpack(packed).ok_or(Reject::Invalid)?,
        None => Vec::new(),
    };
    let finite = context.iter().all(|value| value.is_finite());
    let propensity_holds = line.propensity > 0.0 && line.propensity <= 1.0;
    if !finite || context.len() > MAX_DIMENSIONS || !propensity_holds {
        return Err(Reject::Invalid);
    }
    Ok(Stored::Decision {
        id,
        target: u8::try_from(target).map_err(|_| Reject::Invalid)?,
        drawn: line.source == Source::Bandit.name(),
        explored: line.reason == "bandit_explored",
        propensity: line.propensity,
        context,
        segment: segment_id(line.policy.as_deref().unwrap_or_default()),
    })
}

/// Reads a reward.
///
/// # Errors
///
/// Why it is not taken.
pub fn feedback(line: &[u8], signer: &Signer) -> Result<Stored, Reject> {
    let line: FeedbackLine = serde_json::from_slice(line).map_err(|_| Reject::Malformed)?;
    let id = signer.verify(&line.decision_id).ok_or(Reject::Forged)?;
    if !(0.0..=1.0).contains(&line.reward) {
        return Err(Reject::Invalid);
    }
    let rank = Rank::of(line.source.as_deref().unwrap_or("explicit"));
    let cache_id = match &line.cache_id {
        Some(digits) => Some(cache_id(digits).ok_or(Reject::Invalid)?),
        None => None,
    };
    Ok(Stored::Feedback { id, reward: line.reward, rank, cache_id })
}

/// Reads an `x-pointsman-cache-id`: 16 hexadecimal digits.
fn cache_id(digits: &str) -> Option<u64> {
    let whole = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// Encodes a batch: a tag byte, the id, and the fields in little-endian order.
pub fn encode(batch: &[Stored]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.len() * 128);
    for stored in batch {
        match stored {
            Stored::Decision { id, target, drawn, explored, propensity, context, segment } => {
                bytes.push(1);
                bytes.extend_from_slice(id);
                bytes.push(*target);
                bytes.push(u8::from(*drawn) | u8::from(*explored) << 1);
                bytes.extend_from_slice(&propensity.to_le_bytes());
                // At most MAX_DIMENSIONS.
                bytes.push(context.len() as u8);
                bytes.extend(context.iter().flat_map(|value| value.to_le_bytes()));
                bytes.extend_from_slice(&segment.to_le_bytes());
            }
            Stored::Feedback { id, reward, rank, .. } => {
                bytes.push(2);
                bytes.extend_from_slice(id);
                bytes.extend_from_slice(&reward.to_le_bytes());
                bytes.push(*rank as u8);
            }
        }
    }
    bytes
}

/// The inverse of [`encode`]; `None` for bytes that it cannot have made.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<Stored>> {
    fn take<'b>(bytes: &mut &'b [u8], n: usize) -> Option<&'b [u8]> {
        let (head, rest) = bytes.split_at_checked(n)?;
        *bytes = rest;
        Some(head)
    }
    fn byte(bytes: &mut &[u8]) -> Option<u8> {
        take(bytes, 1)?.first().copied()
    }
    fn float(bytes: &mut &[u8]) -> Option<f32> {
        Some(f32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))
    }
    let mut batch = Vec::new();
    while !bytes.is_empty() {
        let kind = byte(&mut bytes)?;
        let id: DecisionId = take(&mut bytes, 16)?.try_into().ok()?;
        batch.push(match kind {
            1 => {
                let (target, flags) = (byte(&mut bytes)?, byte(&mut bytes)?);
                let propensity = float(&mut bytes)?;
                let length = byte(&mut bytes)?;
                let context = (0..length).map(|_| float(&mut bytes)).collect::<Option<_>>()?;
                let segment = SegmentId::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?);
                let (drawn, explored) = (flags & 1 != 0, flags & 2 != 0);
                Stored::Decision { id, target, drawn, explored, propensity, context, segment }
            }
            2 => {
                let reward = float(&mut bytes)?;
                let rank = match byte(&mut bytes)? {
                    1 => Rank::Implicit,
                    2 => Rank::AskedAgain,
                    3 => Rank::Explicit,
                    _ => return None,
                };
                Stored::Feedback { id, reward, rank, cache_id: None }
            }
            _ => return None,
        });
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::record::pack;

    fn signer() -> Signer {
        Signer::new("a shared secret").unwrap()
    }

    #[test]
    fn batches_survive_encoding() {
        let batch = vec![
            Stored::Decision {
                id: [1; 16],
                target: 1,
                drawn: true,
                explored: true,
                propensity: 0.25,
                context: vec![1.0, -0.5],
                segment: segment_id("tenant-a"),
            },
            Stored::Feedback { id: [2; 16], reward: 0.75, rank: Rank::AskedAgain, cache_id: None },
        ];
        let bytes = encode(&batch);
        assert_eq!(decode(&bytes), Some(batch));
        for end in 1..bytes.len() {
            let part = decode(&bytes[..end]);
            assert!(part.is_none_or(|part| part.len() == 1), "{end}");
        }
    }

    #[test]
    fn lines_that_cannot_be_are_refused_by_kind() {
        let signer = signer();
        let id = signer.sign(&[7; 16]);
        let targets = ["cheap".to_owned(), "strong".to_owned()];
        let line = |id: &str, target: &str, propensity: &str, context: &str| {
            let text = format!(
                r#"{{"decision_id":"{id}","target":"{target}","source":"bandit","reason":"bandit_best","propensity":{propensity},"context":"{context}","ts":1}}"#
            );
            decision(text.as_bytes(), &signer, &targets)
        };
        let context = pack(&[1.0, 2.0]);
        assert!(line(&id, "cheap", "0.5", &context).is_ok());
        assert_eq!(line(&id.replace('.', ".0"), "cheap", "0.5", &context), Err(Reject::Forged));
        assert_eq!(line(&id, "other", "0.5", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "1.5", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", "AAA"), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", &pack(&[f32::NAN])), Err(Reject::Invalid));
        assert_eq!(decision(b"{", &signer, &targets), Err(Reject::Malformed));
        let reward = |reward: &str| {
            feedback(format!(r#"{{"decision_id":"{id}","reward":{reward}}}"#).as_bytes(), &signer)
        };
        assert!(reward("1").is_ok());
        assert_eq!(reward("1.01"), Err(Reject::Invalid));
        assert_eq!(reward("\"good\""), Err(Reject::Malformed));
    }
}
