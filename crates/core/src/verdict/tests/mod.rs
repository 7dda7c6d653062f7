//! Answers of one's own in all formats, streamed and not.

mod early;
mod expectations;
mod properties;
#[allow(dead_code, reason = "real Envoy is tested with more of it")]
#[path = "../../../../testkit/src/said.rs"]
mod said;
mod schemas;
mod signs;
mod sound;

use serde_json::{Value, json};

use super::*;
use crate::api::ApiFormat;
use said::{Said, calls, says};

const JSON: &[u8] = b"application/json";
const EVENTS: &[u8] = b"text/event-stream; charset=utf-8";
/// The formats that have tools.
const WITH_TOOLS: [ApiFormat; 3] =
    [ApiFormat::ChatCompletions, ApiFormat::Responses, ApiFormat::Messages];

/// A request in a format, with a format of JSON text for its answer and a limit.
fn request(format: ApiFormat, schema: Option<Value>, limit: Option<u64>) -> Value {
    let mut request = match format {
        ApiFormat::Completions => json!({"prompt": "Say it."}),
        ApiFormat::Responses => json!({"input": "Say it."}),
        _ => json!({"messages": [{"role": "user", "content": "Say it."}]}),
    };
    let asked = match (format, schema) {
        (_, None) => None,
        (ApiFormat::Responses, Some(schema)) => Some((
            "text",
            json!({"format": {"type": "json_schema", "name": "x", "schema": schema}}),
        )),
        (ApiFormat::Messages, Some(schema)) => {
            Some(("output_config", json!({"format": {"type": "json_schema", "schema": schema}})))
        }
        (_, Some(schema)) => Some((
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
        )),
    };
    if let Some((name, value)) = asked {
        request[name] = value;
    }
    if let Some(limit) = limit {
        let name = match format {
            ApiFormat::Responses => "max_output_tokens",
            ApiFormat::ChatCompletions => "max_completion_tokens",
            _ => "max_tokens",
        };
        request[name] = json!(limit);
    }
    request
}

/// The same with one function, `weather`, and a web search.
fn with_tools(format: ApiFormat) -> Value {
    let mut request = request(format, None, Some(1000));
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1}}, "required": ["city"],
        "additionalProperties": false});
    request["tools"] = match format {
        ApiFormat::Responses => json!([{"type": "web_search"},
            {"type": "function", "name": "weather", "parameters": schema}]),
        ApiFormat::Messages => json!([{"type": "web_search_20250305", "name": "web_search"},
            {"name": "weather", "input_schema": schema}]),
        _ => json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
    };
    request
}

/// Events as they are sent.
fn stream(events: &[Value]) -> String {
    events.iter().map(said::event).collect()
}

impl Said {
    /// The answer in a format: its content type and its body.
    fn answer(&self, format: ApiFormat, streamed: bool) -> (&'static [u8], String) {
        match streamed {
            true => (EVENTS, self.events(format).concat()),
            false => (JSON, self.whole(format)),
        }
    }
}

/// An examiner that has read all of an answer.
fn examined(format: ApiFormat, request: &Value, content_type: &[u8], pieces: &[&[u8]]) -> Examiner {
    let expectation = Expectation::read(format, request.to_string().as_bytes());
    let mut examiner = Examiner::new(expectation, format, content_type).unwrap();
    pieces.iter().for_each(|piece| examiner.read(piece));
    examiner
}

/// The sign of a whole answer, which is the same wherever it is cut in two, and in single bytes.
fn sign(format: ApiFormat, request: &Value, content_type: &[u8], body: &str) -> Option<Sign> {
    let whole = examined(format, request, content_type, &[body.as_bytes()]);
    let sign = whole.sign(true);
    let single: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    let single = examined(format, request, content_type, &single);
    assert_eq!((single.sign(true), single.text()), (sign, whole.text()), "bytes of {body}");
    // Long answers take their time.
    let step = if body.len() > 2000 { body.len() / 40 } else { 1 };
    for at in (0..body.len()).step_by(step) {
        let (one, two) = body.as_bytes().split_at(at);
        let halves = examined(format, request, content_type, &[one, two]);
        assert_eq!((halves.sign(true), halves.text()), (sign, whole.text()), "{at} of {body}");
    }
    sign
}

/// The sign of what a model does, which must be the same streamed or not.
fn sign_of(format: ApiFormat, request: &Value, said: &Said) -> Option<Sign> {
    let [whole, streamed] = [false, true].map(|streamed| {
        let (content_type, body) = said.answer(format, streamed);
        sign(format, request, content_type, &body)
    });
    assert_eq!(whole, streamed, "{format:?} {said:?}");
    whole
}
