//! Pieces of an answer to [`Usage`].

use memchr::memchr;
use serde::Deserialize;

use super::outcome::{Outcome, OutcomeScanner};
use super::scanner::Scanner;
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
    /// Server-sent events, each with JSON in its `data` (WHATWG HTML, 9.2 Server-sent events).
    Events(Line),
}

/// Where in a line of an event stream the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// This many bytes of [`DATA`] were read, and nothing else.
    Start(usize),
    Data,
    /// A comment or another field.
    Other,
}

const DATA: &[u8] = b"data:";

/// Reads the token counts of an answer that comes in pieces. It keeps the `usage` object only.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    scanner: Scanner,
    /// Only when somebody wants to know.
    outcome: Option<OutcomeScanner>,
    input: Option<u64>,
    output: Option<u64>,
}

impl UsageReader {
    /// A reader for an answer of this `content-type`; `None` when it can hold no counts.
    pub fn new(content_type: &[u8]) -> Option<Self> {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let framing = if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Framing::Events(Line::Start(0))
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Framing::Json
        } else {
            return None;
        };
        let scanner = Scanner::new();
        Some(UsageReader { framing, scanner, outcome: None, input: None, output: None })
    }

    /// The same, which also reads what the answer says of itself.
    pub fn with_outcome(self) -> Self {
        UsageReader { outcome: Some(OutcomeScanner::new()), ..self }
    }

    /// Reads the next piece.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Framing::Events(line) = self.framing else {
                self.scan(bytes);
                return;
            };
            let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
            let (text, rest) = bytes.split_at(end);
            let line = self.read_line(line, text);
            bytes = match rest.split_first() {
                None => {
                    self.framing = Framing::Events(line);
                    return;
                }
                Some((_, rest)) => {
                    if line == Line::Start(0) {
                        // An empty line ends the event.
                        self.scanner.reset();
                        self.outcome.iter_mut().for_each(OutcomeScanner::reset);
                    }
                    self.framing = Framing::Events(Line::Start(0));
                    rest
                }
            };
        }
    }

    /// A part of one line, without its line feed.
    fn read_line(&mut self, mut line: Line, mut text: &[u8]) -> Line {
        while let (Line::Start(matched), Some((&byte, rest))) = (line, text.split_first()) {
            text = rest;
            line = match DATA.get(matched) {
                Some(expected) if *expected == byte => Line::Start(matched + 1),
                None => {
                    self.scan(&[byte]);
                    Line::Data
                }
                // Lines may end in carriage return and line feed.
                Some(_) if matched == 0 && byte == b'\r' => line,
                Some(_) => Line::Other,
            };
        }
        if line == Line::Data {
            self.scan(text);
        }
        line
    }

    fn scan(&mut self, bytes: &[u8]) {
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

    /// What the answer says of itself, when it was asked for.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.as_ref().map(OutcomeScanner::outcome)
    }

    /// The counts, when both were reported.
    pub fn usage(&self) -> Option<Usage> {
        Some(Usage { input: self.input?, output: self.output? })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
