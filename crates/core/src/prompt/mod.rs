//! Bytes to [`Prompt`]: what the router keeps of a request body.
//!
//! One file an API format; all fill the same [`Prompt`]. Text is borrowed from the body unless
//! JSON escapes force a copy.

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::error::Category;

mod agents;
mod body;
mod chat;
mod completions;
mod envelope;
mod extras;
mod fields;
pub(crate) mod json;
mod message;
mod messages;
mod parts;
mod responses;
mod shape;
mod tokens;

pub use crate::api::ApiFormat;
use crate::target::{Need, Needs};
pub use agents::{AGENTS, Agent};
use body::Body;
pub use envelope::Envelopes;
use extras::Extras;

/// The longest prefix of a request body that is read to decide on it, in bytes.
///
/// The filter's `body.max_bytes` defaults to it and training data is cut at it, so a model never
/// sees in training what the filter would not see in traffic.
pub const MAX_BODY_BYTES: usize = 512 * 1024;

/// The longest request body that is read as a whole, in bytes: as much as an Envoy holds back
/// unless it is told otherwise. The filter's `body.hold_bytes` defaults to it.
pub const MAX_WHOLE_BODY_BYTES: usize = 1024 * 1024;

/// How deeply a body's arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;

/// Turns that are kept. A body may hold a hundred thousand empty messages, each of which would
/// cost twenty times its bytes.
pub const MAX_TURNS: usize = 4096;

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
    /// The API it was sent to, where that is known.
    pub api: Option<ApiFormat>,
    /// Bytes of the body that were not read, as far as anybody has said.
    pub unread_bytes: usize,
    pub(crate) extras: Extras<'a>,
    /// All of the JSON, or the text, that this was read from.
    pub(crate) body: &'a [u8],
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
        let mut prompt = Prompt { turns, body: text.as_bytes(), ..Prompt::default() };
        prompt.unwrap_turns(Envelopes::known());
        prompt
    }

    /// Rough size of the prompt in tokens: four bytes each of text, of tool descriptions, of what
    /// tools were called with and gave back, and of what was not read.
    pub fn tokens_estimate(&self) -> usize {
        let text: usize = self.turns.iter().map(|turn| turn.text.len()).sum();
        let kept = text + self.envelope_bytes + self.parameters.tools_bytes;
        (kept + self.extras.bytes).saturating_add(self.unread_bytes).div_ceil(4)
    }

    /// More tokens than it has: no token is shorter than a byte. For the price of an addition.
    pub(crate) fn tokens_below(&self) -> u64 {
        let read = self.body.len().saturating_add(self.extras.payload_tokens);
        read.saturating_add(self.unread_bytes) as u64
    }

    /// As many tokens as it has at most, by the kinds of its characters. What was not read is taken
    /// to be like what was.
    pub fn tokens_at_most(&self) -> u64 {
        let read = tokens::at_most(self.body, &self.extras.payloads);
        let payload: usize = self.extras.payloads.iter().map(|payload| payload.len()).sum();
        let bytes = self.body.len().saturating_sub(payload).max(1) as u64;
        let unread = self.unread_bytes as u64;
        let unread = unread.saturating_mul(read).div_ceil(bytes).max(unread.div_ceil(4));
        read.saturating_add(unread).saturating_add(self.extras.payload_tokens as u64)
    }

    /// What it asks of a target, as far as it was read.
    pub fn needs(&self) -> Needs {
        let mut needs = self.extras.needs;
        if self.turns.iter().any(|turn| turn.images > 0) {
            needs.insert(Need::Images);
        }
        if self.parameters.tools > 0 || self.turns.iter().any(|turn| turn.tool_calls > 0) {
            needs.insert(Need::Tools);
        }
        needs
    }

    /// Whether the model is in the middle of a task with tools: the last turn that says something
    /// is a tool's result. Instructions are no turn of anybody, wherever they stand.
    pub fn in_tool_loop(&self) -> bool {
        let speaks = |turn: &&Turn| match turn.role {
            Role::System => false,
            Role::Tool => true,
            Role::User | Role::Assistant => turn.images > 0 || !turn.text.trim_ascii().is_empty(),
        };
        self.turns.iter().rev().find(speaks).is_some_and(|turn| turn.role == Role::Tool)
    }

    /// Whether an agent asks this for itself: a title, a summary of the session.
    pub fn is_housekeeping(&self) -> bool {
        let mut system = self.turns.iter().filter(|turn| turn.role == Role::System);
        system.any(|turn| agents::is_housekeeping(&turn.text))
    }

    /// Takes the envelopes out of the user turns. A turn that was nothing else is not a person's.
    fn unwrap_turns(&mut self, envelopes: &Envelopes) {
        let envelope_bytes = &mut self.envelope_bytes;
        self.turns.retain_mut(|turn| {
            if turn.role != Role::User {
                return true;
            }
            let before = turn.text.len();
            envelopes.strip(&mut turn.text);
            let stripped = before - turn.text.len();
            *envelope_bytes += stripped;
            stripped == 0 || turn.images > 0 || !turn.text.trim_ascii().is_empty()
        });
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
        Self::parse_with(format, body, truncated, Envelopes::known())
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
        let body: &'a [u8] = body;
        let mut prompt = Prompt { truncated, api: Some(format), body, ..Prompt::default() };
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
        let media = [Need::Images, Need::Audio, Need::Files, Need::Video];
        let has_media = media.into_iter().any(|need| prompt.extras.needs.contains(need));
        if !has_media && !prompt.turns.iter().any(said_something) {
            return Err(PromptError::NoPrompt);
        }
        prompt.unwrap_turns(envelopes);
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests;
