//! The domain's own values: targets, what they cost, what is changed in a body that goes to one.

use serde::{Deserialize, Serialize};

use crate::api::ApiFormat;

mod escalate;

pub use escalate::{Capture, Escalate, Hold, Judge, OnTimeout};

/// What a request can be routed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name in headers, metrics and records.
    pub name: String,
    /// Envoy cluster: the model behind its semantic cache.
    pub cluster: String,
    /// The score from which on it is chosen; the manifest's when not given.
    pub threshold: Option<f32>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// The provider's name of the model.
    pub model: Option<String>,
    /// Largest sum of prompt and answer, in tokens.
    pub context_tokens: Option<u64>,
    /// What it cannot do.
    pub lacks: Needs,
    /// The APIs that it serves; all when none is named.
    pub apis: Vec<ApiFormat>,
    /// Changes to the bodies of requests that go there, by API; none unless bodies are rewritten.
    pub edits: Edits,
    /// When its answer is held back, and another target asked.
    pub escalate: Option<Escalate>,
}

impl Target {
    /// A target that can do everything, in the cluster of its name.
    pub fn named(name: &str) -> Self {
        Target {
            name: name.to_owned(),
            cluster: name.to_owned(),
            threshold: None,
            price: None,
            model: None,
            context_tokens: None,
            lacks: Needs::default(),
            apis: Vec::new(),
            edits: Edits::default(),
            escalate: None,
        }
    }

    /// Whether it serves requests to an API.
    pub fn serves(&self, api: ApiFormat) -> bool {
        self.apis.is_empty() || self.apis.contains(&api)
    }
}

/// Something that a request may need and not every target can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Pictures in what is asked, screenshots that a tool took among them.
    Images,
    Audio,
    /// Documents and other files, by their content or by a name that the provider knows.
    Files,
    Video,
    /// Input of a kind that is not known here.
    UnknownInput,
    Tools,
    /// An answer in another format than text.
    ResponseFormat,
}

impl Need {
    /// All of them, in the order in which gates ask.
    pub const ALL: [Need; 7] = [
        Need::Images,
        Need::Audio,
        Need::Files,
        Need::Video,
        Need::UnknownInput,
        Need::Tools,
        Need::ResponseFormat,
    ];
    /// Input that is not text.
    pub const MEDIA: [Need; 5] =
        [Need::Images, Need::Audio, Need::Files, Need::Video, Need::UnknownInput];
}

/// A set of needs, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    pub fn contains(self, need: Need) -> bool {
        self.0 >> need as u8 & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn insert(&mut self, need: Need) {
        self.0 |= 1 << need as u8;
    }

    /// Those of another set, too.
    pub fn extend(&mut self, other: Needs) {
        self.0 |= other.0;
    }
}

impl FromIterator<Need> for Needs {
    fn from_iter<I: IntoIterator<Item = Need>>(needs: I) -> Self {
        let mut set = Needs::default();
        needs.into_iter().for_each(|need| set.insert(need));
        set
    }
}

/// What becomes of a top-level field of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub field: String,
    /// Other names of the field: where one of them stands, its value is replaced instead.
    pub aliases: Vec<String>,
    /// The JSON text of the new value; without one, the field is removed.
    pub value: Option<String>,
    /// Whether the field is added where it is missing.
    pub add: bool,
}

impl Edit {
    /// Gives a field a value, JSON text, whether it was there or not.
    pub fn set(field: &str, value: impl Into<String>) -> Self {
        let (field, value) = (field.to_owned(), Some(value.into()));
        Edit { field, aliases: Vec::new(), value, add: true }
    }

    /// Takes a field away.
    pub fn remove(field: &str) -> Self {
        Edit { field: field.to_owned(), aliases: Vec::new(), value: None, add: false }
    }

    /// Whether a field of this name is meant.
    pub fn names(&self, name: &str) -> bool {
        self.field == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// Edits by the API whose bodies they are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits([Vec<Edit>; ApiFormat::ALL.len()]);

impl Edits {
    /// What is edited in the bodies of an API.
    pub fn of(&self, api: ApiFormat) -> &[Edit] {
        self.0.get(api as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn push(&mut self, api: ApiFormat, edit: Edit) {
        self.0.get_mut(api as usize).into_iter().for_each(|edits| edits.push(edit.clone()));
    }
}

/// A set of targets, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetSet(pub u32);

impl TargetSet {
    /// The first `count` targets.
    pub fn first(count: usize) -> Self {
        TargetSet((0..count.min(32)).fold(0, |set, target| set | 1 << target))
    }

    pub fn contains(self, target: usize) -> bool {
        target < 32 && self.0 >> target & 1 == 1
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The strongest, which is the last.
    pub fn strongest(self) -> Option<usize> {
        (0..32).rev().find(|target| self.contains(*target))
    }

    pub(crate) fn insert(&mut self, target: usize) {
        self.0 |= 1_u32.checked_shl(u32::try_from(target).unwrap_or(u32::MAX)).unwrap_or(0);
    }
}

/// Tokens that were paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

/// The same, with the part of it that has a price of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    pub usage: Usage,
    /// Of the input, what the provider had in its prefix cache, and what it wrote into it.
    pub cached_input: u64,
    pub cache_write: u64,
    /// Of the output, what the model thought. It costs what the rest does.
    pub reasoning: u64,
}

/// Dollars, or whatever the operator pays in, a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    pub input: f64,
    pub output: f64,
    /// Of input from the provider's prefix cache, and of input that is written into it; the price
    /// of input where not given.
    pub cached_input: Option<f64>,
    pub cache_write: Option<f64>,
}

impl Price {
    /// A price that knows of no prefix cache.
    pub fn new(input: f64, output: f64) -> Self {
        Price { input, output, ..Price::default() }
    }

    /// Dollars for this many tokens.
    pub fn of(&self, usage: Usage) -> f64 {
        (usage.input as f64 * self.input + usage.output as f64 * self.output) / 1e6
    }

    /// Dollars for this many tokens, of which the provider may have had some in its prefix cache.
    pub fn of_billed(&self, billed: &Billed) -> f64 {
        let Billed { usage, cached_input, cache_write, .. } = *billed;
        let cached = cached_input.min(usage.input);
        let written = cache_write.min(usage.input - cached);
        let other = |tokens: u64, price: Option<f64>| {
            tokens as f64 * (price.unwrap_or(self.input) - self.input) / 1e6
        };
        self.of(usage) + other(cached, self.cached_input) + other(written, self.cache_write)
    }

    /// The same in whole billionths of a dollar, for counters: a cheap answer costs less than a
    /// millionth.
    pub fn nanodollars(&self, billed: &Billed) -> u64 {
        (self.of_billed(billed) * 1e9).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_answer_still_costs_something() {
        let price = Price::new(0.15, 0.6);
        let nano = |input, output| {
            price.nanodollars(&Billed { usage: Usage { input, output }, ..Billed::default() })
        };
        assert_eq!(nano(1, 0), 150);
        assert_eq!(nano(1_000_000, 1_000_000), 750_000_000);
        assert_eq!(nano(0, 0), 0);
    }

    #[test]
    fn tokens_of_the_prefix_cache_have_their_own_price() {
        let usage = Usage { input: 1000, output: 100 };
        let of = |cached_input, cache_write, price: Price| {
            price.of_billed(&Billed { usage, cached_input, cache_write, reasoning: 50 }) * 1e6
        };
        let plain = Price::new(2.0, 10.0);
        let cached = Price { cached_input: Some(0.2), cache_write: Some(2.5), ..plain };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(of(800, 100, plain), 3000.0);
        near(of(0, 0, cached), 3000.0);
        near(of(800, 100, cached), 160.0 + 250.0 + 200.0 + 1000.0);
        near(of(5000, 5000, cached), 200.0 + 1000.0);
    }
}
