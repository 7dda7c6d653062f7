//! Bytes to [`Prompt`]: what the router keeps of a request body.
//!
//! One file an API format; all fill the same [`Prompt`]. Text is borrowed from the body unless
//! JSON escapes force a copy.

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::error::Category;

mod body;
mod chat;
mod completions;
mod envelope;
mod fields;
mod json;
mod message;
mod messages;
mod responses;
mod shape;

use body::Body;
pub use envelope::{DEFAULT_TAGS, Envelopes};

/// The longest prefix of a request body that is read to decide on it, in bytes.
///
/// The filter's `body.max_bytes` defaults to it and training data is cut at it, so a model never
/// sees in training what the filter would not see in traffic.
pub const MAX_BODY_BYTES: usize = 512 * 1024;

/// How deeply a body's arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;

/// Turns that are kept. A body may hold a hundred thousand empty messages, each of which would
/// cost twenty times its bytes.
pub const MAX_TURNS: usize = 4096;

/// The request formats that can be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFormat {
    /// OpenAI `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI `POST /v1/completions`.
    Completions,
    /// OpenAI `POST /v1/responses`.
    Responses,
    /// Anthropic `POST /v1/messages`.
    Messages,
}

impl ApiFormat {
    /// All formats.
    pub const ALL: [ApiFormat; 4] = [
        ApiFormat::ChatCompletions,
        ApiFormat::Completions,
        ApiFormat::Responses,
        ApiFormat::Messages,
    ];

    /// The format of requests to a path; `None` for paths that are not a model's. A query string
    /// does not count, and whatever stands before the API's own path may be a gateway's.
    pub fn of_path(path: &[u8]) -> Option<Self> {
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        // Not every `/messages` is Anthropic's: threads of OpenAI assistants have them too.
        [
            (&b"/chat/completions"[..], ApiFormat::ChatCompletions),
            (b"/completions", ApiFormat::Completions),
            (b"/responses", ApiFormat::Responses),
            (b"/v1/messages", ApiFormat::Messages),
        ]
        .into_iter()
        .find(|(end, _)| path.ends_with(end))
        .map(|(_, format)| format)
    }

    /// The name in `pointsman explain`.
    pub fn name(self) -> &'static str {
        match self {
            ApiFormat::ChatCompletions => "chat-completions",
            ApiFormat::Completions => "completions",
            ApiFormat::Responses => "responses",
            ApiFormat::Messages => "messages",
        }
    }
}

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Role {
    /// `system` or `developer`: instructions of the application.
    System,
    /// The person, or the program, that asks. Unknown roles count as this one.
    #[default]
    User,
    /// An earlier answer of the model.
    Assistant,
    /// The result of a tool call (`tool`, `function`).
    Tool,
}

/// One message of the conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn<'a> {
    pub role: Role,
    /// The text parts, joined by a line feed.
    pub text: Cow<'a, str>,
    /// Images (`image_url`, `input_image`, …) in this turn.
    pub images: u32,
    /// Tool calls the assistant made in this turn.
    pub tool_calls: u32,
}

/// The shape of the answer that the request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    #[default]
    Text,
    JsonObject,
    JsonSchema,
}

/// What a request says in addition to its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters<'a> {
    pub model: Option<Cow<'a, str>>,
    /// `max_completion_tokens`, `max_output_tokens` or `max_tokens`.
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub stream: bool,
    pub response_format: ResponseFormat,
    /// Functions the model may call.
    pub tools: u32,
    /// Bytes of JSON that describe the tools.
    pub tools_bytes: usize,
    /// Who asks: `user`, or Anthropic's `metadata.user_id`.
    pub user: Option<Cow<'a, str>>,
}

/// What the router keeps of a request body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt<'a> {
    pub turns: Vec<Turn<'a>>,
    pub parameters: Parameters<'a>,
    /// The body was longer than what was read.
    pub truncated: bool,
    /// Bytes of user turns that were envelopes and are in no turn's text.
    pub envelope_bytes: usize,
}

/// Why a body is not a prompt. Each is a reason of the decision that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("it is empty")]
    EmptyBody,
    #[error("it is not valid JSON")]
    MalformedJson,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("it nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// JSON, but without a message that could be read.
    #[error("no text could be read from it")]
    NoPrompt,
}

impl<'a> Prompt<'a> {
    /// A prompt of one user turn: what a plain-text dataset row stands for.
    pub fn from_text(text: &'a str) -> Self {
        let turns = vec![Turn { text: Cow::Borrowed(text), ..Turn::default() }];
        let mut prompt = Prompt { turns, ..Prompt::default() };
        prompt.unwrap_turns(&Envelopes::default());
        prompt
    }

    /// Rough size of the prompt in tokens: four bytes of text or tool description each.
    pub fn tokens_estimate(&self) -> usize {
        let text: usize = self.turns.iter().map(|turn| turn.text.len()).sum();
        (text + self.envelope_bytes + self.parameters.tools_bytes).div_ceil(4)
    }

    /// Whether the model is in the middle of a task with tools: the last turn that
    /// says something is a tool's result.
    pub fn in_tool_loop(&self) -> bool {
        let blank = |turn: &&Turn| turn.role != Role::Tool && turn.text.trim_ascii().is_empty();
        let last = self.turns.iter().rev().find(|turn| !blank(turn) || turn.images > 0);
        last.is_some_and(|turn| turn.role == Role::Tool)
    }

    /// Takes the envelopes out of the user turns.
    fn unwrap_turns(&mut self, envelopes: &Envelopes) {
        for turn in self.turns.iter_mut().filter(|turn| turn.role == Role::User) {
            let before = turn.text.len();
            envelopes.strip(&mut turn.text);
            self.envelope_bytes += before - turn.text.len();
        }
    }

    /// Parses a request body, with the default envelopes left out of the text.
    ///
    /// `truncated` says that `body` is only the beginning: what was read up to the cut counts.
    /// The body is borrowed mutably because a cut one is completed in place.
    ///
    /// # Errors
    ///
    /// See [`PromptError`]; nothing here panics or recurses deeper than [`MAX_DEPTH`].
    pub fn parse(
        format: ApiFormat,
        body: &'a mut Vec<u8>,
        truncated: bool,
    ) -> Result<Self, PromptError> {
        Self::parse_with(format, body, truncated, &Envelopes::default())
    }

    /// As [`Prompt::parse`], with envelopes of one's own.
    ///
    /// # Errors
    ///
    /// As [`Prompt::parse`].
    pub fn parse_with(
        format: ApiFormat,
        body: &'a mut Vec<u8>,
        truncated: bool,
        envelopes: &Envelopes,
    ) -> Result<Self, PromptError> {
        if body.trim_ascii().is_empty() {
            return Err(PromptError::EmptyBody);
        }
        json::prepare(body, truncated)?;
        let mut prompt = Prompt { truncated, ..Prompt::default() };
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let json = &mut deserializer;
        match format {
            ApiFormat::ChatCompletions => Body::of(chat::Chat, &mut prompt).deserialize(json),
            ApiFormat::Completions => {
                Body::of(completions::Completions, &mut prompt).deserialize(json)
            }
            ApiFormat::Responses => Body::of(responses::Responses, &mut prompt).deserialize(json),
            ApiFormat::Messages => {
                Body::of(messages::AnthropicMessages, &mut prompt).deserialize(json)
            }
        }
        .and_then(|()| deserializer.end())
        .map_err(|error| match error.classify() {
            Category::Data => PromptError::NoPrompt,
            Category::Io | Category::Syntax | Category::Eof => PromptError::MalformedJson,
        })?;
        let said_something = |turn: &Turn| turn.images > 0 || !turn.text.trim_ascii().is_empty();
        if !prompt.turns.iter().any(said_something) {
            return Err(PromptError::NoPrompt);
        }
        prompt.unwrap_turns(envelopes);
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests;
