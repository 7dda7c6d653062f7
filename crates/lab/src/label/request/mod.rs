//! What was asked: a recorded request, and the same as a chat completion.

mod completions;
mod format;
mod message;
mod messages;
mod responses;
mod translation;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

pub(super) use format::Format;
pub(super) use message::chat_message;

/// Shortest text that is taken for base64: no question is one long word.
const SHORTEST_BASE64: usize = 64;

/// A request, as it was recorded and as a chat completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    recorded: Value,
    chat: Value,
    format: Format,
    refusal: Option<String>,
}

impl Request {
    /// Takes a recorded request: a body of a known API, its JSON text (also in base64), a list of
    /// messages, or a prompt.
    ///
    /// # Errors
    /// Says why it is not one.
    pub fn from_recorded(recorded: Value) -> Result<Self, String> {
        Self::from_logged(recorded, None)
    }

    /// Takes a request that was sent to a path, which gives its format.
    ///
    /// # Errors
    /// Says why it is not one.
    pub fn from_logged(recorded: Value, path: Option<&str>) -> Result<Self, String> {
        let mut body = match recorded {
            Value::String(text) => {
                let text = decoded(text)?;
                match serde_json::from_str::<Value>(&text) {
                    Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                        return Self::from_logged(value, path);
                    }
                    _ => json!({"messages": [{"role": "user", "content": text}]}),
                }
            }
            Value::Array(messages) => json!({ "messages": messages }),
            Value::Object(_) => recorded,
            _ => return Err("the request is neither an object, a list of messages nor text".into()),
        };
        let format = Format::of(&body, path)?;
        if matches!(format, Format::Chat | Format::Messages) {
            check_messages(&mut body, format)?;
        }
        let fields = body.as_object().ok_or("the request is not an object")?;
        let translated = match format {
            Format::Chat => Ok(body.clone()),
            Format::Messages => messages::to_chat(fields),
            Format::Responses => responses::to_chat(fields),
            Format::Completions => completions::to_chat(fields),
        };
        let (chat, refusal) = match translated {
            Ok(chat) => (chat, None),
            Err(why) => (readable(&body), Some(format!("cannot be asked as a chat: {why}"))),
        };
        if refusal.is_none() && says_nothing(&chat) {
            return Err("the request's messages say nothing".into());
        }
        Ok(Request { recorded: body, chat, format, refusal })
    }

    /// The body as it was recorded.
    pub fn body(&self) -> &Value {
        &self.recorded
    }

    /// The path of the API that the body is for; `None` for a chat.
    pub fn path(&self) -> Option<&'static str> {
        self.format.path()
    }

    /// Why the request cannot be asked again as a chat completion.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// The body to send to another model: a chat, not streamed, one choice.
    pub fn for_model(&self, model: &str) -> Value {
        let mut body = self.chat.clone();
        if let Some(object) = body.as_object_mut() {
            for field in ["stream", "stream_options", "n", "user", "metadata", "store"] {
                object.remove(field);
            }
            object.insert("model".into(), model.into());
        }
        body
    }

    /// The text of the last user message.
    pub fn question(&self) -> String {
        self.messages()
            .rfind(|message| message.get("role").and_then(Value::as_str) == Some("user"))
            .map(message_text)
            .unwrap_or_default()
    }

    /// The text of all messages, in order.
    pub fn text(&self) -> String {
        let texts: Vec<String> = self.messages().map(message_text).collect();
        texts.join("\n")
    }

    /// The definitions of the functions that the model may call.
    pub fn functions(&self) -> impl Iterator<Item = &Value> {
        let list = |field| self.chat.get(field).and_then(Value::as_array).into_iter().flatten();
        list("tools").map(|tool| tool.get("function").unwrap_or(tool)).chain(list("functions"))
    }

    /// The request asks for a JSON answer.
    pub fn wants_json(&self) -> bool {
        let format = self.chat.pointer("/response_format/type").and_then(Value::as_str);
        matches!(format, Some("json_object" | "json_schema"))
    }

    /// The JSON schema that the answer must satisfy.
    pub fn schema(&self) -> Option<&Value> {
        self.chat.pointer("/response_format/json_schema/schema")
    }

    /// The token limit of the answer.
    pub fn max_tokens(&self) -> Option<u64> {
        ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|field| self.chat.get(field)?.as_u64())
    }

    fn messages(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.chat.get("messages").and_then(Value::as_array).into_iter().flatten()
    }
}

/// No message has a text that is not blank, a part that is no text, or a call.
fn says_nothing(chat: &Value) -> bool {
    let is_blank = |text: &Value| text.as_str().is_some_and(|text| text.trim().is_empty());
    let is_empty = |message: &Value| match message.get("content") {
        Some(Value::Array(parts)) => parts.iter().all(|part| match part.get("text") {
            Some(text) => is_blank(text),
            // A part without a type is nothing that an API knows.
            None => is_blank(part) || part.is_object() && part.get("type").is_none(),
        }),
        Some(text @ Value::String(_)) => is_blank(text),
        _ => ["tool_calls", "function_call"].iter().all(|field| message.get(*field).is_none()),
    };
    let messages = chat.get("messages").and_then(Value::as_array);
    messages.is_some_and(|messages| messages.iter().all(is_empty))
}

/// Every message of a chat has a role and says something.
fn check_messages(body: &mut Value, format: Format) -> Result<(), String> {
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let messages = messages.ok_or("the request has no messages")?;
    if messages.is_empty() {
        return Err("the request's messages are empty".into());
    }
    for (index, message) in messages.iter_mut().enumerate() {
        let checked = chat_message(message).map_err(|why| format!("messages[{index}] {why}"))?;
        if format == Format::Chat {
            *message = checked;
        }
    }
    Ok(())
}

/// What evaluators can read of a body that has no translation.
fn readable(body: &Value) -> Value {
    let messages = match body.get("messages").or(body.get("input")).or(body.get("prompt")) {
        Some(Value::Array(messages)) => {
            messages.iter().filter(|it| it.is_object()).cloned().collect()
        }
        Some(Value::String(text)) => json!([{"role": "user", "content": text}]),
        _ => json!([]),
    };
    json!({ "messages": messages })
}

/// The text behind base64, in which taps write bodies.
fn decoded(text: String) -> Result<String, String> {
    match from_base64(&text) {
        None => Ok(text),
        Some(bytes) => String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
            .ok_or_else(|| "the request is base64 of what is not text (a compressed body?)".into()),
    }
}

/// The bytes of a long text that is base64.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let is_sign = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    // `{"` in base64 begins no word.
    let shortest = if text.starts_with("eyJ") { 8 } else { SHORTEST_BASE64 };
    if text.len() < shortest || !text.len().is_multiple_of(4) || !text.bytes().all(is_sign) {
        return None;
    }
    BASE64_STANDARD.decode(text).ok()
}

fn message_text(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
