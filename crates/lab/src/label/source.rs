//! Logs that are known by name: where their fields are, and how a row is prepared.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::otel;
use super::record::{FieldMap, RecordError};

/// A log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Litellm,
    Langfuse,
    Helicone,
    OpenaiBatch,
    AnthropicBatch,
    EnvoyTap,
    EnvoyAccessLog,
    Otel,
    Mlflow,
    Weave,
    Langsmith,
    Portkey,
    Bifrost,
    FineTuning,
}

/// Where a format has what; the first pointer that leads to something is taken.
struct Places {
    id: &'static [&'static str],
    request: &'static [&'static str],
    response: &'static [&'static str],
    /// Objects with the parameters of the call, where the request does not hold them.
    parameters: &'static [&'static str],
}

impl Source {
    /// All formats with their names.
    pub const ALL: [(&'static str, Source); 14] = [
        ("litellm", Source::Litellm),
        ("langfuse", Source::Langfuse),
        ("helicone", Source::Helicone),
        ("openai-batch", Source::OpenaiBatch),
        ("anthropic-batch", Source::AnthropicBatch),
        ("envoy-tap", Source::EnvoyTap),
        ("envoy-access-log", Source::EnvoyAccessLog),
        ("otel", Source::Otel),
        ("mlflow", Source::Mlflow),
        ("weave", Source::Weave),
        ("langsmith", Source::Langsmith),
        ("portkey", Source::Portkey),
        ("bifrost", Source::Bifrost),
        ("fine-tuning", Source::FineTuning),
    ];

    /// The format of a row that can be no other, by fields that only one tool writes.
    pub fn detect(row: &Value) -> Option<Source> {
        let has = |field: &str| row.get(field).is_some();
        let all = |fields: &[&str]| fields.iter().all(|field| has(field));
        if has("http_buffered_trace") || has("http_streamed_trace_segment") {
            Some(Source::EnvoyTap)
        } else if has("resourceSpans") || otel::is_span(row) {
            Some(Source::Otel)
        } else if all(&["custom_id", "params"]) {
            Some(Source::AnthropicBatch)
        } else if all(&["request_id", "response"])
            && (has("call_type") || has("proxy_server_request"))
        {
            Some(Source::Litellm)
        } else if all(&["run_type", "inputs", "outputs"]) {
            Some(Source::Langsmith)
        } else if all(&["op_name", "inputs", "output"]) {
            Some(Source::Weave)
        } else if all(&["input_history", "output_message"]) {
            Some(Source::Bifrost)
        } else if all(&["type", "input", "output"])
            && (row["type"] == "GENERATION" || has("trace_id") || has("traceId"))
        {
            Some(Source::Langfuse)
        } else if all(&["request_body", "response_body"]) && !has("request") {
            Some(if has("request_path") { Source::Helicone } else { Source::EnvoyAccessLog })
        } else if !has("request") && !has("response") && ends_with_answer(row) {
            Some(Source::FineTuning)
        } else {
            None
        }
    }

    /// Where the fields of a prepared row are.
    pub fn map(self) -> FieldMap {
        let places = self.places();
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        FieldMap {
            id: owned(places.id),
            request: owned(places.request),
            response: owned(places.response),
            ..FieldMap::default()
        }
    }

    /// Parameters that a row keeps apart from its request.
    pub fn parameters(self, row: &Value) -> Map<String, Value> {
        let objects = self.places().parameters.iter().filter_map(|place| row.pointer(place));
        objects
            .filter_map(Value::as_object)
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn places(self) -> Places {
        let (id, request, response, parameters): ([&'static [&'static str]; 1], _, _, &[&str]) =
            match self {
                Source::Litellm => (
                    [&["/request_id", "/id"]],
                    &["/proxy_server_request/body", "/proxy_server_request", "/messages"][..],
                    &["/response"][..],
                    &["/model_parameters"],
                ),
                Source::Langfuse => (
                    [&["/id"]],
                    &["/input"],
                    &["/output"],
                    &["/modelParameters", "/model_parameters"],
                ),
                Source::Helicone => (
                    [&["/request_id", "/id"]],
                    &["/request_body", "/request/body"],
                    &["/response_body", "/response/body"],
                    &[],
                ),
                Source::EnvoyAccessLog => (
                    [&["/request_id", "/id", "/x_request_id"]],
                    &["/request_body"],
                    &["/response_body"],
                    &[],
                ),
                Source::OpenaiBatch => ([&["/custom_id"]], &["/body"], &["/response"], &[]),
                Source::AnthropicBatch => ([&["/custom_id"]], &["/params"], &["/result"], &[]),
                Source::EnvoyTap | Source::FineTuning => {
                    ([&["/id"]], &["/request"], &["/response"], &[])
                }
                Source::Otel => (
                    [&["/spanId", "/span_id", "/context/span_id"]],
                    &["/request"],
                    &["/response"],
                    &[],
                ),
                Source::Mlflow => (
                    [&["/trace_id", "/request_id", "/info/trace_id", "/info/request_id"]],
                    &["/request", "/data/request", "/inputs"],
                    &["/response", "/data/response", "/outputs"],
                    &[],
                ),
                Source::Weave => ([&["/id"]], &["/inputs"], &["/output"], &[]),
                Source::Langsmith => (
                    [&["/id"]],
                    &["/inputs"],
                    &[
                        "/outputs/generations/0/0/message",
                        "/outputs/generations/0/0/text",
                        "/outputs/generations/0/message",
                        "/outputs/generations/0/text",
                        "/outputs/output",
                        "/outputs/messages",
                        "/outputs",
                    ],
                    &["/extra/invocation_params"],
                ),
                Source::Portkey => (
                    [&["/id", "/trace_id"]],
                    &["/request/body", "/request"],
                    &["/response/body", "/response"],
                    &[],
                ),
                Source::Bifrost => {
                    ([&["/id"]], &["/input_history"], &["/output_message"], &["/params"])
                }
            };
        Places { id: id[0], request, response, parameters }
    }

    /// Brings a row into the form that the map expects.
    ///
    /// # Errors
    /// The row is not a call of a model.
    pub fn prepare(self, row: &mut Value) -> Result<(), RecordError> {
        let missing = |what: String| Err(RecordError::Missing(what));
        match self {
            Source::Langfuse => match row.get("type").and_then(Value::as_str) {
                None | Some("GENERATION" | "generation") => {}
                Some(other) => {
                    return missing(format!("an observation of type {other}, not a model call"));
                }
            },
            Source::Langsmith => {
                if let Some(kind) =
                    row.get("run_type").and_then(Value::as_str).filter(|kind| *kind != "llm")
                {
                    return missing(format!("a run of type {kind}, not a model call"));
                }
                unnest_messages(row);
            }
            Source::Weave => {
                // The object that made the call is recorded along with its arguments.
                if let Some(inputs) = row.get_mut("inputs").and_then(Value::as_object_mut) {
                    inputs.retain(|name, _| name != "self");
                }
            }
            Source::AnthropicBatch => row["path"] = "/v1/messages".into(),
            Source::Litellm
                if row.get("call_type").is_some_and(|kind| kind == "anthropic_messages") =>
            {
                row["path"] = "/v1/messages".into();
            }
            Source::EnvoyTap => return tapped(row),
            Source::Otel => return otel::prepare(row),
            Source::FineTuning => {
                if !ends_with_answer(row) {
                    return missing("the chat does not end with an answer".into());
                }
                let mut request = row.take();
                let messages = request.get_mut("messages").and_then(Value::as_array_mut);
                let answer = messages.and_then(Vec::pop);
                let id = request.get("id").cloned();
                *row = json!({"request": request, "response": answer});
                if let Some(id) = id {
                    row["id"] = id;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A chat whose last message is the answer.
fn ends_with_answer(row: &Value) -> bool {
    let messages = row.get("messages").and_then(Value::as_array);
    messages.is_some_and(|messages| {
        messages.len() > 1
            && messages
                .last()
                .and_then(|last| last.get("role"))
                .is_some_and(|role| role == "assistant")
    })
}

/// LangChain batches chats: a list of lists of messages, of which one was called.
fn unnest_messages(row: &mut Value) {
    let Some(inputs) = row.get_mut("inputs") else { return };
    for place in ["messages", "input"] {
        if let Some(lists) = inputs.get_mut(place).and_then(Value::as_array_mut)
            && let [Value::Array(only)] = &mut lists[..]
        {
            let only = std::mem::take(only);
            *inputs = json!({"messages": only});
            return;
        }
    }
    if let Some(list) = inputs.get_mut("input").filter(|input| input.is_array()).map(Value::take) {
        *inputs = json!({"messages": list});
    }
}

/// The bodies of a tap, which are text or base64, and the path from the headers.
fn tapped(row: &mut Value) -> Result<(), RecordError> {
    let missing = |what: &str| RecordError::Missing(what.into());
    let trace = row.get("http_buffered_trace").ok_or_else(|| {
        missing("a streamed trace has its body in pieces; configure the tap with buffered bodies")
    })?;
    let body = |side: &str| -> Result<Value, RecordError> {
        let body = trace
            .pointer(&format!("/{side}/body"))
            .ok_or_else(|| missing(&format!("the {side} has no body")))?;
        if body.get("truncated") == Some(&Value::Bool(true)) {
            return Err(missing(&format!("the {side}'s body is truncated; raise the tap's limit")));
        }
        if let Some(text) = body.get("as_string").and_then(Value::as_str) {
            return Ok(text.into());
        }
        let encoded = body.get("as_bytes").and_then(Value::as_str).unwrap_or_default();
        let bytes = BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| missing(&format!("the {side}'s body is not base64")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| missing(&format!("the {side}'s body is not text (compressed?)")))?;
        Ok(text.into())
    };
    let (request, response) = (body("request")?, body("response")?);
    let header = |name: &str| {
        let headers = trace.pointer("/request/headers").and_then(Value::as_array);
        let found =
            headers.into_iter().flatten().find(|it| it.get("key").is_some_and(|key| key == name));
        found.and_then(|it| it.get("value")).cloned()
    };
    let (path, id) = (header(":path"), header("x-request-id"));
    *row = json!({"request": request, "response": response});
    for (field, value) in [("path", path), ("id", id)] {
        if let Some(value) = value {
            row[field] = value;
        }
    }
    Ok(())
}

/// How rows are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// By the usual fields, and formats that no other can be taken for.
    #[default]
    Detect,
    Known(Source),
    Map(FieldMap),
}

impl Layout {
    /// What is said of a row that lacks the cheap answer.
    pub(super) fn no_cheap_answer(&self) -> String {
        let default = FieldMap::default();
        let map = if let Layout::Map(map) = self { map } else { &default };
        format!("no cheap answer at {}", map.cheap.join(" or "))
    }
}
