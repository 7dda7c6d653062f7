//! Whose API a recorded body was for.

use serde_json::Value;

/// An API that a request can be translated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Chat,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// Text completions.
    Completions,
}

impl Format {
    /// By the path that the request was sent to, otherwise by its fields.
    ///
    /// # Errors
    /// Names what it is instead.
    pub fn of(body: &Value, path: Option<&str>) -> Result<Format, String> {
        if let Some(format) = path.map(by_path).transpose()?.flatten() {
            return Ok(format);
        }
        let has = |field: &str| body.get(field).is_some_and(|value| !value.is_null());
        for (field, name) in [
            ("contents", "a Gemini request"),
            ("inferenceConfig", "a Bedrock Converse request"),
            ("chat_history", "a Cohere request"),
        ] {
            if has(field) {
                return Err(unread(name, field));
            }
        }
        if has("messages") {
            return Ok(if is_anthropic(body) { Format::Messages } else { Format::Chat });
        }
        if has("input") || has("instructions") {
            let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
            if has("encoding_format") || has("dimensions") || model.contains("embed") {
                return Err("an embeddings request has no answer to compare".into());
            }
            return Ok(Format::Responses);
        }
        if has("prompt") {
            return Ok(Format::Completions);
        }
        Err("the request has no messages".into())
    }

    /// The path of the API, for rows that do not say it; `None` where the fields say enough.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Format::Chat => None,
            Format::Messages => Some("/v1/messages"),
            Format::Responses => Some("/v1/responses"),
            Format::Completions => Some("/v1/completions"),
        }
    }
}

fn unread(name: &str, field: &str) -> String {
    format!("{name} (`{field}`); chat, Messages, Responses and completions requests are read")
}

fn by_path(path: &str) -> Result<Option<Format>, String> {
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    for (end, format) in [
        ("/chat/completions", Format::Chat),
        ("/completions", Format::Completions),
        ("/messages", Format::Messages),
        ("/responses", Format::Responses),
    ] {
        if path.ends_with(end) {
            return Ok(Some(format));
        }
    }
    const OTHERS: [&str; 10] = [
        "/embeddings",
        "/moderations",
        "/images/",
        "/audio/",
        "/rerank",
        "/files",
        "/batches",
        "/count_tokens",
        "/responses/",
        ":generateContent",
    ];
    match OTHERS.iter().find(|other| path.contains(*other)) {
        Some(other) => Err(format!("a request to `{other}` has no answer to compare")),
        None => Ok(None),
    }
}

/// Fields and parts that only Anthropic's API has.
fn is_anthropic(body: &Value) -> bool {
    const FIELDS: [&str; 6] = [
        "system",
        "stop_sequences",
        "anthropic_version",
        "anthropic_beta",
        "thinking",
        "mcp_servers",
    ];
    let list = |field: &str| body.get(field).and_then(Value::as_array).into_iter().flatten();
    let parts = list("messages")
        .filter_map(|message| message.get("content")?.as_array())
        .flatten()
        .any(|part| {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            matches!(
                kind,
                "tool_use" | "tool_result" | "document" | "thinking" | "redacted_thinking"
            ) || kind == "image" && part.get("source").is_some()
        });
    FIELDS.iter().any(|field| body.get(*field).is_some())
        || list("tools").any(|tool| tool.get("input_schema").is_some())
        || parts
}
