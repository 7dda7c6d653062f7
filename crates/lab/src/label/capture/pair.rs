//! One posted pair, and the row that is kept of it.

use serde::Serialize;
use serde_json::Value;

use super::evidence::Evidence;
use super::redaction::Redaction;
use super::{SOURCE, whole};
use crate::label::answer::ModelAnswer;
use crate::label::stream;
use pointsman_core::api::ApiFormat;
use pointsman_core::config::{NAME_RULE, is_name};
use pointsman_core::sign::Sign;
use pointsman_core::verdict::{Examiner, Expectation};

/// Longest ID of a pair, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Why nothing is kept of a pair. No message holds text of a prompt or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPair {
    /// Not the object that filters post.
    #[error("{0}")]
    Invalid(String),
    /// What this field holds is not a JSON object, so that nothing in it could be redacted by value.
    #[error("{0}: must hold a JSON object")]
    NotJson(&'static str),
    /// This field has no answer that a label could come from.
    #[error("{field}: {why}")]
    NoAnswer { field: &'static str, why: &'static str },
}

/// A line of the file, as `label` reads it.
#[derive(Serialize)]
struct Row<'p> {
    id: &'p str,
    ts: u64,
    path: &'p str,
    source: &'static str,
    sign: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheap_target: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strong_target: Option<&'p str>,
    request: Value,
    response: Value,
    cheap_response: Value,
}

/// Reads a posted pair, redacts it, and gives its row as one line of JSON with its line feed. `ts` is
/// the time in milliseconds since the Unix epoch.
///
/// A cheap answer that cannot be read is left out (`null`) where its sign is a label without it.
///
/// # Errors
/// Names each field that is wrong, and its rule.
pub fn row(body: &[u8], redaction: &Redaction, ts: u64) -> Result<Vec<u8>, BadPair> {
    let object = serde_json::from_slice::<Value>(body).map_err(|error| {
        // Not the error itself: some quote what they found.
        let place = format!("line {}, column {}", error.line(), error.column());
        BadPair::Invalid(format!("the body: must be JSON, and is not at {place}"))
    })?;
    let posted = Posted::read(&object)?;
    let mut request = json_object(posted.request).ok_or(BadPair::NotJson("request"))?;
    let mut response = posted.strong.whole("response.body", posted.format)?;
    posted.check_strong(&response)?;
    let mut cheap_response = posted.cheap_response()?;
    for value in [&mut request, &mut response, &mut cheap_response] {
        redaction.apply(value);
    }
    let row = Row {
        id: posted.id,
        ts,
        path: posted.path,
        source: SOURCE,
        sign: posted.sign.name(),
        cheap_target: posted.cheap_target,
        strong_target: posted.strong_target,
        request,
        response,
        cheap_response,
    };
    let mut line = serde_json::to_vec(&row).unwrap_or_default();
    line.push(b'\n');
    Ok(line)
}

/// What a filter posts. Fields that are not known here are of a newer filter, and passed over.
struct Posted<'p> {
    id: &'p str,
    /// Without its query, which holds keys at some providers.
    path: &'p str,
    format: ApiFormat,
    sign: Sign,
    cheap_target: Option<&'p str>,
    strong_target: Option<&'p str>,
    request: &'p str,
    cheap: Recorded<'p>,
    strong: Recorded<'p>,
}

impl<'p> Posted<'p> {
    fn read(object: &'p Value) -> Result<Self, BadPair> {
        if !object.is_object() {
            let found = shown(object);
            return Err(BadPair::Invalid(format!("the body = {found}: must be an object")));
        }
        let mut fields = Fields { object, errors: Vec::new() };
        let id = fields.text("id", "must be 1 to 256 bytes of text", |id| {
            (1..=MAX_ID_BYTES).contains(&id.len()).then_some(id)
        });
        let path = fields.text("path", "must be the path of a model's API", |path| {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            Some((path, ApiFormat::of_path(path.as_bytes())?))
        });
        let sign = fields.text("sign", "must be the name of a sign", Sign::named);
        let cheap_target = fields.optional_name("cheap_target");
        let strong_target = fields.optional_name("strong_target");
        let request = fields.text("request", "must be text", Some);
        let cheap = fields.recorded("cheap_response");
        let strong = fields.recorded("response");
        match (id, path, sign, request, cheap, strong) {
            (
                Some(id),
                Some((path, format)),
                Some(sign),
                Some(request),
                Some(cheap),
                Some(strong),
            ) if fields.errors.is_empty() => Ok(Posted {
                id,
                path,
                format,
                sign,
                cheap_target,
                strong_target,
                request,
                cheap,
                strong,
            }),
            _ => Err(BadPair::Invalid(fields.errors.join("; "))),
        }
    }

    /// The cheap answer; `null` where it cannot be read and its sign is a label without it.
    fn cheap_response(&self) -> Result<Value, BadPair> {
        let field = "cheap_response.body";
        let whole = self.cheap.whole(field, self.format);
        if Evidence::of(self.sign).needs_no_answer() {
            return Ok(whole.unwrap_or_default());
        }
        let whole = whole?;
        answer_in(field, &whole)?;
        Ok(whole)
    }

    /// The strong answer is what the cheap one is measured by, so it has to be one.
    fn check_strong(&self, response: &Value) -> Result<(), BadPair> {
        let field = "response.body";
        if answer_in(field, response)?.is_empty() {
            return Err(BadPair::NoAnswer { field, why: "must not be empty" });
        }
        match self.strong.sign(self.request, self.format) {
            None => Ok(()),
            // Both decline, and a comparison tells whether to the same effect.
            Some(Sign::Refusal) if self.sign == Sign::Refusal => Ok(()),
            Some(_) => Err(BadPair::NoAnswer { field, why: "must not be a bad answer itself" }),
        }
    }
}

/// The body of an answer, as it was sent.
#[derive(Clone, Copy)]
struct Recorded<'p> {
    /// It is `text/event-stream`, and JSON otherwise.
    events: bool,
    body: &'p str,
}

impl Recorded<'_> {
    /// The answer as one JSON object.
    fn whole(self, field: &'static str, format: ApiFormat) -> Result<Value, BadPair> {
        if !self.events {
            return json_object(self.body).ok_or(BadPair::NotJson(field));
        }
        let joined = stream::read(self.body);
        let joined = joined.map_err(|why| BadPair::NoAnswer { field, why })?;
        Ok(whole::response(&joined, format))
    }

    /// The sign that the answer shows.
    fn sign(self, request: &str, format: ApiFormat) -> Option<Sign> {
        let media: &[u8] = if self.events { b"text/event-stream" } else { b"application/json" };
        let expectation = Expectation::read(format, request.as_bytes());
        let mut examiner = Examiner::new(expectation, format, media)?;
        examiner.read(self.body.as_bytes());
        examiner.sign(true)
    }
}

fn json_object(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

fn answer_in(field: &'static str, response: &Value) -> Result<ModelAnswer, BadPair> {
    ModelAnswer::from_response(response).map_err(|why| BadPair::NoAnswer { field, why })
}

/// Reads the fields of a posted object, and remembers what is wrong with them.
struct Fields<'p> {
    object: &'p Value,
    errors: Vec<String>,
}

impl<'p> Fields<'p> {
    /// A field within objects: `response.body`.
    fn find(&self, name: &str) -> Option<&'p Value> {
        name.split('.').try_fold(self.object, |value, field| value.get(field))
    }

    fn text<T>(
        &mut self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&'p str) -> Option<T>,
    ) -> Option<T> {
        let found = self.find(name).and_then(Value::as_str).and_then(read);
        self.checked(name, rule, found)
    }

    fn optional_name(&mut self, name: &str) -> Option<&'p str> {
        self.find(name)?;
        self.text(name, NAME_RULE, |text| is_name(text).then_some(text))
    }

    fn recorded(&mut self, name: &str) -> Option<Recorded<'p>> {
        let (events, body) = (format!("{name}.events"), format!("{name}.body"));
        let found = self.find(&events).and_then(Value::as_bool);
        let events = self.checked(&events, "must be true or false", found);
        let body = self.text(&body, "must be text", Some);
        Some(Recorded { events: events?, body: body? })
    }

    fn checked<T>(&mut self, name: &str, rule: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            let value = self.find(name).map(|value| format!(" = {}", shown(value)));
            self.errors
                .push(format!("{name}{}: {rule}", value.as_deref().unwrap_or(" is missing")));
        }
        found
    }
}

/// A value in a message: a name as it is, of anything else its type, because it may be text of a
/// prompt.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if is_name(text) => format!("{text:?}"),
        Value::String(_) => "text".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a truth value".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
