//! Lines of the API, parsed and checked.

use std::borrow::Cow;

use serde::Deserialize;

use super::rules::Rules;
use crate::bandit::Sample;
use pointsman_core::control_plane::{DecisionId, Signer};
use pointsman_core::packed::unpack;
use pointsman_core::policy::bandit::{SegmentId, segment_id};
use pointsman_core::reason::{Reason, Source};
use pointsman_core::sign::Sign;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Decision {
        id: DecisionId,
        decision: Decision,
    },
    Feedback {
        id: DecisionId,
        /// 0..=1.
        reward: f32,
        rank: Rank,
        /// ID of the cache entry that answered. Nothing is learnt from it, so it is not kept.
        cache_id: Option<u64>,
        /// The filter found the answer bad. Nothing is learnt from it that the reward does not say,
        /// so it is not kept.
        bad: Option<BadAnswer>,
    },
}

impl Stored {
    /// What the filter found wrong with an answer.
    pub fn bad_answer(&self) -> Option<BadAnswer> {
        match self {
            Stored::Feedback { bad, .. } => *bad,
            Stored::Decision { .. } => None,
        }
    }
}

/// What was seen of an answer, and what happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer {
    pub sign: Sign,
    /// Another target was asked; otherwise it was sent on.
    pub escalated: bool,
}

/// What is learnt from a decision once it has a reward.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Position of the target.
    pub target: u8,
    /// Whether the bandit drew it: only then does its propensity mean something.
    pub drawn: bool,
    pub explored: bool,
    /// In (0, 1].
    pub propensity: f32,
    /// What [`pointsman_core::policy::bandit::Context`] computes; empty when the classifier was not
    /// asked.
    pub context: Box<[f32]>,
    pub segment: SegmentId,
}

impl Decision {
    /// The decision with a reward.
    pub fn sample(&self, reward: f32) -> Sample {
        Sample {
            context: self.context.to_vec(),
            target: usize::from(self.target),
            propensity: f64::from(self.propensity),
            reward,
            segment: self.segment,
        }
    }
}

/// Which of several rewards for one decision counts: the one of the highest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Read from the response.
    Implicit = 1,
    /// The client asked the same again.
    AskedAgain = 2,
    /// A person or a program gave it.
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

    /// The rank that was written as this byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Rank::Implicit, Rank::AskedAgain, Rank::Explicit]
            .into_iter()
            .find(|rank| *rank as u8 == byte)
    }
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("not a valid decision record or reward")]
    Malformed,
    #[error("the ID is not signed with our key")]
    Forged,
    #[error("unknown target, or a reward, propensity or context that cannot be")]
    Invalid,
}

/// A decision record; other fields are ignored.
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
    #[serde(borrow)]
    escalated: Option<Cow<'l, str>>,
    #[serde(borrow)]
    kept: Option<Cow<'l, str>>,
}

/// Reads a decision record.
///
/// # Errors
///
/// Why it is refused.
pub fn decision(line: &[u8], signer: &Signer, rules: &Rules) -> Result<Stored, Reject> {
    let line: DecisionLine = serde_json::from_slice(line).map_err(|_| Reject::Malformed)?;
    let id = signer.verify(&line.decision_id).ok_or(Reject::Forged)?;
    let mut names = rules.targets.iter();
    let target = names.position(|name| *name == line.target).ok_or(Reject::Invalid)?;
    let context = match &line.context {
        Some(packed) => unpack(packed).ok_or(Reject::Invalid)?,
        None => Vec::new(),
    };
    let decision = Decision {
        target: u8::try_from(target).map_err(|_| Reject::Invalid)?,
        drawn: line.source == Source::Bandit.name(),
        explored: line.reason == Reason::BanditExplored.name(),
        propensity: line.propensity,
        context: context.into(),
        segment: segment_id(line.policy.as_deref().unwrap_or_default()),
    };
    if !rules.admit(&decision) {
        return Err(Reject::Invalid);
    }
    Ok(Stored::Decision { id, decision })
}

/// Whether the filter gives such a reward by itself.
pub fn is_filters_own(line: &Stored) -> bool {
    !matches!(line, Stored::Feedback { rank: Rank::Explicit, .. })
}

/// Reads a reward.
///
/// # Errors
///
/// Why it is refused.
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
    let sign = line.escalated.as_ref().or(line.kept.as_ref());
    let bad = match sign {
        Some(name) => {
            let sign = Sign::named(name).ok_or(Reject::Invalid)?;
            Some(BadAnswer { sign, escalated: line.escalated.is_some() })
        }
        None => None,
    };
    Ok(Stored::Feedback { id, reward: line.reward, rank, cache_id, bad })
}

/// Reads an `x-pointsman-cache-id`: 16 hexadecimal digits.
fn cache_id(digits: &str) -> Option<u64> {
    let whole = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::rules::tests::rules;
    use pointsman_core::packed::pack;
    use pointsman_core::policy::bandit::{Context, Explorer};

    fn signer() -> Signer {
        Signer::new("a shared secret").unwrap()
    }

    #[test]
    fn invalid_lines_are_refused_by_kind() {
        let signer = signer();
        let id = signer.sign(&[7; 16]);
        let rules = rules(Explorer::SquareCb { gamma: 1000.0 }, 0.1);
        let line = |id: &str, target: &str, propensity: &str, context: &str| {
            let text = format!(
                r#"{{"decision_id":"{id}","target":"{target}","source":"bandit","reason":"bandit_best","propensity":{propensity},"context":"{context}","ts":1}}"#
            );
            decision(text.as_bytes(), &signer, &rules)
        };
        let possible = Context::new(2).of_engineered(&[], &[0.25]);
        let context = pack(&possible);
        assert!(line(&id, "cheap", "0.5", &context).is_ok());
        assert_eq!(line(&id.replace('.', ".0"), "cheap", "0.5", &context), Err(Reject::Forged));
        assert_eq!(line(&id, "other", "0.5", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "1.5", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", "AAA"), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", &pack(&[f32::NAN])), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "1e-30", &context), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", &pack(&possible[..3])), Err(Reject::Invalid));
        assert_eq!(line(&id, "cheap", "0.5", ""), Err(Reject::Invalid), "drawn by nothing");
        for place in 0..possible.len() {
            let mut poisoned = possible.clone();
            poisoned[place] = 1000.0;
            assert_eq!(line(&id, "cheap", "0.5", &pack(&poisoned)), Err(Reject::Invalid));
        }
        assert_eq!(decision(b"{", &signer, &rules), Err(Reject::Malformed));
        let reward = |reward: &str| {
            feedback(format!(r#"{{"decision_id":"{id}","reward":{reward}}}"#).as_bytes(), &signer)
        };
        assert!(reward("1").is_ok());
        assert_eq!(reward("1.01"), Err(Reject::Invalid));
        assert_eq!(reward("\"good\""), Err(Reject::Malformed));
    }

    #[test]
    fn a_reward_says_for_which_sign_the_filter_gave_it() {
        let signer = signer();
        let id = signer.sign(&[7; 16]);
        let bad = |field: &str| {
            let line = format!(r#"{{"decision_id":"{id}","reward":0,"source":"implicit"{field}}}"#);
            match feedback(line.as_bytes(), &signer) {
                Ok(Stored::Feedback { bad, .. }) => Ok(bad),
                other => Err(other),
            }
        };
        let seen = |sign, escalated| Ok(Some(BadAnswer { sign, escalated }));
        assert_eq!(bad(r#","escalated":"empty""#), seen(Sign::Empty, true));
        assert_eq!(bad(r#","kept":"refusal""#), seen(Sign::Refusal, false));
        assert_eq!(bad(""), Ok(None));
        assert_eq!(bad(r#","kept":"ugly""#), Err(Err(Reject::Invalid)));
    }
}
