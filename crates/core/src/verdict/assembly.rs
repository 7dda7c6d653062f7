//! An answer, put together from its events or read as a whole.

use serde_json::Value;

use super::call::Calls;
use super::elements;
use super::expectation::Expectation;
use crate::api::ApiFormat;

/// Bytes of text that are kept of one choice.
const BYTES: usize = 256 * 1024;
/// Choices that are kept.
const CHOICES: usize = 8;

/// Why a choice ended, as far as that matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    /// It says nothing of an end.
    #[default]
    Open,
    /// The model was done.
    Stop,
    /// A limit in tokens.
    Length,
    /// The model's own limit on prompt and answer together.
    Window,
    /// Anything else, such as a stop sequence of the client's.
    Other,
}

/// One of the answers to a request.
#[derive(Debug, Default)]
pub(super) struct Choice {
    index: u64,
    /// What is to be seen.
    pub(super) text: String,
    /// Where its last part begins: in front of it may stand what the model said between calls.
    pub(super) part: usize,
    pub(super) calls: Calls,
    /// There is something else than text and calls of functions.
    pub(super) other: bool,
    pub(super) refused: bool,
    pub(super) filtered: bool,
    pub(super) finish: Finish,
    /// The texts are not all here.
    cut: bool,
}

impl Choice {
    /// More text.
    pub(super) fn say(&mut self, text: &str) {
        self.cut |= self.text.len() + text.len() > BYTES;
        if !self.cut {
            self.text.push_str(text);
        }
    }

    /// Another part of text begins.
    pub(super) fn begin_part(&mut self) {
        self.part = self.text.len();
    }

    /// It ends for this reason, by the word of any of the formats.
    pub(super) fn end(&mut self, reason: &str) {
        self.finish = match reason {
            "" => return,
            "stop" | "end_turn" | "eos" | "eos_token" | "completed" | "tool_calls" | "tool_use"
            | "function_call" => Finish::Stop,
            "length" | "max_tokens" | "max_output_tokens" => Finish::Length,
            "model_context_window_exceeded" => Finish::Window,
            _ => Finish::Other,
        };
        self.filtered |= reason == "content_filter";
        self.refused |= reason == "refusal";
        // At a limit the last call is cut, too.
        if self.finish == Finish::Stop {
            self.calls.end_all();
        }
    }

    /// What is to be seen, without what a model thinks aloud where its server does not part it.
    /// Only what models are trained to begin with counts: others write such tags for a reader.
    pub(super) fn visible(&self) -> &str {
        const THINKING: [(&str, &str); 3] =
            [("<think>", "</think>"), ("<seed:think>", "</seed:think>"), ("◁think▷", "◁/think▷")];
        let start = self.text.trim_ascii_start();
        for (begin, end) in THINKING {
            if let Some(thoughts) = start.strip_prefix(begin) {
                return thoughts.split_once(end).map_or("", |(_, rest)| rest);
            }
            if !start.is_empty() && begin.starts_with(start) {
                return "";
            }
        }
        &self.text
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.calls.is_cut()
    }
}

/// The natural logarithms of the probabilities that a model gave its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogProbability {
    pub mean: f32,
    pub min: f32,
}

/// Sum, least and count.
#[derive(Debug, Default)]
struct LogProbabilities {
    sum: f64,
    min: f64,
    count: u32,
}

impl LogProbabilities {
    /// OpenAI writes -9999 for a token that is not among the likely ones.
    const LEAST: f64 = -20.0;

    fn add(&mut self, value: &Value) {
        if let Some(value) = value.as_f64() {
            let value = value.clamp(Self::LEAST, 0.0);
            self.sum += value;
            self.min = self.min.min(value);
            self.count = self.count.saturating_add(1);
        }
    }
}

#[derive(Debug)]
pub(super) struct Assembly {
    format: ApiFormat,
    choices: Vec<Choice>,
    /// There were more choices than are kept.
    cut: bool,
    pub(super) ran_tools: bool,
    log_probabilities: LogProbabilities,
}

impl Assembly {
    pub(super) fn new(format: ApiFormat) -> Self {
        Assembly {
            format,
            choices: Vec::new(),
            cut: false,
            ran_tools: false,
            log_probabilities: LogProbabilities::default(),
        }
    }

    /// The next event of a stream.
    pub(super) fn event(&mut self, event: &Value) {
        match self.format {
            ApiFormat::ChatCompletions | ApiFormat::Completions => self.chat(event),
            ApiFormat::Responses => self.responses(event),
            ApiFormat::Messages => self.messages(event),
        }
    }

    /// An answer that is one JSON text.
    pub(super) fn whole(&mut self, answer: &Value) {
        match self.format {
            ApiFormat::ChatCompletions | ApiFormat::Completions => self.chat(answer),
            ApiFormat::Responses => self.response(answer),
            ApiFormat::Messages => self.message(answer),
        }
        for choice in self.choices.iter_mut().filter(|choice| choice.finish == Finish::Open) {
            choice.calls.end_all();
        }
    }

    pub(super) fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// The first choice.
    pub(super) fn first(&self) -> Option<&Choice> {
        self.choices.iter().min_by_key(|choice| choice.index)
    }

    /// The choice with this number, unless there are too many.
    pub(super) fn choice(&mut self, index: u64) -> Option<&mut Choice> {
        let known = self.choices.iter().position(|choice| choice.index == index);
        let place = match known {
            Some(place) => place,
            None if self.choices.len() == CHOICES => {
                self.cut = true;
                return None;
            }
            None => {
                self.choices.push(Choice { index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(place)
    }

    pub(super) fn judge(&mut self, expectation: &Expectation) {
        self.choices.iter_mut().for_each(|choice| choice.calls.judge(expectation));
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.choices.iter().any(Choice::is_cut)
    }

    /// The tokens of an array, each with its `logprob`, or the bare numbers of completions.
    pub(super) fn add_log_probabilities(&mut self, tokens: &Value) {
        for token in elements(tokens) {
            self.log_probabilities.add(token);
            self.log_probabilities.add(&token["logprob"]);
        }
    }

    pub(super) fn log_probability(&self) -> Option<LogProbability> {
        let LogProbabilities { sum, min, count } = self.log_probabilities;
        let mean = sum / f64::from(count);
        (count > 0).then_some(LogProbability { mean: mean as f32, min: min as f32 })
    }
}

/// Whether a part of content, or an item, is what the model thinks.
pub(super) fn is_thought(kind: &str) -> bool {
    matches!(kind, "thinking" | "redacted_thinking" | "reasoning" | "reasoning_text")
}
