//! What the evaluators need to know about a request body.

use serde_json::{Value, json};

/// A chat request body.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    body: Value,
}

impl Request {
    /// Takes a recorded request: a chat body, its JSON text, a list of messages, or a prompt.
    ///
    /// # Errors
    /// Says why it cannot be replayed.
    pub fn from_recorded(recorded: Value) -> Result<Self, &'static str> {
        let body = match recorded {
            Value::String(text) => match serde_json::from_str::<Value>(&text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                    return Self::from_recorded(value);
                }
                _ => json!({"messages": [{"role": "user", "content": text}]}),
            },
            Value::Array(messages) => json!({ "messages": messages }),
            Value::Object(_) => recorded,
            _ => return Err("the request is neither an object, a list of messages nor text"),
        };
        match body.get("messages").and_then(Value::as_array) {
            Some(messages) if !messages.is_empty() => Ok(Request { body }),
            Some(_) => Err("the request's messages are empty"),
            None if body.get("input").is_some() || body.get("prompt").is_some() => {
                Err("not a chat request; cannot be replayed")
            }
            None => Err("the request has no messages"),
        }
    }

    /// The body as it was recorded.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The body to send to another model: not streamed, one choice.
    pub fn for_model(&self, model: &str) -> Value {
        let mut body = self.body.clone();
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
        let list = |field| self.body.get(field).and_then(Value::as_array).into_iter().flatten();
        list("tools").map(|tool| tool.get("function").unwrap_or(tool)).chain(list("functions"))
    }

    /// The request asks for a JSON answer.
    pub fn wants_json(&self) -> bool {
        let format = self.body.pointer("/response_format/type").and_then(Value::as_str);
        matches!(format, Some("json_object" | "json_schema"))
    }

    /// The JSON schema that the answer must satisfy.
    pub fn schema(&self) -> Option<&Value> {
        self.body.pointer("/response_format/json_schema/schema")
    }

    /// The token limit of the answer.
    pub fn max_tokens(&self) -> Option<u64> {
        ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|field| self.body.get(field)?.as_u64())
    }

    fn messages(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.body.get("messages").and_then(Value::as_array).into_iter().flatten()
    }
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
mod tests {
    use super::*;

    #[test]
    fn messages_text_and_json_text_all_become_a_chat_body() {
        for recorded in [
            json!({"messages": [{"role": "user", "content": "hi"}]}),
            json!([{"role": "user", "content": "hi"}]),
            json!("hi"),
            json!("[{\"role\":\"user\",\"content\":\"hi\"}]"),
        ] {
            let request = Request::from_recorded(recorded.clone()).expect("readable");
            assert_eq!(request.question(), "hi", "{recorded}");
        }
        assert!(Request::from_recorded(json!({"model": "m"})).is_err());
        assert!(Request::from_recorded(json!({"messages": []})).is_err());
        let responses = Request::from_recorded(json!({"input": "hi"}));
        assert_eq!(responses.unwrap_err(), "not a chat request; cannot be replayed");
    }

    #[test]
    fn the_replayed_body_names_the_cheap_model_and_is_not_streamed() {
        let recorded = json!({"model": "strong", "stream": true, "temperature": 0.5,
            "messages": [{"role": "user", "content": "hi"}]});
        let request = Request::from_recorded(recorded).expect("readable");
        assert_eq!(
            request.for_model("cheap"),
            json!({"model": "cheap", "temperature": 0.5,
                "messages": [{"role": "user", "content": "hi"}]})
        );
    }
}
