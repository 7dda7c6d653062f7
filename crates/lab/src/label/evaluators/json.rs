//! Do two answers hold the same JSON?

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

use super::{Pair, Unscorable, regex, statement};

/// Words from which two strings are texts, compared by what they say, and not values.
const TEXT_WORDS: usize = 6;

/// 1 when the fields of the strong answer all agree and no others are there. 0 when the cheap answer
/// is not JSON or violates the request's schema. Otherwise the share of fields that agree, and half
/// of it when one of them has a wrong value or is missing: whoever reads the answer acts on it.
///
/// # Errors
/// The strong answer is not JSON, or violates the schema, or the schema is invalid.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let wanted = pair.request.wants_json().then_some(Kind::Object);
    let strong =
        extract(&pair.strong.text, wanted).ok_or(Unscorable("the strong answer is not JSON"))?;
    let kind = if strong.is_array() { Kind::Array } else { Kind::Object };
    let Some(cheap) = extract(&pair.cheap.text, Some(kind)) else { return Ok(0.0) };
    if let Some(schema) = pair.request.schema() {
        let validator = jsonschema::validator_for(schema)
            .map_err(|_| Unscorable("the request's JSON schema is not valid"))?;
        if !validator.is_valid(&strong) {
            return Err(Unscorable("the strong answer violates the request's JSON schema"));
        }
        if !validator.is_valid(&cheap) {
            return Ok(0.0);
        }
    }
    let found = compare(&strong, &cheap);
    let share = found.agreeing / found.all.max(1.0);
    let wrong = found.wrong || huge_numbers(&pair.strong.text) != huge_numbers(&pair.cheap.text);
    Ok(if wrong { share / 2.0 } else { share })
}

/// Integers that no number of 64 bits holds, which are compared as they are written; in order.
fn huge_numbers(text: &str) -> Vec<String> {
    static HUGE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?:^|[\[:,\s])(-?\d{19,})\s*(?:[\],}\n]|$)"));
    let huge = |digits: &str| digits.parse::<u64>().is_err() && digits.parse::<i64>().is_err();
    let mut found: Vec<String> =
        HUGE.captures_iter(text).map(|it| it[1].to_owned()).filter(|digits| huge(digits)).collect();
    found.sort();
    found
}

/// Whether the whole text is a JSON object or array, fenced or not.
pub fn is_json(text: &str) -> bool {
    let trimmed = text.trim();
    let blocks = fenced(trimmed);
    let text = match blocks[..] {
        [only] if trimmed.starts_with("```") && trimmed.ends_with("```") => only,
        _ => trimmed,
    };
    text.trim().starts_with(['{', '[']) && serde_json::from_str::<Value>(text).is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
        }
    }
}

/// The JSON of an answer: all of it, the last that is fenced, or the last in the prose; of the kind
/// that is wanted if there is one.
fn extract(text: &str, wanted: Option<Kind>) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let parsed = fenced(text).into_iter().filter_map(|block| serde_json::from_str(block).ok());
    let blocks: Vec<Value> =
        parsed.filter(|value: &Value| value.is_object() || value.is_array()).collect();
    let found = if blocks.is_empty() { in_prose(text) } else { blocks };
    let fitting = found.iter().rposition(|value| wanted.is_none_or(|kind| kind.fits(value)));
    let object = found.iter().rposition(|value| !is_citation(value));
    let index =
        fitting.filter(|&index| wanted.is_some() || !is_citation(&found[index])).or(object)?;
    found.into_iter().nth(index)
}

/// Objects and arrays in a text, each whole.
fn in_prose(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut place = 0;
    // A text that only looks like JSON is not parsed from each of its brackets.
    for _ in 0..256 {
        let Some(start) = text[place..].find(['{', '[']).map(|at| place + at) else { break };
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        place = start + 1;
        if let Some(Ok(value)) = values.next() {
            let end = start + values.byte_offset().max(1);
            // The braces of a template that was not filled in: "{{…}}".
            let doubled = text[..start].ends_with('{') && text[end..].starts_with('}');
            place = end;
            if !doubled {
                found.push(value);
            }
        }
    }
    found
}

/// "[1]" and "[2, 3]" in prose point to sources.
fn is_citation(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_number))
}

/// What stands between fences.
fn fenced(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("```") {
        let inside = &rest[start + 3..];
        let line = inside.find('\n').map_or(inside.len(), |at| at + 1);
        let inside = &inside[line..];
        let Some(end) = inside.find("```") else { break };
        blocks.push(&inside[..end]);
        rest = &inside[end + 3..];
    }
    blocks
}

/// The share of leaves on which two values agree, 0..1. A field that only one has is a
/// disagreement; arrays are compared element by element.
pub fn agreement(a: &Value, b: &Value) -> f64 {
    let found = compare(a, b);
    found.agreeing / found.all.max(1.0)
}

/// Leaves of two values.
#[derive(Clone, Copy, Debug, Default)]
struct Agreement {
    agreeing: f64,
    all: f64,
    /// A value of the first is another in the second, or missing.
    wrong: bool,
}

impl Agreement {
    fn of(agreeing: f64) -> Self {
        Agreement { agreeing, all: 1.0, wrong: agreeing == 0.0 }
    }

    fn none(all: f64, wrong: bool) -> Self {
        Agreement { agreeing: 0.0, all, wrong }
    }

    fn and(self, other: Agreement) -> Self {
        Agreement {
            agreeing: self.agreeing + other.agreeing,
            all: self.all + other.all,
            wrong: self.wrong || other.wrong,
        }
    }
}

fn compare(a: &Value, b: &Value) -> Agreement {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if !(a.is_empty() && b.is_empty()) => {
            let of_a = a.iter().map(|(key, value)| match b.get(key) {
                Some(other) => compare(value, other),
                // Null says that there is nothing.
                None if value.is_null() => Agreement::of(1.0),
                None => Agreement::none(leaves(value), true),
            });
            let more = b.iter().filter(|(key, value)| !a.contains_key(*key) && !value.is_null());
            let of_b = more.map(|(_, value)| Agreement::none(leaves(value), false));
            of_a.chain(of_b).fold(Agreement::default(), Agreement::and)
        }
        (Value::Array(a), Value::Array(b)) if !(a.is_empty() && b.is_empty()) => {
            (0..a.len().max(b.len()))
                .map(|index| match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => compare(a, b),
                    (Some(only), None) | (None, Some(only)) => Agreement::none(leaves(only), true),
                    (None, None) => Agreement::default(),
                })
                .fold(Agreement::default(), Agreement::and)
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            let all = leaves(a).max(leaves(b));
            let same = a == b;
            Agreement { agreeing: if same { all } else { 0.0 }, all, wrong: !same }
        }
        _ => Agreement::of(same_scalar(a, b)),
    }
}

fn leaves(value: &Value) -> f64 {
    match value {
        Value::Object(fields) => fields.values().map(leaves).sum::<f64>().max(1.0),
        Value::Array(items) => items.iter().map(leaves).sum::<f64>().max(1.0),
        _ => 1.0,
    }
}

fn same_scalar(a: &Value, b: &Value) -> f64 {
    let yes = |same: bool| if same { 1.0 } else { 0.0 };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => yes(same_number(a, b)),
        (Value::String(a), Value::String(b)) => {
            let words = |text: &str| text.split_whitespace().count();
            if a == b {
                1.0
            } else if words(a) >= TEXT_WORDS && words(b) >= TEXT_WORDS {
                statement::compare(a, b, "").unwrap_or(0.0)
            } else {
                let (a, b) = (a.trim(), b.trim());
                yes(a == b || !is_code(a) && a.to_lowercase() == b.to_lowercase())
            }
        }
        // "3" and 3: the schema decides about types, not the comparison of values.
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            let parsed = serde_json::from_str::<Number>(text.trim());
            yes(parsed.is_ok_and(|parsed| same_number(&parsed, number)))
        }
        _ => yes(a == b),
    }
}

/// Integers are the same digit by digit: 2^53 and 2^53 + 1 name two orders.
fn same_number(a: &Number, b: &Number) -> bool {
    let is_whole = |it: &Number| it.is_i64() || it.is_u64();
    match (a.as_f64(), b.as_f64()) {
        _ if is_whole(a) && is_whole(b) => a == b,
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        _ => a == b,
    }
}

/// One word of letters and digits, whose case may count: "aB3x" as a key. Of a UUID it does not.
fn is_code(text: &str) -> bool {
    let has = |fits: fn(&char) -> bool| text.chars().any(|c| fits(&c));
    let is_uuid = text.len() == 36 && text.matches('-').count() == 4;
    !is_uuid
        && !text.contains(char::is_whitespace)
        && has(char::is_ascii_digit)
        && has(|c: &char| c.is_alphabetic())
}
