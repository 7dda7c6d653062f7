//! What a model answered, whatever API the response came through.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::{chat_message, from_base64};
use super::{stream, thinking};
use pointsman_core::target::Usage;

/// A model's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped: `stop`, `length`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One function call of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub name: String,
    /// The arguments as the model wrote them: JSON, or what it took for JSON. Of a custom tool, whose
    /// input is free text, a JSON string.
    pub arguments: String,
}

impl ModelAnswer {
    /// A plain text answer.
    pub fn from_text(text: impl Into<String>) -> Self {
        ModelAnswer { text: text.into(), ..ModelAnswer::default() }
    }

    /// Reads a response body: chat completions, completions, responses or Anthropic messages; the
    /// wrapper of an OpenAI Batch output; a recorded event stream; JSON inside a string; plain text.
    ///
    /// # Errors
    /// Says what is missing, or that the response reports an error.
    pub fn from_response(response: &Value) -> Result<Self, &'static str> {
        match response {
            Value::String(text) => Self::from_recorded_text(text),
            Value::Array(events) if stream::is_chunk(events.first()) => stream::join(events),
            Value::Array(messages) => Self::from_messages(messages),
            Value::Object(object) => {
                if let Some(body) = object.get("body") {
                    let status =
                        ["status_code", "status"].iter().find_map(|it| object.get(*it)?.as_u64());
                    return if status.unwrap_or(200) < 400 {
                        Self::from_response(body)
                    } else {
                        Err("the response is an error")
                    };
                }
                Self::from_object(response)
            }
            Value::Null => Err("the response is null"),
            _ => Err("the response is neither an object nor text"),
        }
    }

    /// Neither text nor a tool call; what a model thought is no answer.
    pub fn is_empty(&self) -> bool {
        self.conclusion().trim().is_empty() && self.tool_calls.is_empty()
    }

    /// The text without what a reasoning model thought.
    pub fn conclusion(&self) -> &str {
        thinking::conclusion(&self.text)
    }

    /// The answer without its thinking.
    pub fn without_thinking(&self) -> Cow<'_, ModelAnswer> {
        let text = self.conclusion();
        match text.len() == self.text.len() {
            true => Cow::Borrowed(self),
            false => Cow::Owned(ModelAnswer { text: text.to_owned(), ..self.clone() }),
        }
    }

    /// The model was cut off by its token limit.
    pub fn is_truncated(&self) -> bool {
        matches!(self.finish.as_deref(), Some("length" | "max_tokens" | "incomplete"))
    }

    fn from_recorded_text(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let start = text.trim_start();
        if stream::is_stream(start) {
            return stream::read(text);
        }
        if is_error_page(start) {
            return Err("the response is an error page of a proxy");
        }
        // Taps write bodies in base64.
        if let Some(decoded) = from_base64(start).and_then(|bytes| String::from_utf8(bytes).ok())
            && (decoded.trim_start().starts_with('{') || stream::is_stream(decoded.trim_start()))
        {
            return Self::from_recorded_text(&decoded);
        }
        if start.starts_with('[')
            && let Ok(messages @ Value::Array(_)) = serde_json::from_str::<Value>(text)
            && let Ok(answer) = Self::from_response(&messages)
        {
            return Ok(answer);
        }
        if start.starts_with('{')
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            match Self::from_response(&value) {
                Ok(answer) => return Ok(answer),
                // The text of an answer that is JSON, but no response.
                Err(why) if value.pointer("/error/message").is_some() => return Err(why),
                Err(_) => {}
            }
        }
        Ok(Self::from_text(text))
    }

    fn from_object(response: &Value) -> Result<Self, &'static str> {
        let mut answer = ModelAnswer { usage: usage(response), ..ModelAnswer::default() };
        if let Some(choices) = response.get("choices").and_then(Value::as_array) {
            let choice = choices.first().ok_or("the response has no choices")?;
            answer.finish = choice.get("finish_reason").and_then(Value::as_str).map(String::from);
            match choice.get("message") {
                Some(message) => answer.read_message(message),
                None => match choice.get("text").and_then(Value::as_str) {
                    Some(text) => answer.text = text.into(),
                    None => return Err("the response's first choice has no message"),
                },
            }
            return Ok(answer);
        }
        if is_error(response) {
            return Err("the response is an error");
        }
        if let Some(result) = response.get("type").and_then(Value::as_str)
            && response.get("message").is_none()
            && matches!(result, "errored" | "canceled" | "expired")
        {
            return Err("the call of the batch did not succeed");
        }
        if response.get("parts").is_some() || response.get("kwargs").is_some() {
            return Self::from_messages(std::slice::from_ref(response));
        }
        if let Some(items) = response.get("output").and_then(Value::as_array) {
            answer.finish = response.get("status").and_then(Value::as_str).map(String::from);
            for item in items {
                match item.get("type").and_then(Value::as_str) {
                    Some("function_call" | "custom_tool_call") => answer.read_call(item),
                    // What the model thought is no part of its answer.
                    Some("reasoning") => {}
                    _ => answer.read_message(item),
                }
            }
            return Ok(answer);
        }
        let message = response.get("message").filter(|m| m.is_object()).unwrap_or(response);
        if message.get("content").is_some() || message.get("tool_calls").is_some() {
            answer.finish = response.get("stop_reason").and_then(Value::as_str).map(String::from);
            answer.read_message(message);
            return Ok(answer);
        }
        Err("the response has no choices, output or content")
    }

    /// The messages of an answer, as frameworks and traces keep them.
    fn from_messages(messages: &[Value]) -> Result<Self, &'static str> {
        let mut answer = ModelAnswer::default();
        let last = messages
            .iter()
            .rposition(|message| message.get("role").is_some_and(|role| role == "user"));
        let said = &messages[last.map_or(0, |at| at + 1)..];
        if said.is_empty() {
            return Err("the response has no message");
        }
        for message in said {
            let finish = message.get("finish_reason").and_then(Value::as_str).map(String::from);
            answer.finish = finish.or(answer.finish);
            match chat_message(message) {
                Ok(message) => answer.read_message(&message),
                Err(_) => return Err("the response is not a list of messages"),
            }
        }
        Ok(answer)
    }

    fn read_message(&mut self, message: &Value) {
        match message.get("content") {
            Some(Value::String(text)) => self.text.push_str(text),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.read_part(part)),
            _ => {}
        }
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.read_call(call.get("function").or(call.get("custom")).unwrap_or(call));
        }
        if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
            self.read_call(call);
        }
    }

    pub(super) fn read_part(&mut self, part: &Value) {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "tool_use" {
            self.tool_calls.push(ToolCall {
                name: text_at(part, "name"),
                arguments: argument_text(part.get("input")),
            });
        } else if kind.contains("reasoning") || kind.contains("thinking") {
            // Thought, and not said.
        } else if let Some(text) = part.as_str().or_else(|| part.get("text")?.as_str()) {
            self.text.push_str(text);
        }
    }

    fn read_call(&mut self, function: &Value) {
        let custom = function.get("arguments").is_none().then(|| function.get("input")).flatten();
        self.tool_calls.push(ToolCall {
            name: text_at(function, "name"),
            arguments: match custom {
                // Free text as a JSON string, which no function's arguments are.
                Some(input) => input.to_string(),
                None => argument_text(function.get("arguments")),
            },
        });
    }
}

/// An HTML page whose title is a status: "502 Bad Gateway".
fn is_error_page(start: &str) -> bool {
    static TITLE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?is)^(?:<!doctype html[^>]*>\s*)?<html\b.{0,400}?<(?:title|h1)>\s*(?:error )?[45]\d\d\b")
            .expect("a constant pattern, compiled by the tests")
    });
    TITLE.is_match(start)
}

fn is_error(response: &Value) -> bool {
    response.get("error").is_some_and(|error| !error.is_null())
        && response.get("choices").is_none()
        && response.get("output").is_none_or(|output| !output.is_array())
        || response.get("type").is_some_and(|kind| kind == "error")
}

pub(super) fn text_at(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn argument_text(arguments: Option<&Value>) -> String {
    match arguments {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::from("{}"),
    }
}

pub(super) fn usage(response: &Value) -> Option<Usage> {
    let usage = response.get("usage")?;
    let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let input = count(["prompt_tokens", "input_tokens"]);
    let output = count(["completion_tokens", "output_tokens"]);
    input.or(output)?;
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(response: Value) -> String {
        ModelAnswer::from_response(&response).expect("readable").text
    }

    #[test]
    fn every_response_format_yields_its_text() {
        for response in [
            json!({"choices": [{"message": {"content": "yes"}}]}),
            json!({"choices": [{"message": {"content": [{"type": "text", "text": "yes"}]}}]}),
            json!({"choices": [{"text": "yes"}]}),
            json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}]}),
            json!({"type": "message", "content": [{"type": "text", "text": "yes"}]}),
            json!({"role": "assistant", "content": "yes"}),
            json!({"status_code": 200, "body": {"choices": [{"message": {"content": "yes"}}]}}),
            json!("yes"),
            json!("{\"choices\":[{\"message\":{\"content\":\"yes\"}}]}"),
            json!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"ye\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"s\"}}]}\n\ndata: [DONE]\n"
            ),
        ] {
            assert_eq!(text(response.clone()), "yes", "{response}");
        }
    }

    #[test]
    fn a_streamed_tool_call_is_joined() {
        let stream = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n";
        let answer = ModelAnswer::from_response(&json!(stream)).expect("readable");
        assert_eq!(
            answer.tool_calls,
            [ToolCall { name: "f".into(), arguments: "{\"a\":1}".into() }]
        );
    }

    #[test]
    fn error_responses_are_no_answers() {
        for response in [
            json!({"error": {"message": "overloaded"}}),
            json!({"status_code": 500, "body": {}}),
            json!({"choices": []}),
            json!(null),
            json!(7),
        ] {
            assert!(ModelAnswer::from_response(&response).is_err(), "{response}");
        }
    }
}
