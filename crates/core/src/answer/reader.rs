//! Pieces of an answer to [`Usage`].

use serde::Deserialize;
use serde_json::Value;

use super::outcome::{Fault, Outcome, OutcomeReader};
use super::scanner::Scanner;
use super::sse::{self, Piece};
use crate::api_field::ApiField;
use crate::media_type::MediaType;
use crate::provider_state::MadeState;
use crate::skim::Skimmer;
use crate::target::{Billed, Usage};

/// The counts as OpenAI (chat completions: `prompt_tokens`; responses: `input_tokens`) and
/// Anthropic (`input_tokens` without what its cache took) report them.
#[derive(Deserialize)]
struct Reported {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    /// DeepSeek's name.
    prompt_cache_hit_tokens: Option<u64>,
    // Of any type, so that a provider's own fancy in here does not cost the counts above.
    prompt_tokens_details: Option<Value>,
    input_tokens_details: Option<Value>,
    completion_tokens_details: Option<Value>,
    output_tokens_details: Option<Value>,
}

/// A count in one of the two objects of details.
fn detail(of: [&Option<Value>; 2], name: &str) -> Option<u64> {
    of.into_iter().flatten().find_map(|details| details.get(name)?.as_u64())
}

impl Reported {
    /// Tokens of the prompt, with those from a cache and for it.
    fn input(&self) -> Option<u64> {
        let cache = [self.cache_creation_input_tokens, self.cache_read_input_tokens];
        let cache = cache.into_iter().flatten().fold(0, u64::saturating_add);
        let anthropic = self.input_tokens.map(|tokens| tokens.saturating_add(cache));
        self.prompt_tokens.or(anthropic)
    }

    /// Tokens of the answer, with those of the thoughts: some providers count them in the total
    /// only.
    fn output(&self) -> Option<u64> {
        let told = self.completion_tokens.or(self.output_tokens)?;
        let rest = self.total_tokens.zip(self.input());
        let rest = rest.and_then(|(total, input)| total.checked_sub(input));
        Some(told.max(rest.unwrap_or(0)))
    }

    /// Of the input, what came from the provider's prefix cache.
    fn cached(&self) -> Option<u64> {
        let told = self.cache_read_input_tokens.or(self.prompt_cache_hit_tokens);
        told.or(detail([&self.prompt_tokens_details, &self.input_tokens_details], "cached_tokens"))
    }

    /// Of the input, what went into it.
    fn written(&self) -> Option<u64> {
        let details = [&self.prompt_tokens_details, &self.input_tokens_details];
        self.cache_creation_input_tokens.or(detail(details, "cache_write_tokens"))
    }

    /// Of the output, what the model thought.
    fn reasoning(&self) -> Option<u64> {
        let details = [&self.completion_tokens_details, &self.output_tokens_details];
        detail(details, "reasoning_tokens")
    }
}

/// How an answer's JSON is framed.
#[derive(Debug)]
enum Framing {
    /// One JSON text.
    Json,
    /// Server-sent events, each with JSON in its `data`.
    Events(sse::Reader),
}

/// The counts that were reported so far.
#[derive(Debug, Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    reasoning: Option<u64>,
}

/// What is read of JSON in passing.
#[derive(Debug)]
struct Json {
    scanner: Scanner,
    counts: Counts,
    skimmer: Skimmer<ApiField>,
    /// Only when somebody wants to know.
    outcome: Option<OutcomeReader>,
    made: Option<MadeState>,
}

impl Json {
    fn read(&mut self, bytes: &[u8]) {
        let Json { outcome, made, counts, .. } = self;
        if outcome.is_some() || made.is_some() {
            self.skimmer.read(bytes, ApiField::named, |way, token| {
                outcome.iter_mut().for_each(|outcome| outcome.read(way, token));
                made.iter_mut().for_each(|made| made.read(way, token));
            });
        }
        self.scanner.read(bytes, |json| {
            let Ok(reported) = serde_json::from_slice::<Reported>(json) else { return };
            // Streams report running totals: the last one counts.
            counts.input = reported.input().or(counts.input);
            counts.output = reported.output().or(counts.output);
            counts.cached = reported.cached().or(counts.cached);
            counts.written = reported.written().or(counts.written);
            counts.reasoning = reported.reasoning().or(counts.reasoning);
        });
    }

    /// Another JSON text begins.
    fn reset(&mut self) {
        self.scanner.reset();
        self.skimmer.reset();
        self.outcome.iter_mut().for_each(OutcomeReader::reset);
        self.made.iter_mut().for_each(MadeState::reset);
    }
}

/// Reads the token counts of an answer that comes in pieces. It keeps the `usage` object only.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    json: Json,
}

impl UsageReader {
    /// A reader for an answer of this `content-type`; `None` when it can hold no counts.
    pub fn new(content_type: &[u8]) -> Option<Self> {
        let framing = match MediaType::parse(content_type) {
            MediaType::EventStream => Framing::Events(sse::Reader::new()),
            MediaType::Json => Framing::Json,
            MediaType::JsonSuffix | MediaType::Other => return None,
        };
        let json = Json {
            scanner: Scanner::new(),
            counts: Counts::default(),
            skimmer: Skimmer::new(),
            outcome: None,
            made: None,
        };
        Some(UsageReader { framing, json })
    }

    /// The same, which also reads what the answer says of itself.
    pub fn with_outcome(mut self) -> Self {
        self.json.outcome = Some(OutcomeReader::default());
        self
    }

    /// The same, which also reads what the provider keeps of the answer.
    pub(crate) fn with_state(mut self, made: MadeState) -> Self {
        self.json.made = Some(made);
        self
    }

    /// Reads the next piece.
    pub fn read(&mut self, bytes: &[u8]) {
        let UsageReader { framing, json } = self;
        match framing {
            Framing::Json => json.read(bytes),
            Framing::Events(events) => events.read(bytes, |piece| match piece {
                Piece::Data(data) => json.read(data),
                Piece::End => json.reset(),
            }),
        }
    }

    /// What the answer says of itself, when it was asked for; for an answer that is over.
    pub fn outcome(&self) -> Option<Outcome> {
        self.json.outcome.as_ref().map(|outcome| outcome.outcome(self.is_stream()))
    }

    /// Why an answer that is over is none, or no whole one.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.json.outcome.as_ref()?.fault(self.is_stream())
    }

    fn is_stream(&self) -> bool {
        matches!(self.framing, Framing::Events(_))
    }

    /// What the provider keeps of the answer, as far as it was not asked for before.
    pub(crate) fn take_state(&mut self) -> Vec<u64> {
        self.json.made.as_mut().map(MadeState::take).unwrap_or_default()
    }

    /// The counts, when both were reported.
    pub fn usage(&self) -> Option<Usage> {
        let Counts { input, output, .. } = self.json.counts;
        Some(Usage { input: input?, output: output? })
    }

    /// The counts by what is paid for them, when those of both directions were reported.
    pub fn billed(&self) -> Option<Billed> {
        let Counts { cached, written, reasoning, .. } = self.json.counts;
        Some(Billed {
            usage: self.usage()?,
            cached_input: cached.unwrap_or(0),
            cache_write: written.unwrap_or(0),
            reasoning: reasoning.unwrap_or(0),
        })
    }
}
