//! The format of a body whose path nobody wrote down.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::ApiFormat;

/// What distinguishes the formats; all other fields are common, or say nothing about the text.
#[derive(Default, Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    input: Option<IgnoredAny>,
    prompt: Option<IgnoredAny>,
    // Anthropic's own: OpenAI has the system prompt among the messages, and `stop`.
    system: Option<IgnoredAny>,
    stop_sequences: Option<IgnoredAny>,
    anthropic_version: Option<IgnoredAny>,
    thinking: Option<IgnoredAny>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    user_id: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Tool {
    input_schema: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    source: Option<IgnoredAny>,
}

impl ApiFormat {
    /// The format of a request body, by its shape: for logs that do not say where requests went.
    ///
    /// `messages` without anything that only Anthropic has are a chat completion: both formats read
    /// the same from them. So is what is not a body at all.
    pub fn of_body(body: &str) -> Self {
        let shape: Shape = serde_json::from_str(body).unwrap_or_default();
        match shape.messages {
            Some(messages) if shape.is_anthropic() || has_anthropic_parts(messages) => {
                ApiFormat::Messages
            }
            Some(_) => ApiFormat::ChatCompletions,
            None if shape.input.is_some() => ApiFormat::Responses,
            None if shape.prompt.is_some() => ApiFormat::Completions,
            None => ApiFormat::ChatCompletions,
        }
    }
}

impl Shape<'_> {
    fn is_anthropic(&self) -> bool {
        let own = [&self.system, &self.stop_sequences, &self.anthropic_version, &self.thinking];
        let user = self.metadata.and_then(|raw| serde_json::from_str::<Metadata>(raw.get()).ok());
        let tools = self.tools.and_then(|raw| serde_json::from_str::<Vec<Tool>>(raw.get()).ok());
        own.iter().any(|field| field.is_some())
            || user.is_some_and(|metadata| metadata.user_id.is_some())
            || tools.is_some_and(|tools| tools.iter().any(|tool| tool.input_schema.is_some()))
    }
}

/// Whether a message has a part of a type that only Anthropic's messages have.
fn has_anthropic_parts(messages: &RawValue) -> bool {
    let messages: Vec<Message> = serde_json::from_str(messages.get()).unwrap_or_default();
    messages.iter().filter_map(|message| message.content).any(|content| {
        let parts: Vec<Part> = serde_json::from_str(content.get()).unwrap_or_default();
        parts.iter().any(|part| match &*part.r#type {
            "tool_use" | "tool_result" | "thinking" | "redacted_thinking" => true,
            "image" | "document" => part.source.is_some(),
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_format_is_told_by_what_only_it_has() {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let parts = |part| json!({"messages": [{"role": "user", "content": [part]}]});
        for (body, format) in [
            (json!({"messages": messages}), ApiFormat::ChatCompletions),
            (
                json!({"messages": messages, "max_tokens": 5, "user": "u"}),
                ApiFormat::ChatCompletions,
            ),
            (parts(json!({"type": "text", "text": "hi"})), ApiFormat::ChatCompletions),
            (
                parts(json!({"type": "image_url", "image_url": {"url": "data:,"}})),
                ApiFormat::ChatCompletions,
            ),
            (
                json!({"messages": messages, "tools": [{"type": "function", "function": {}}]}),
                ApiFormat::ChatCompletions,
            ),
            (json!({"input": "hi", "instructions": "Be brief."}), ApiFormat::Responses),
            (json!({"input": [{"role": "user", "content": "hi"}]}), ApiFormat::Responses),
            (json!({"prompt": "hi"}), ApiFormat::Completions),
            (json!({"prompt": ["hi", "ho"]}), ApiFormat::Completions),
            (json!({"messages": messages, "system": "Be brief."}), ApiFormat::Messages),
            (json!({"messages": messages, "stop_sequences": ["x"]}), ApiFormat::Messages),
            (json!({"messages": messages, "anthropic_version": "v"}), ApiFormat::Messages),
            (json!({"messages": messages, "metadata": {"user_id": "u"}}), ApiFormat::Messages),
            (
                json!({"messages": messages, "tools": [{"name": "f", "input_schema": {}}]}),
                ApiFormat::Messages,
            ),
            (
                parts(json!({"type": "tool_result", "tool_use_id": "t", "content": "4"})),
                ApiFormat::Messages,
            ),
            (parts(json!({"type": "image", "source": {"type": "url"}})), ApiFormat::Messages),
            (json!([]), ApiFormat::ChatCompletions),
        ] {
            assert_eq!(ApiFormat::of_body(&body.to_string()), format, "{body}");
        }
    }
}
