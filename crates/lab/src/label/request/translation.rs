//! A chat body as it is put together from another API's request.

use serde_json::{Map, Value, json};

/// Fields that say how the recorded call was served, not what was asked. They are left out.
const SERVING: [&str; 21] = [
    "model",
    "stream",
    "stream_options",
    "user",
    "metadata",
    "store",
    "service_tier",
    "include",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_control",
    "background",
    "inference_geo",
    "anthropic_version",
    "anthropic_beta",
    "truncation",
    "speed",
    // How long the strong model was to think is a setting of that model.
    "thinking",
    "reasoning",
    "betas",
];

/// The fields of a chat body, and the fields of the request that are accounted for.
pub struct Translation<'a> {
    request: &'a Map<String, Value>,
    chat: Map<String, Value>,
    pub messages: Vec<Value>,
    read: Vec<&'static str>,
}

impl<'a> Translation<'a> {
    pub fn new(request: &'a Map<String, Value>) -> Self {
        let read = SERVING.to_vec();
        Translation { request, chat: Map::new(), messages: Vec::new(), read }
    }

    /// A field that is about to be translated; null counts as missing.
    pub fn take(&mut self, field: &'static str) -> Option<&'a Value> {
        self.read.push(field);
        self.request.get(field).filter(|value| !value.is_null())
    }

    /// Copies a field under its name in a chat body.
    pub fn copy(&mut self, field: &'static str, name: &str) {
        if let Some(value) = self.take(field) {
            self.set(name, value.clone());
        }
    }

    pub fn set(&mut self, name: &str, value: Value) {
        self.chat.insert(name.into(), value);
    }

    pub fn say(&mut self, role: &str, content: Value) {
        self.messages.push(json!({"role": role, "content": content}));
    }

    /// A call of the assistant; several in a row belong to one message.
    pub fn call(&mut self, id: &str, name: &str, arguments: String) {
        let call = json!({"id": id, "type": "function",
            "function": {"name": name, "arguments": arguments}});
        match self.messages.last_mut().and_then(Value::as_object_mut) {
            Some(last) if last.get("role").is_some_and(|role| role == "assistant") => {
                let calls = last.entry("tool_calls").or_insert_with(|| json!([]));
                if let Some(calls) = calls.as_array_mut() {
                    calls.push(call);
                }
            }
            _ => self
                .messages
                .push(json!({"role": "assistant", "content": null, "tool_calls": [call]})),
        }
    }

    pub fn call_result(&mut self, id: &str, content: Value) {
        self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }

    /// The chat body.
    ///
    /// # Errors
    /// A field of the request was not accounted for.
    pub fn finish(mut self) -> Result<Value, String> {
        let unread = self
            .request
            .iter()
            .find(|(field, value)| !value.is_null() && !self.read.iter().any(|read| read == field));
        if let Some((field, _)) = unread {
            return Err(no_equivalent(field));
        }
        if self.messages.is_empty() {
            return Err("it has no messages".into());
        }
        self.chat.insert("messages".into(), self.messages.into());
        Ok(self.chat.into())
    }
}

/// What is said of a field or part that a chat body cannot hold.
pub fn no_equivalent(what: &str) -> String {
    format!("`{what}` has no equivalent in the chat API")
}

/// A function of a chat body.
pub fn function(tool: &Value, schema: &str) -> Value {
    let mut function = Map::new();
    for (field, name) in [
        ("name", "name"),
        ("description", "description"),
        (schema, "parameters"),
        ("strict", "strict"),
    ] {
        if let Some(value) = tool.get(field).filter(|value| !value.is_null()) {
            function.insert(name.into(), value.clone());
        }
    }
    json!({"type": "function", "function": function})
}

/// One text alone is plain text; several parts stay parts.
pub fn content(mut parts: Vec<Value>) -> Value {
    match &mut parts[..] {
        [only] if only.get("type").is_some_and(|kind| kind == "text") => {
            only.get_mut("text").map(Value::take).unwrap_or_default()
        }
        _ => parts.into(),
    }
}

pub fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

pub fn image_part(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// The text of a field; empty without it.
pub fn str_at<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list of parts; anything else among them has no equivalent.
///
/// # Errors
/// Names the part.
pub fn only_texts(parts: &[Value], within: &str) -> Result<String, String> {
    let texts: Result<Vec<&str>, String> = parts
        .iter()
        .map(|part| match part.get("text").and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => Err(no_equivalent(&format!("{} in a {within}", str_at(part, "type")))),
        })
        .collect();
    Ok(texts?.join("\n"))
}
