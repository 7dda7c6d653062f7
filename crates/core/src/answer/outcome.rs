//! What an answer says of itself, read in passing: why it ended, whether it has text or tool
//! calls, whether the model refused.

use memchr::memchr2;
use serde::de::IgnoredAny;

/// Longest name of a field, and longest value of a word, that is looked at.
const WORD: usize = 32;
/// Longest arguments of a tool call that are checked, in bytes; longer ones count as valid.
const ARGUMENTS: usize = 16 * 1024;
/// Deeper than this stands what a model wrote, not what a provider says.
const DEPTH: u32 = 8;

/// What was found in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// There is text that is not empty.
    pub text: bool,
    /// There is a tool call.
    pub tool_call: bool,
    /// The arguments of a tool call are not a JSON object.
    pub invalid_tool_call: bool,
    /// The model, or the provider's filter, refused.
    pub refused: bool,
    /// The answer was cut at the token limit.
    pub truncated: bool,
}

/// A field whose value says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Any text of the answer.
    Text,
    Refusal,
    Arguments,
    /// The name of a called tool: another call begins.
    Name,
    /// `finish_reason`, `stop_reason`, or `reason` in `incomplete_details`.
    Reason,
    /// `type`.
    Kind,
    /// An object that the client or the model wrote: nothing in it is the provider's word.
    Foreign,
}

impl Field {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"content" | b"text" | b"delta" => Field::Text,
            b"refusal" => Field::Refusal,
            b"arguments" | b"partial_json" => Field::Arguments,
            b"name" => Field::Name,
            b"finish_reason" | b"stop_reason" | b"reason" => Field::Reason,
            b"type" => Field::Kind,
            b"input" | b"metadata" | b"parameters" | b"tools" => Field::Foreign,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    /// In a string that may be the name of a field.
    InName {
        escaped: bool,
    },
    /// Behind a string that may be the name of a field.
    BehindName,
    /// In the string that is a field's value.
    InValue {
        field: Field,
        escaped: bool,
    },
}

/// A scanner over one or more JSON texts; memory is bounded, time is linear.
#[derive(Debug)]
pub(super) struct OutcomeScanner {
    state: State,
    depth: u32,
    /// The field whose value comes next.
    field: Option<Field>,
    /// Depth of the foreign object that is passed over, while one is.
    foreign: Option<u32>,
    word: Vec<u8>,
    /// Arguments of the present call as they stand in the JSON string, escapes and all; `None`
    /// when they are too long.
    arguments: Option<Vec<u8>>,
    /// Events repeat whole calls (OpenAI responses) instead of continuing them.
    whole_calls: bool,
    found: Outcome,
}

impl OutcomeScanner {
    pub(super) fn new() -> Self {
        OutcomeScanner {
            state: State::Between,
            depth: 0,
            field: None,
            foreign: None,
            word: Vec::new(),
            arguments: Some(Vec::new()),
            whole_calls: false,
            found: Outcome::default(),
        }
    }

    /// A new JSON text begins.
    pub(super) fn reset(&mut self) {
        self.state = State::Between;
        self.depth = 0;
        self.field = None;
        self.foreign = None;
        if self.whole_calls {
            self.end_call();
        }
    }

    /// What was found so far.
    pub(super) fn outcome(&self) -> Outcome {
        let unfinished = self.arguments.as_ref().is_some_and(|arguments| !is_object(arguments));
        Outcome { invalid_tool_call: self.found.invalid_tool_call || unfinished, ..self.found }
    }

    /// Reads on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let State::InValue { field: Field::Text, escaped: false } = self.state {
                let (text, rest) =
                    bytes.split_at(memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()));
                if !text.is_empty() {
                    self.found.text = true;
                    bytes = rest;
                    continue;
                }
            }
            self.step(byte);
            bytes = rest;
        }
    }

    fn step(&mut self, byte: u8) {
        self.state = match self.state {
            State::InName { escaped: true } => State::InName { escaped: false },
            State::InName { .. } => match byte {
                b'\\' => {
                    // No field of interest has an escape in its name.
                    self.word.clear();
                    self.keep(0);
                    State::InName { escaped: true }
                }
                b'"' => State::BehindName,
                _ => {
                    self.keep(byte);
                    self.state
                }
            },
            State::InValue { field, escaped } => {
                if byte == b'"' && !escaped {
                    self.end_value(field);
                    State::Between
                } else {
                    self.value(field, byte);
                    State::InValue { field, escaped: byte == b'\\' && !escaped }
                }
            }
            State::BehindName if byte == b':' => {
                let inside = self.foreign.is_none() && self.depth <= DEPTH;
                self.field = Field::named(&self.word).filter(|_| inside);
                State::Between
            }
            State::BehindName if byte.is_ascii_whitespace() => self.state,
            State::Between | State::BehindName => self.between(byte),
        };
    }

    fn between(&mut self, byte: u8) -> State {
        match byte {
            b'"' => {
                self.word.clear();
                return match self.field.take() {
                    Some(field) if field != Field::Foreign => {
                        State::InValue { field, escaped: false }
                    }
                    _ => State::InName { escaped: false },
                };
            }
            b'{' | b'[' => {
                if self.field.take() == Some(Field::Foreign) {
                    self.foreign = Some(self.depth);
                }
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.foreign == Some(self.depth) {
                    self.foreign = None;
                }
                self.field = None;
            }
            b',' => self.field = None,
            _ => {}
        }
        State::Between
    }

    fn keep(&mut self, byte: u8) {
        if self.word.len() < WORD {
            self.word.push(byte);
        }
    }

    /// A byte of a field's value.
    fn value(&mut self, field: Field, byte: u8) {
        match field {
            Field::Text => self.found.text = true,
            Field::Refusal => self.found.refused = true,
            Field::Arguments => {
                if let Some(arguments) = &mut self.arguments {
                    arguments.push(byte);
                    if arguments.len() > ARGUMENTS {
                        self.arguments = None;
                    }
                }
            }
            Field::Reason | Field::Kind => self.keep(byte),
            Field::Name | Field::Foreign => {}
        }
    }

    fn end_value(&mut self, field: Field) {
        match field {
            Field::Arguments => self.found.tool_call = true,
            Field::Name => self.end_call(),
            Field::Reason => match self.word.as_slice() {
                b"length" | b"max_tokens" | b"max_output_tokens" => self.found.truncated = true,
                b"content_filter" | b"refusal" => self.found.refused = true,
                b"tool_calls" | b"tool_use" | b"function_call" => self.found.tool_call = true,
                _ => {}
            },
            Field::Kind => match self.word.as_slice() {
                b"refusal" | b"response.refusal.delta" => self.found.refused = true,
                b"tool_use" | b"function_call" => self.found.tool_call = true,
                kind if kind.starts_with(b"response.") => self.whole_calls = true,
                _ => {}
            },
            Field::Text | Field::Refusal | Field::Foreign => {}
        }
    }

    /// The arguments of one call are complete.
    fn end_call(&mut self) {
        let arguments = self.arguments.replace(Vec::new());
        self.found.invalid_tool_call |= arguments.is_some_and(|arguments| !is_object(&arguments));
    }
}

/// Whether the text of a JSON string, escapes and all, is itself a JSON object. Nothing at all
/// stands for a call without arguments.
fn is_object(escaped: &[u8]) -> bool {
    if escaped.is_empty() {
        return true;
    }
    let quoted = [b"\"", escaped, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|text| {
        text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(&text).is_ok()
    })
}
