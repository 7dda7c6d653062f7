//! Spans of OpenTelemetry's GenAI conventions, and of two that came before.

use serde_json::{Map, Value, json};

use super::record::RecordError;

/// Whether a row is the span of a model call.
pub fn is_span(row: &Value) -> bool {
    let ours = |name: &str| name.starts_with("gen_ai.") || name.starts_with("llm.input_messages");
    match row.get("attributes") {
        Some(Value::Object(attributes)) => attributes.keys().any(|name| ours(name)),
        Some(Value::Array(attributes)) => attributes
            .iter()
            .any(|attribute| attribute.get("key").and_then(Value::as_str).is_some_and(ours)),
        _ => false,
    }
}

/// Makes `{request, response}` of a span.
///
/// # Errors
/// The span does not hold the messages.
pub fn prepare(row: &mut Value) -> Result<(), RecordError> {
    let missing = |what: &str| RecordError::Missing(what.into());
    if row.get("resourceSpans").is_some() {
        return Err(missing(
            "an OTLP envelope of many spans; give one span per line (jq -c '.resourceSpans[].scopeSpans[].spans[]')",
        ));
    }
    let attributes = attributes(row).ok_or_else(|| missing("the span has no attributes"))?;
    let json_at = |name: &str| match attributes.get(name)? {
        Value::String(text) => {
            serde_json::from_str(text).ok().or_else(|| Some(text.as_str().into()))
        }
        value => Some(value.clone()),
    };
    let input = json_at("gen_ai.input.messages")
        .or_else(|| numbered(&attributes, "gen_ai.prompt.", ""))
        .or_else(|| numbered(&attributes, "llm.input_messages.", "message."))
        .or_else(|| json_at("gen_ai.prompt"));
    let output = json_at("gen_ai.output.messages")
        .or_else(|| numbered(&attributes, "gen_ai.completion.", ""))
        .or_else(|| numbered(&attributes, "llm.output_messages.", "message."))
        .or_else(|| json_at("gen_ai.completion"));
    let input = input.ok_or_else(|| missing("the span has no gen_ai.input.messages"))?;
    let output = output.ok_or_else(|| missing("the span has no gen_ai.output.messages"))?;
    let mut messages = match input {
        Value::Array(messages) => messages,
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        other => vec![other],
    };
    match json_at("gen_ai.system_instructions") {
        Some(Value::Array(parts)) => messages.insert(0, json!({"role": "system", "parts": parts})),
        Some(Value::String(text)) => messages.insert(0, json!({"role": "system", "content": text})),
        _ => {}
    }
    let mut request = Map::from_iter([("messages".to_owned(), Value::from(messages))]);
    for (name, field) in [
        ("gen_ai.request.temperature", "temperature"),
        ("gen_ai.request.top_p", "top_p"),
        ("gen_ai.request.max_tokens", "max_tokens"),
        ("gen_ai.request.stop_sequences", "stop"),
        ("gen_ai.request.seed", "seed"),
        ("gen_ai.request.presence_penalty", "presence_penalty"),
        ("gen_ai.request.frequency_penalty", "frequency_penalty"),
    ] {
        if let Some(value) = attributes.get(name) {
            request.insert(field.into(), value.clone());
        }
    }
    if let Some(Value::Array(tools)) = json_at("gen_ai.tool.definitions") {
        let tools = tools.into_iter().map(|tool| match tool.get("function") {
            Some(_) => tool,
            None => {
                let mut function = tool.as_object().cloned().unwrap_or_default();
                function.remove("type");
                json!({"type": "function", "function": function})
            }
        });
        request.insert("tools".into(), tools.collect());
    }
    row["request"] = request.into();
    row["response"] = output;
    Ok(())
}

/// The attributes by name: an object, or OTLP's list of keys and typed values.
fn attributes(row: &Value) -> Option<Map<String, Value>> {
    match row.get("attributes")? {
        Value::Object(attributes) => Some(attributes.clone()),
        Value::Array(list) => list
            .iter()
            .map(|attribute| {
                let key = attribute.get("key")?.as_str()?.to_owned();
                Some((key, typed(attribute.get("value")?)))
            })
            .collect(),
        _ => None,
    }
}

/// `{"stringValue": "…"}`, `{"arrayValue": {"values": […]}}`, …
fn typed(value: &Value) -> Value {
    let Some((kind, inside)) = value.as_object().and_then(|fields| fields.iter().next()) else {
        return value.clone();
    };
    match (kind.as_str(), inside) {
        ("intValue", Value::String(text)) => {
            text.parse::<i64>().map_or_else(|_| inside.clone(), Value::from)
        }
        ("arrayValue", _) => {
            let values = inside.get("values").and_then(Value::as_array).into_iter().flatten();
            values.map(typed).collect()
        }
        ("kvlistValue", _) => {
            let values = inside.get("values").and_then(Value::as_array).into_iter().flatten();
            let fields = values.filter_map(|it| {
                Some((it.get("key")?.as_str()?.to_owned(), typed(it.get("value")?)))
            });
            Value::Object(fields.collect())
        }
        _ => inside.clone(),
    }
}

/// `gen_ai.prompt.0.role`, `gen_ai.prompt.0.content`, …
fn numbered(attributes: &Map<String, Value>, prefix: &str, middle: &str) -> Option<Value> {
    let messages: Vec<Value> = (0..)
        .map_while(|index| {
            let field = |name: &str| attributes.get(&format!("{prefix}{index}.{middle}{name}"));
            let content = field("content")?;
            let role = field("role").cloned().unwrap_or_else(|| "assistant".into());
            Some(json!({"role": role, "content": content}))
        })
        .collect();
    (!messages.is_empty()).then(|| messages.into())
}
