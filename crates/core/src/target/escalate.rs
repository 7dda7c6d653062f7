//! How a target's answers are held back, and judged before the client sees them.

use crate::api::ApiFormat;
use crate::names::names;
use crate::sign::Sign;

names! {
    /// How much of an answer is held back before its first byte leaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Hold {
        /// All of it, unless it is longer than what may be held.
        Whole = "whole",
        /// Of a stream the beginning.
        Head = "head",
    }
}

names! {
    /// What happens to an answer that takes too long while it is held back.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum OnTimeout {
        /// What is there goes to the client, and the rest follows.
        Release = "release",
        /// The next target is asked.
        Escalate = "escalate",
    }
}

/// A model of answers, as `pointsman train --accept` writes it.
#[derive(Clone, PartialEq)]
pub struct Judge {
    /// `model.onnx`.
    pub onnx: Vec<u8>,
    /// `manifest.json`.
    pub manifest: Vec<u8>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "Judge({} bytes)", self.onnx.len())
    }
}

/// How the answers of a target are held back and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalate {
    /// Name of the target that is asked instead.
    pub to: String,
    /// Signs of a bad answer that count.
    pub signs: Vec<Sign>,
    /// The APIs whose answers are held.
    pub apis: Vec<ApiFormat>,
    pub hold: Hold,
    /// Most bytes of one answer that are held.
    pub hold_bytes: usize,
    /// Tokens of a stream after which its head is over, estimated.
    pub hold_tokens: usize,
    /// Longest time for which an answer is held, in milliseconds.
    pub hold_ms: u32,
    pub on_timeout: OnTimeout,
    /// Answers to requests with this score or a higher one are not held.
    pub hold_below: Option<f32>,
    /// The model that says how likely an answer is good enough.
    pub judge: Option<Judge>,
    /// The probability below which it is not; the model's own unless given.
    pub accept_below: Option<f32>,
    /// Largest share of the answers of a minute that are not sent on, for each worker.
    pub max_share: f32,
}

/// Escalated requests with both their answers, for those who label: prompts leave Envoy.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// The cluster of `pointsman capture`.
    pub cluster: String,
    /// Share of the escalated requests.
    pub share: f32,
    /// Most bytes of a request or an answer; one that has a longer part is left out.
    pub max_bytes: usize,
}

impl Escalate {
    /// Everything as it is unless something else is said.
    pub fn to(target: String) -> Self {
        Escalate {
            to: target,
            signs: Sign::ALL.to_vec(),
            apis: ApiFormat::NAMES.map(|(_, api)| api).to_vec(),
            hold: Hold::Whole,
            hold_bytes: 256 * 1024,
            hold_tokens: 64,
            hold_ms: 30_000,
            on_timeout: OnTimeout::Release,
            hold_below: None,
            judge: None,
            accept_below: None,
            max_share: 0.5,
        }
    }
}
