//! OpenAI Responses → chat.

use serde_json::{Map, Value, json};

use super::translation::{
    Translation, content, function, image_part, no_equivalent, only_texts, str_at, text_part,
};

/// Translates a body.
///
/// # Errors
/// Names what the chat API has no equivalent for, or what is not in the row.
pub fn to_chat(request: &Map<String, Value>) -> Result<Value, String> {
    let mut chat = Translation::new(request);
    for field in ["previous_response_id", "conversation", "prompt"] {
        if chat.take(field).is_some() {
            return Err(format!("`{field}` refers to what is not in the row"));
        }
    }
    if let Some(instructions) = chat.take("instructions") {
        let text = match instructions.as_array() {
            Some(parts) => only_texts(parts, "instruction")?.into(),
            None => instructions.clone(),
        };
        chat.say("system", text);
    }
    match chat.take("input") {
        Some(Value::Array(items)) => items.iter().try_for_each(|entry| item(&mut chat, entry))?,
        Some(text) => chat.say("user", text.clone()),
        None => {}
    }
    for field in ["temperature", "top_p", "parallel_tool_calls"] {
        chat.copy(field, field);
    }
    chat.copy("max_output_tokens", "max_tokens");
    tools(&mut chat)?;
    if let Some(text) = chat.take("text").and_then(Value::as_object) {
        for (field, value) in text.iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "format" => set_format(&mut chat, value)?,
                "verbosity" => chat.set("verbosity", value.clone()),
                other => return Err(no_equivalent(&format!("text.{other}"))),
            }
        }
    }
    chat.finish()
}

fn set_format(chat: &mut Translation, format: &Value) -> Result<(), String> {
    match str_at(format, "type") {
        "text" => {}
        "json_object" => chat.set("response_format", json!({"type": "json_object"})),
        "json_schema" => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.remove("type");
            schema.retain(|_, value| !value.is_null());
            chat.set("response_format", json!({"type": "json_schema", "json_schema": schema}));
        }
        other => return Err(no_equivalent(&format!("the format {other}"))),
    }
    Ok(())
}

fn tools(chat: &mut Translation) -> Result<(), String> {
    if let Some(tools) =
        chat.take("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty())
    {
        let functions: Result<Vec<Value>, String> = tools
            .iter()
            .map(|tool| match str_at(tool, "type") {
                "function" => Ok(function(tool, "parameters")),
                other => Err(no_equivalent(&format!("the tool {other}"))),
            })
            .collect();
        chat.set("tools", functions?.into());
    }
    match chat.take("tool_choice") {
        Some(Value::String(choice)) => chat.set("tool_choice", choice.as_str().into()),
        Some(choice) if str_at(choice, "type") == "function" => {
            let function = json!({"name": str_at(choice, "name")});
            chat.set("tool_choice", json!({"type": "function", "function": function}));
        }
        Some(choice) => {
            return Err(no_equivalent(&format!("tool_choice {}", str_at(choice, "type"))));
        }
        None => {}
    }
    Ok(())
}

fn item(chat: &mut Translation, item: &Value) -> Result<(), String> {
    match (str_at(item, "type"), str_at(item, "role")) {
        ("" | "message", role @ ("user" | "assistant" | "system" | "developer")) => {
            // Servers other than OpenAI's do not know the newer name.
            let role = if role == "developer" { "system" } else { role };
            let said = match item.get("content") {
                Some(Value::Array(parts)) => {
                    let parts: Result<Vec<Value>, String> = parts.iter().map(part).collect();
                    content(parts?)
                }
                Some(text) => text.clone(),
                None => return Err("a message has no content".into()),
            };
            chat.say(role, said);
        }
        ("function_call", _) => {
            let arguments = str_at(item, "arguments").to_owned();
            chat.call(str_at(item, "call_id"), str_at(item, "name"), arguments);
        }
        ("function_call_output", _) => {
            let output = match item.get("output") {
                Some(Value::Array(parts)) => only_texts(parts, "call's output")?,
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            };
            chat.call_result(str_at(item, "call_id"), output.into());
        }
        // What the strong model thought is not shown to another.
        ("reasoning", _) => {}
        ("item_reference", _) => {
            return Err("`item_reference` refers to what is not in the row".into());
        }
        (other, _) => return Err(no_equivalent(other)),
    }
    Ok(())
}

fn part(part: &Value) -> Result<Value, String> {
    match str_at(part, "type") {
        "input_text" | "output_text" | "text" => Ok(text_part(str_at(part, "text"))),
        "refusal" => Ok(text_part(str_at(part, "refusal"))),
        "input_image" if part.get("image_url").is_some_and(Value::is_string) => {
            let mut image = image_part(str_at(part, "image_url"));
            if let (Some(detail), Some(url)) = (part.get("detail"), image.get_mut("image_url")) {
                url["detail"] = detail.clone();
            }
            Ok(image)
        }
        "input_file" if part.get("file_data").is_some() => {
            let (name, data) = (str_at(part, "filename"), str_at(part, "file_data"));
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data}}))
        }
        "input_audio" if part.get("input_audio").is_some() => Ok(part.clone()),
        other => Err(no_equivalent(&format!("{other} by reference"))),
    }
}
