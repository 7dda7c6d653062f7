//! Anthropic Messages → chat.

use serde_json::{Map, Value, json};

use super::translation::{
    Translation, content, function, image_part, no_equivalent, only_texts, str_at, text_part,
};

/// Translates a body.
///
/// # Errors
/// Names what the chat API has no equivalent for.
pub fn to_chat(request: &Map<String, Value>) -> Result<Value, String> {
    let mut chat = Translation::new(request);
    match chat.take("system") {
        Some(Value::Array(parts)) => {
            let texts = only_texts(parts, "system prompt")?;
            chat.say("system", texts.into());
        }
        Some(text) => chat.say("system", text.clone()),
        None => {}
    }
    for message in chat.take("messages").and_then(Value::as_array).into_iter().flatten() {
        match (str_at(message, "role"), message.get("content")) {
            ("assistant", Some(said)) => assistant(&mut chat, said)?,
            (role @ ("user" | "system"), Some(said)) => user(&mut chat, role, said)?,
            (role, _) => return Err(no_equivalent(&format!("a message of role {role:?}"))),
        }
    }
    if chat
        .messages
        .last()
        .is_some_and(|last| last["role"] == "assistant" && last.get("tool_calls").is_none())
    {
        return Err(
            "the beginning of the answer is given, which the chat API does not continue".into()
        );
    }
    for field in ["max_tokens", "temperature", "top_p"] {
        chat.copy(field, field);
    }
    chat.copy("stop_sequences", "stop");
    tools(&mut chat)?;
    if let Some(format) = chat.take("output_format") {
        set_format(&mut chat, format)?;
    }
    if let Some(config) = chat.take("output_config")
        && let Some(format) = config.get("format").filter(|format| !format.is_null())
    {
        set_format(&mut chat, format)?;
    }
    chat.finish()
}

fn tools(chat: &mut Translation) -> Result<(), String> {
    if let Some(tools) =
        chat.take("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty())
    {
        let functions: Result<Vec<Value>, String> = tools
            .iter()
            .map(|tool| match (str_at(tool, "type"), tool.get("input_schema")) {
                ("" | "custom", Some(_)) => Ok(function(tool, "input_schema")),
                (kind, _) => Err(no_equivalent(&format!("the tool {kind}"))),
            })
            .collect();
        chat.set("tools", functions?.into());
    }
    if let Some(choice) = chat.take("tool_choice") {
        let value = match str_at(choice, "type") {
            "auto" => json!("auto"),
            "any" => json!("required"),
            "none" => json!("none"),
            "tool" => json!({"type": "function", "function": {"name": str_at(choice, "name")}}),
            other => return Err(no_equivalent(&format!("tool_choice {other}"))),
        };
        chat.set("tool_choice", value);
        if choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
            chat.set("parallel_tool_calls", false.into());
        }
    }
    Ok(())
}

fn set_format(chat: &mut Translation, format: &Value) -> Result<(), String> {
    match (str_at(format, "type"), format.get("schema")) {
        ("json_schema", Some(schema)) => {
            let schema = json!({"name": "answer", "strict": true, "schema": schema});
            chat.set("response_format", json!({"type": "json_schema", "json_schema": schema}));
            Ok(())
        }
        (other, _) => Err(no_equivalent(&format!("the format {other}"))),
    }
}

fn assistant(chat: &mut Translation, said: &Value) -> Result<(), String> {
    let Some(parts) = said.as_array() else {
        chat.say("assistant", said.clone());
        return Ok(());
    };
    let mut texts = Vec::new();
    for part in parts {
        match str_at(part, "type") {
            "text" => texts.push(text_part(str_at(part, "text"))),
            "tool_use" | "thinking" | "redacted_thinking" => {}
            other => return Err(no_equivalent(other)),
        }
    }
    let calls = || parts.iter().filter(|part| str_at(part, "type") == "tool_use");
    if texts.is_empty() {
        chat.say("assistant", Value::Null);
    } else {
        chat.say("assistant", content(texts));
    }
    for part in calls() {
        let input = part.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
        chat.call(str_at(part, "id"), str_at(part, "name"), input);
    }
    Ok(())
}

/// Results of calls come first: they must follow the calls at once.
fn user(chat: &mut Translation, role: &str, said: &Value) -> Result<(), String> {
    let Some(parts) = said.as_array() else {
        chat.say(role, said.clone());
        return Ok(());
    };
    let mut shown = Vec::new();
    for part in parts {
        match str_at(part, "type") {
            "tool_result" => {
                let mut text = match part.get("content") {
                    Some(Value::Array(parts)) => only_texts(parts, "tool result")?,
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                };
                if part.get("is_error") == Some(&Value::Bool(true)) {
                    text.insert_str(0, "Error: ");
                }
                chat.call_result(str_at(part, "tool_use_id"), text.into());
            }
            "text" => shown.push(text_part(str_at(part, "text"))),
            "image" => shown.push(image(part)?),
            "document" => shown.push(document(part)?),
            other => return Err(no_equivalent(other)),
        }
    }
    if !shown.is_empty() {
        chat.say(role, content(shown));
    }
    Ok(())
}

fn image(part: &Value) -> Result<Value, String> {
    let source = part.get("source").unwrap_or(&Value::Null);
    match str_at(source, "type") {
        "base64" => Ok(image_part(&data_url(source))),
        "url" => Ok(image_part(str_at(source, "url"))),
        other => Err(no_equivalent(&format!("an image of source {other}"))),
    }
}

fn document(part: &Value) -> Result<Value, String> {
    let source = part.get("source").unwrap_or(&Value::Null);
    match str_at(source, "type") {
        "text" => {
            let title = str_at(part, "title");
            let title = if title.is_empty() { String::new() } else { format!("{title}\n") };
            Ok(text_part(&format!("{title}{}", str_at(source, "data"))))
        }
        "content" => {
            let parts = source.get("content").and_then(Value::as_array);
            Ok(text_part(&only_texts(parts.map_or(&[], Vec::as_slice), "document")?))
        }
        "base64" => {
            let name = match str_at(part, "title") {
                "" => "document.pdf",
                title => title,
            };
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data_url(source)}}))
        }
        other => Err(no_equivalent(&format!("a document of source {other}"))),
    }
}

fn data_url(source: &Value) -> String {
    format!("data:{};base64,{}", str_at(source, "media_type"), str_at(source, "data"))
}
