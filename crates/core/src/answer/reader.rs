//! Pieces of an answer to [`Usage`].

use serde::Deserialize;

use super::outcome::{Outcome, OutcomeScanner};
use super::scanner::Scanner;
use super::sse::{self, Piece};
use crate::media_type::MediaType;
use crate::target::Usage;

/// The counts as OpenAI (chat completions: `prompt_tokens`; responses: `input_tokens`) and
/// Anthropic (`input_tokens` without what its cache took) report them.
#[derive(Deserialize)]
struct Reported {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

/// How an answer's JSON is framed.
#[derive(Debug)]
enum Framing {
    /// One JSON text.
    Json,
    /// Server-sent events, each with JSON in its `data`.
    Events(sse::Reader),
}

/// What is read of JSON in passing.
#[derive(Debug)]
struct Json {
    scanner: Scanner,
    /// Only when somebody wants to know.
    outcome: Option<OutcomeScanner>,
    input: Option<u64>,
    output: Option<u64>,
}

impl Json {
    fn read(&mut self, bytes: &[u8]) {
        self.outcome.iter_mut().for_each(|outcome| outcome.read(bytes));
        let (input, output) = (&mut self.input, &mut self.output);
        self.scanner.read(bytes, |json| {
            let Ok(reported) = serde_json::from_slice::<Reported>(json) else { return };
            let cache = [reported.cache_creation_input_tokens, reported.cache_read_input_tokens];
            let cache = cache.into_iter().flatten().fold(0, u64::saturating_add);
            let anthropic = reported.input_tokens.map(|tokens| tokens.saturating_add(cache));
            // Streams report running totals: the last one counts.
            *input = reported.prompt_tokens.or(anthropic).or(*input);
            *output = reported.completion_tokens.or(reported.output_tokens).or(*output);
        });
    }

    /// Another JSON text begins.
    fn reset(&mut self) {
        self.scanner.reset();
        self.outcome.iter_mut().for_each(OutcomeScanner::reset);
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
        let scanner = Scanner::new();
        let json = Json { scanner, outcome: None, input: None, output: None };
        Some(UsageReader { framing, json })
    }

    /// The same, which also reads what the answer says of itself.
    pub fn with_outcome(mut self) -> Self {
        self.json.outcome = Some(OutcomeScanner::new());
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

    /// What the answer says of itself, when it was asked for.
    pub fn outcome(&self) -> Option<Outcome> {
        self.json.outcome.as_ref().map(OutcomeScanner::outcome)
    }

    /// The counts, when both were reported.
    pub fn usage(&self) -> Option<Usage> {
        Some(Usage { input: self.json.input?, output: self.json.output? })
    }
}
