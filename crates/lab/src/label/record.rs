//! One line of a production log.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::answer::ModelAnswer;
use super::capture::{Evidence, sign_of};
use super::lines::parse_object;
use super::request::Request;
use super::source::{Layout, Source};
use crate::files::Problem;
use pointsman_core::sign::Sign;

/// Where a record's fields are: JSON pointers (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMap {
    /// The first that is there is taken; without one the row is named after its file and line.
    pub id: Vec<String>,
    pub request: Vec<String>,
    pub response: Vec<String>,
    /// The cheap model's recorded answer (`--no-replay`).
    pub cheap: Vec<String>,
}

impl Default for FieldMap {
    /// `{id, request, response, cheap_response}` and the fields of OpenAI Batch files.
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        FieldMap {
            id: owned(&["/id", "/custom_id"]),
            request: owned(&["/request", "/body", "/params"]),
            response: owned(&["/response"]),
            cheap: owned(&["/cheap_response"]),
        }
    }
}

impl FieldMap {
    /// Parses `id=/request_id,request=/messages,response=/response`; fields that are not named keep
    /// their default.
    ///
    /// # Errors
    /// Names the part that is not `field=/pointer`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut map = FieldMap::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (field, pointer) = part
                .trim()
                .split_once('=')
                .ok_or_else(|| format!("`{part}` is not of the form field=/json/pointer"))?;
            if !pointer.starts_with('/') {
                return Err(format!("the JSON pointer `{pointer}` must begin with `/`"));
            }
            let target = match field {
                "id" => &mut map.id,
                "request" => &mut map.request,
                "response" => &mut map.response,
                "cheap" => &mut map.cheap,
                _ => return Err(format!("`{field}` is not one of id, request, response, cheap")),
            };
            *target = vec![pointer.to_owned()];
        }
        Ok(map)
    }
}

/// A request with the strong model's answer to it.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: String,
    /// The record named itself; otherwise `id` was made from file and line.
    pub has_own_id: bool,
    pub request: Request,
    pub strong: ModelAnswer,
    /// The cheap model's answer, when the log has it.
    pub cheap: Option<ModelAnswer>,
    /// Why the cheap answer was not sent on, where it was captured; carried to the output.
    pub sign: Option<Sign>,
    /// The record's own `source` field, carried to the output.
    pub source: Option<String>,
    /// Where the request was sent to, which gives its format; carried to the output.
    pub path: Option<String>,
}

/// Why a line is not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{0}")]
    Broken(String),
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Empty(&'static str),
}

/// The strong answers of OpenAI Batch output files, by `custom_id`; `None` where files differ.
pub type BatchAnswers = HashMap<String, Option<Value>>;

/// Where the strong answers come from that are not in their records.
#[derive(Debug)]
pub enum Answers {
    Batch(BatchAnswers),
    /// Requests alone are read.
    Unneeded,
}

impl Record {
    /// Reads one line. `place` names the row when it has no id.
    ///
    /// # Errors
    /// The line is not JSON, lacks a field, or the answer is empty.
    pub fn parse(
        line: &[u8],
        layout: &Layout,
        answers: &Answers,
        place: impl FnOnce() -> String,
    ) -> Result<Self, RecordError> {
        let mut value = parse_object(line)?;
        let source = match layout {
            Layout::Known(source) => Some(*source),
            Layout::Detect => Source::detect(&value),
            Layout::Map(_) => None,
        };
        let parameters = source.map(|source| source.parameters(&value)).unwrap_or_default();
        if let Some(source) = source {
            source.prepare(&mut value)?;
        }
        let map = match layout {
            Layout::Map(map) => map.clone(),
            _ => source.map(Source::map).unwrap_or_default(),
        };
        let id = find(&value, &map.id).and_then(|id| match id {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        let recorded =
            find(&value, &map.response).filter(|_| !matches!(answers, Answers::Unneeded));
        let response = match recorded {
            Some(response) => ModelAnswer::from_response(response),
            None => match (answers, id.as_ref()) {
                (Answers::Unneeded, _) => Ok(ModelAnswer::default()),
                (Answers::Batch(batch), Some(id)) if batch.contains_key(id) => match &batch[id] {
                    Some(response) => ModelAnswer::from_response(response),
                    None => Err("several Batch outputs answer this custom_id, each another way"),
                },
                _ => return Err(missing("response", &map.response)),
            },
        };
        let strong =
            response.map_err(|why| RecordError::Missing(format!("no strong answer: {why}")))?;
        if strong.is_empty() && !matches!(answers, Answers::Unneeded) {
            return Err(RecordError::Empty("the strong answer is empty"));
        }
        let sign = sign_of(&value);
        let cheap = match find(&value, &map.cheap).map(ModelAnswer::from_response) {
            // What was wrong with it is what its sign says.
            Some(Err(_)) if sign.map(Evidence::of).is_some_and(Evidence::needs_no_answer) => None,
            cheap => cheap
                .transpose()
                .map_err(|why| RecordError::Missing(format!("no cheap answer: {why}")))?,
        };
        let source = value.get("source").and_then(Value::as_str).map(String::from);
        let sent_to = sent_to(&value);
        let request = take(&mut value, &map.request)
            .ok_or_else(|| missing("request", &map.request))
            .map(|request| with_parameters(body_of(request), parameters))
            .and_then(|request| {
                Request::from_logged(request, sent_to.as_deref()).map_err(RecordError::Missing)
            })?;
        let path = value.get("path").and_then(Value::as_str).map(String::from);
        Ok(Record {
            has_own_id: id.is_some(),
            id: id.unwrap_or_else(place),
            path: path.or_else(|| request.path().map(String::from)),
            request,
            strong,
            cheap,
            sign,
            source,
        })
    }

    /// What the sign says of the cheap answer, where there is one.
    pub fn evidence(&self) -> Option<Evidence> {
        self.sign.map(Evidence::of)
    }
}

/// The path of the call, from wherever a log writes it.
fn sent_to(row: &Value) -> Option<String> {
    let places = ["/path", "/url", "/request/url", "/request_path", "/request/path"];
    let address = places.iter().find_map(|place| row.pointer(place)?.as_str())?;
    let path = match address.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => address,
    };
    path.starts_with('/').then(|| path.to_owned())
}

/// The body of a request that was recorded along with its headers.
fn body_of(mut request: Value) -> Value {
    let has = |field: &str| request.get(field).is_some();
    if has("body") && !["messages", "input", "prompt"].iter().any(|field| has(field)) {
        return request.get_mut("body").map(Value::take).unwrap_or_default();
    }
    request
}

/// The request with the parameters that its row keeps apart from it.
fn with_parameters(request: Value, parameters: Map<String, Value>) -> Value {
    const KNOWN: [&str; 13] = [
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "tools",
        "tool_choice",
        "response_format",
        "parallel_tool_calls",
        "reasoning_effort",
    ];
    let parameters: Vec<(String, Value)> = parameters
        .into_iter()
        .filter(|(name, value)| KNOWN.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name, number_of(value)))
        .collect();
    if parameters.is_empty() {
        return request;
    }
    let parsed = match &request {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| request.clone()),
        _ => request.clone(),
    };
    let mut body = match parsed {
        Value::Object(body) => body,
        Value::Array(messages) => Map::from_iter([("messages".to_owned(), messages.into())]),
        _ => return request,
    };
    for (name, value) in parameters {
        body.entry(name).or_insert(value);
    }
    body.into()
}

/// Some logs write numbers as text.
fn number_of(value: Value) -> Value {
    let parsed = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed.filter(Value::is_number).unwrap_or(value)
}

impl RecordError {
    pub(super) fn problem(&self) -> Problem {
        match self {
            RecordError::Broken(_) => Problem::BrokenLine,
            RecordError::Missing(_) => Problem::MissingField,
            RecordError::Empty(_) => Problem::EmptyResponse,
        }
    }
}

fn find<'a>(value: &'a Value, pointers: &[String]) -> Option<&'a Value> {
    let mut found = pointers.iter().filter_map(|pointer| value.pointer(pointer));
    // "{}" may be what a model answered.
    found.find(|found| found.is_string() || is_filled(found))
}

fn take(value: &mut Value, pointers: &[String]) -> Option<Value> {
    let place = |pointer: &&String| value.pointer(pointer).is_some_and(is_filled);
    // What is there but empty is reported as such.
    let there = |pointer: &&String| value.pointer(pointer).is_some();
    let pointer = pointers.iter().find(place).or_else(|| pointers.iter().find(there))?;
    value.pointer_mut(pointer).map(Value::take)
}

/// A gateway that keeps prompts elsewhere leaves an empty object in their old place.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !matches!(text.trim(), "{}" | "[]"),
        _ => true,
    }
}

fn missing(field: &str, pointers: &[String]) -> RecordError {
    RecordError::Missing(format!("no {field} at {}", pointers.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, map: &str) -> Result<Record, RecordError> {
        let map = FieldMap::parse(map).map_err(RecordError::Missing)?;
        Record::parse(
            line.as_bytes(),
            &Layout::Map(map),
            &Answers::Batch(BatchAnswers::new()),
            || "file:1".into(),
        )
    }

    #[test]
    fn a_map_reaches_into_a_gateways_spend_log() {
        let line = r#"{"request_id":"r1","messages":"[{\"role\":\"user\",\"content\":\"hi\"}]",
            "response":{"choices":[{"message":{"content":"hello"}}]}}"#
            .replace('\n', "");
        let record = parse(&line, "id=/request_id,request=/messages").expect("readable");
        assert_eq!((record.id.as_str(), record.request.question().as_str()), ("r1", "hi"));
        assert_eq!(record.strong.text, "hello");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = parse(r#"{"id":"a","request":"hi"}"#, "").expect_err("no response");
        assert_eq!(error.to_string(), "no response at /response");
        let error = parse(r#"{"id":"a","response":"hi"}"#, "").expect_err("no request");
        assert_eq!(error.to_string(), "no request at /request or /body or /params");
        let error = parse(r#"{"request":"hi","response":" "}"#, "").expect_err("empty");
        assert_eq!(error, RecordError::Empty("the strong answer is empty"));
        assert!(matches!(parse("{", ""), Err(RecordError::Broken(_))));
    }

    #[test]
    fn a_row_without_an_id_is_named_after_its_place() {
        let record = parse(r#"{"request":"hi","response":"yo"}"#, "").expect("readable");
        assert_eq!((record.id.as_str(), record.has_own_id), ("file:1", false));
    }

    #[test]
    fn a_bad_map_is_refused_with_the_part_that_is_wrong() {
        assert!(FieldMap::parse("id").unwrap_err().contains("field=/json/pointer"));
        assert!(FieldMap::parse("id=x").unwrap_err().contains("must begin with `/`"));
        assert!(FieldMap::parse("prompt=/x").unwrap_err().contains("not one of id"));
    }
}
