//! Messages of logs that write them in a way of their own, as chat messages.

use serde_json::{Map, Value, json};

use super::translation::{no_equivalent, str_at};

/// A chat message; those of chat APIs stay as they are, those of LangChain and OpenTelemetry are
/// rewritten.
///
/// # Errors
/// It has no role, or no content.
pub fn chat_message(message: &Value) -> Result<Value, String> {
    let Some(fields) = message.as_object() else { return Err("is not an object".into()) };
    if let Some(kwargs) = fields.get("kwargs").filter(|_| str_at(message, "type") == "constructor")
    {
        return langchain(kwargs, message.pointer("/id").and_then(Value::as_array));
    }
    if !fields.contains_key("role")
        && fields.get("type").is_some_and(|kind| role(kind.as_str().unwrap_or_default()).is_some())
    {
        let data = fields.get("data").filter(|data| data.is_object());
        let mut data = data.unwrap_or(message).clone();
        data["type"] = fields.get("type").cloned().unwrap_or_default();
        return langchain(&data, None);
    }
    let known = role(str_at(message, "role"));
    let Some(known) = known else {
        return Err(match fields.get("role") {
            Some(role) => format!("has an unknown role, {role}"),
            None => "has no role".into(),
        });
    };
    if let Some(parts) =
        fields.get("parts").and_then(Value::as_array).filter(|_| !fields.contains_key("content"))
    {
        return from_parts(known, parts);
    }
    let called = ["tool_calls", "function_call", "audio", "refusal"]
        .iter()
        .any(|field| fields.get(*field).is_some_and(|value| !value.is_null()));
    match fields.get("content") {
        Some(Value::String(_)) => {}
        Some(Value::Array(parts)) if !parts.is_empty() || called => {}
        _ if called => {}
        _ => return Err("has no content".into()),
    }
    let mut message = message.clone();
    if str_at(&message, "role") != known {
        message["role"] = known.into();
    }
    Ok(message)
}

/// The chat API's name of a role.
fn role(name: &str) -> Option<&'static str> {
    Some(match name {
        "user" | "human" => "user",
        "assistant" | "ai" | "AIMessageChunk" => "assistant",
        "system" => "system",
        "developer" => "developer",
        "tool" => "tool",
        "function" => "function",
        _ => return None,
    })
}

/// `{"lc": 1, "type": "constructor", "id": […, "HumanMessage"], "kwargs": {…}}`
fn langchain(kwargs: &Value, class: Option<&Vec<Value>>) -> Result<Value, String> {
    let class = class.and_then(|path| path.last()?.as_str()).unwrap_or_default();
    let class = class.trim_end_matches("Chunk").trim_end_matches("Message").to_lowercase();
    let role = role(str_at(kwargs, "type")).or_else(|| role(&class));
    let role = role.ok_or("has no role")?;
    let mut message = Map::from_iter([("role".to_owned(), Value::from(role))]);
    let content = kwargs.get("content").filter(|content| content.is_string() || content.is_array());
    let calls =
        kwargs.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty());
    if content.is_none() && calls.is_none() {
        return Err("has no content".into());
    }
    message.insert("content".into(), content.cloned().unwrap_or_default());
    if let Some(calls) = calls {
        let calls = calls.iter().map(|call| {
            let arguments = call.get("args").map_or_else(|| "{}".into(), Value::to_string);
            json!({"id": str_at(call, "id"), "type": "function",
                "function": {"name": str_at(call, "name"), "arguments": arguments}})
        });
        message.insert("tool_calls".into(), calls.collect());
    }
    if role == "tool" {
        message.insert("tool_call_id".into(), str_at(kwargs, "tool_call_id").into());
    }
    Ok(message.into())
}

/// `{"role": "user", "parts": [{"type": "text", "content": "…"}]}`
fn from_parts(role: &str, parts: &[Value]) -> Result<Value, String> {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        match str_at(part, "type") {
            "text" => texts.push(text(part.get("content").or(part.get("text")))),
            "tool_call" => calls.push(json!({"id": str_at(part, "id"), "type": "function",
                "function": {"name": str_at(part, "name"), "arguments": text(part.get("arguments"))}})),
            "tool_call_response" if parts.len() == 1 => {
                let result = part.get("response").or(part.get("result"));
                return Ok(json!({"role": "tool", "tool_call_id": str_at(part, "id"), "content": text(result)}));
            }
            "reasoning" => {}
            other => return Err(no_equivalent(&format!("a part of type {other}"))),
        }
    }
    if texts.is_empty() && calls.is_empty() {
        return Err("has no content".into());
    }
    let content = if texts.is_empty() { Value::Null } else { texts.join("\n").into() };
    let mut message = json!({"role": role, "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(message)
}
