//! The decision record: one JSON line for the access log and the control plane.
//!
//! It holds no text of the prompt. The hashed n-grams stay out too, because a hash of a short
//! word is as good as the word.

use serde::Serialize;

use crate::scope::Pass;
use crate::sign::{KeptFor, Sign};
use crate::target::{Billed, Target, Usage};

/// One decision, for people and for learning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record<'a> {
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
    pub decision_id: &'a str,
    /// Digest of the filter's configuration.
    pub policy_version: &'a str,
    pub model_version: &'a str,
    pub schema_hash: &'a str,
    /// Whether the request was routed by the decision (`route`) or not (`observe`).
    pub mode: &'static str,
    pub target: &'a str,
    pub cluster: &'a str,
    pub source: &'static str,
    pub reason: &'a str,
    /// The policy that decided; empty for the main one.
    pub policy: &'a str,
    pub score: Option<f32>,
    pub threshold: Option<f32>,
    pub propensity: f32,
    /// The engineered features, packed by [`crate::packed::pack`].
    pub features: String,
    /// The bandit's context, packed as the features; only with a control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a str>,
    /// Version of the policy snapshot in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<&'a str>,
    /// Why the classifier decided and not the bandit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandit_fallback: Option<&'static str>,
    /// Bytes of the body that were read.
    pub body_bytes: usize,
    /// The body has more bytes, which were not read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub body_cut: bool,
    /// The target's model could not be written into the body.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_rewritten: bool,
    pub prompt_tokens_estimate: usize,
    /// Time from the whole body to the decision, in microseconds.
    pub latency_us: u64,
}

/// What is recorded of an answer whose tokens the provider has counted.
#[derive(Serialize)]
struct UsageRecord<'a> {
    target: &'a str,
    input: u64,
    output: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
}

/// One JSON object: who answered, tokens in and out, and what the provider charges for them. A
/// `cached` answer would have cost that.
pub fn of_usage(target: &Target, billed: &Billed, cached: bool) -> String {
    let cost = target.price.map(|price| price.of_billed(billed));
    let Billed { usage, .. } = *billed;
    let record = UsageRecord {
        target: &target.name,
        input: usage.input,
        output: usage.output,
        cost,
        cached,
    };
    serde_json::to_string(&record).unwrap_or_default()
}

/// What the router is told of an answer that was not sent on: its sign, and what it cost if it
/// said so.
pub fn of_escalation(sign: Sign, usage: Option<Usage>) -> String {
    match usage {
        Some(Usage { input, output }) => format!("{}; {input}; {output}", sign.name()),
        None => sign.name().to_owned(),
    }
}

/// Reads what [`of_escalation`] has written; `None` for anything else.
pub(crate) fn escalation(value: &[u8]) -> Option<(Sign, Option<Usage>)> {
    let mut parts = str::from_utf8(value).ok()?.split("; ");
    let sign = Sign::named(parts.next()?)?;
    let mut count = || parts.next()?.parse().ok();
    Some((sign, count().zip(count()).map(|(input, output)| Usage { input, output })))
}

/// What the router is told of a bad answer that was sent on.
pub fn of_kept(sign: Sign, why: KeptFor) -> String {
    format!("{}; {}", sign.name(), why.name())
}

/// The sign in what [`of_kept`] has written; `None` when it can't have written this.
pub(crate) fn kept(value: &str) -> Option<Sign> {
    let (name, why) = value.split_once("; ")?;
    let known = KeptFor::ALL.into_iter().any(|reason| reason.name() == why);
    Sign::named(name).filter(|_| known)
}

/// A decision record with one more field, a text without quotation marks.
pub(crate) fn with_field(record: &str, name: &str, value: &str) -> String {
    let fields = record.strip_suffix('}').unwrap_or(record);
    format!(r#"{fields},"{name}":"{value}"}}"#)
}

/// What is recorded of a request that passes untouched.
pub fn of_pass(why: Pass) -> String {
    format!(r#"{{"passed":"{}"}}"#, why.name())
}

/// About as many bytes as a record has.
const LENGTH: usize = 1536;

impl Record<'_> {
    /// The record as one line of JSON, without a line feed.
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(LENGTH);
        // Strings and numbers cannot fail to serialise.
        match serde_json::to_writer(&mut json, self) {
            Ok(()) => String::from_utf8(json).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}
