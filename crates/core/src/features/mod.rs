//! `Prompt` to [`Features`]: the one implementation, used by filter, trainer and command line.
//!
//! A vector is a block of engineered features (the rows of [`SCHEMA`]), a block that says what the
//! words are about ([`MEANING`] numbers), and two blocks of hashed n-grams, of words and of
//! characters. Text features look at the turn in *focus*, the last user
//! turn, because that is what the model is asked. The user turns before it count half as much with
//! every turn; only a short follow-up ("go on") hands on its whole weight to the turn before. The
//! features of a single turn do not depend on any of this. Everything is computed with the same
//! bits on every host: counts are integers, and logarithms come from the `libm` crate, not from the
//! platform.

use std::iter::successors;
use std::num::NonZero;

use crate::prompt::{Prompt, ResponseFormat, Role, Turn};

#[cfg(not(target_arch = "wasm32"))]
pub mod cost;
mod counts;
mod focus;
mod lexicon;
mod meaning;
mod ngrams;
mod schema;
mod text;

use focus::Focus;
pub use meaning::MEANING;
pub use schema::{FeatureGroup, FeatureSpec, GROUPS, SCHEMA, digest_of, hash64, schema_hash};
use schema::{Fnv1a, Slot};

/// Number of engineered features: the rows of [`SCHEMA`].
pub const ENGINEERED: usize = SCHEMA.len();
/// Buckets of the hashed word uni- and bigrams.
pub const WORD_BUCKETS: usize = 4096;
/// Buckets of the hashed character tri- and tetragrams.
pub const CHAR_BUCKETS: usize = 4096;
/// Length of the dense part of a feature vector: engineered, then meaning.
pub const DENSE: usize = ENGINEERED + MEANING;
/// Length of a feature vector: dense, then word buckets, then character buckets.
pub const LEN: usize = DENSE + WORD_BUCKETS + CHAR_BUCKETS;

/// Raised whenever the same single turn, which is what models are trained on, gets other values, so
/// that older models are refused.
pub(crate) const EXTRACTOR_VERSION: usize = 1;

/// Bytes read from the beginning of the text in focus. What lies between head and tail is
/// skipped, which bounds the time of a decision.
pub(crate) const FOCUS_HEAD_BYTES: usize = 24 * 1024;
/// Bytes read from its end: instructions often follow the material.
pub(crate) const FOCUS_TAIL_BYTES: usize = 8 * 1024;

/// Words of [`Features::occupied`].
pub(crate) const OCCUPIED: usize = LEN.div_ceil(64);

/// A bit a position, the first ones in the lowest bits.
type Occupied = [u64; OCCUPIED];

/// A prompt as the classifier sees it: `f32[LEN]`.
///
/// Most of a vector are n-grams that the prompt does not have. The others are marked, so that whoever
/// reads a vector need not look at all of it.
#[derive(Clone, Debug)]
pub struct Features {
    /// `f32[LEN]`.
    values: Box<[f32]>,
    /// A bit for each position that may be other than zero.
    occupied: Occupied,
}

impl Default for Features {
    fn default() -> Self {
        Features { values: vec![0.0; LEN].into_boxed_slice(), occupied: DENSE_OCCUPIED }
    }
}

impl PartialEq for Features {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

/// Marks of the dense positions alone.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
const DENSE_OCCUPIED: Occupied = {
    let mut occupied = [0; OCCUPIED];
    let mut position = 0;
    while position < DENSE {
        occupied[position / 64] |= 1 << (position % 64);
        position += 1;
    }
    occupied
};

fn occupy(occupied: &mut Occupied, position: usize) {
    if let Some(word) = occupied.get_mut(position / 64) {
        *word |= 1 << (position % 64);
    }
}

/// Positions of the bits that are set, in ascending order.
pub(crate) fn positions(occupied: &[u64]) -> impl Iterator<Item = usize> {
    occupied.iter().enumerate().flat_map(|(place, &word)| {
        let words =
            successors(NonZero::new(word), |word| NonZero::new(word.get() & (word.get() - 1)));
        words.map(move |word| 64 * place + word.trailing_zeros() as usize)
    })
}

impl Features {
    /// Features with these values, `f32[LEN]`; `None` for another length.
    pub fn from_values(values: Vec<f32>) -> Option<Self> {
        let mut features = Features::default();
        let own = features.values_mut();
        if own.len() != values.len() {
            return None;
        }
        own.copy_from_slice(&values);
        for (position, value) in values.iter().enumerate() {
            if *value != 0.0 {
                occupy(&mut features.occupied, position);
            }
        }
        Some(features)
    }

    /// The whole vector, `f32[LEN]`.
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// Marks of what may be other than zero: a bit a position, the first ones in the lowest bits.
    pub(crate) fn occupied(&self) -> &[u64] {
        &self.occupied
    }

    fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The engineered part, `f32[ENGINEERED]`, in the order of [`SCHEMA`].
    pub fn engineered(&self) -> &[f32] {
        self.as_slice().get(..ENGINEERED).unwrap_or_default()
    }

    /// The dense part, `f32[DENSE]`: engineered, then meaning.
    pub fn dense(&self) -> &[f32] {
        self.as_slice().get(..DENSE).unwrap_or_default()
    }

    /// A copy with some values set to zero: what is known without them.
    pub fn without(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        self.replaced(positions.into_iter().map(|position| (position, 0.0)))
    }

    /// A copy with other values at some positions.
    pub fn replaced(&self, values: impl IntoIterator<Item = (usize, f32)>) -> Self {
        let mut features = self.clone();
        for (position, other) in values {
            if let Some(value) = features.values_mut().get_mut(position) {
                *value = other;
            }
        }
        features
    }

    /// 64-bit FNV-1a digest of the little-endian bytes of all values, as 16 hex digits: whether
    /// two hosts computed the same vector, bit for bit.
    pub fn digest(&self) -> String {
        let mut digest = Fnv1a::default();
        for value in self.as_slice() {
            digest.write(&value.to_le_bytes());
        }
        format!("{:016x}", digest.0)
    }

    fn set(&mut self, slot: Slot, value: f32) {
        if let Some(cell) = self.values_mut().get_mut(slot as usize) {
            *cell = value;
        }
    }

    fn set_count(&mut self, slot: Slot, count: usize) {
        self.set(slot, log_count(count));
    }

    fn set_flag(&mut self, slot: Slot, flag: bool) {
        self.set(slot, f32::from(u8::from(flag)));
    }
}

/// `ln(1 + count)`, cut to the schema's range.
fn log_count(count: usize) -> f32 {
    ngrams::log1p(count.min(1 << 24) as f32)
}

/// Computes the features of a prompt.
pub fn extract(prompt: &Prompt) -> Features {
    let mut features = Features::default();
    extract_into(prompt, &mut features);
    features
}

/// As [`extract`], reusing a vector. Linear in the bytes read; allocates two small lists.
pub fn extract_into(prompt: &Prompt, features: &mut Features) {
    features.values_mut().fill(0.0);
    features.occupied = DENSE_OCCUPIED;
    let focus = Focus::of(prompt);
    text::scan(focus.excerpts(), features);
    features.set_flag(Slot::FollowUp, focus.is_follow_up());
    describe_conversation(prompt, &focus, features);
    describe_request(prompt, features);
}

fn describe_conversation(prompt: &Prompt, focus: &Focus, features: &mut Features) {
    let count = |role: Role| prompt.turns.iter().filter(|turn| turn.role == role).count();
    let total: usize = prompt.turns.iter().map(|turn| turn.text.trim().len()).sum();
    let system: usize = prompt
        .turns
        .iter()
        .filter(|turn| turn.role == Role::System)
        .map(|turn| turn.text.trim().len())
        .sum();
    features.set_count(Slot::Turns, prompt.turns.len());
    features.set_count(Slot::AssistantTurns, count(Role::Assistant));
    features.set_count(Slot::ToolTurns, count(Role::Tool));
    features.set_count(Slot::SystemBytes, system);
    features.set_count(Slot::HistoryBytes, total.saturating_sub(system + focus.text().len()));
    features.set_flag(Slot::Truncated, prompt.truncated);
}

fn describe_request(prompt: &Prompt, features: &mut Features) {
    let sum = |number: fn(&Turn) -> u32| {
        prompt.turns.iter().map(|turn| number(turn) as usize).sum::<usize>()
    };
    let parameters = &prompt.parameters;
    features.set_count(Slot::Tools, parameters.tools as usize);
    features.set_count(Slot::ToolsBytes, parameters.tools_bytes);
    features.set_count(Slot::ToolCalls, sum(|turn| turn.tool_calls));
    features.set_count(Slot::Images, sum(|turn| turn.images));
    let max_tokens = usize::try_from(parameters.max_tokens.unwrap_or(0)).unwrap_or(usize::MAX);
    features.set_count(Slot::MaxTokens, max_tokens);
    features.set_flag(Slot::JsonOutput, parameters.response_format != ResponseFormat::Text);
    features.set_flag(Slot::SchemaOutput, parameters.response_format == ResponseFormat::JsonSchema);
    features.set_flag(Slot::Stream, parameters.stream);
    let temperature = parameters.temperature.filter(|number| number.is_finite()).unwrap_or(0.0);
    let temperature = temperature.clamp(0.0, 2.0) as f32;
    features.set(Slot::Temperature, libm::log1pf(temperature));
}

#[cfg(test)]
mod tests;
