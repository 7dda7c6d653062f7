//! Do two answers hold the same JSON?

use serde_json::Value;

use super::{Pair, Unscorable, f1::word_f1};

/// Words from which two strings are texts, compared by the words they share, and not values.
const TEXT_WORDS: usize = 6;

/// 0 when the cheap answer is not JSON or violates the request's schema; otherwise the share of
/// fields that agree with the strong answer's.
///
/// # Errors
/// The strong answer is not JSON, or violates the schema, or the schema is invalid.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let strong = extract(&pair.strong.text).ok_or(Unscorable("the strong answer is not JSON"))?;
    let Some(cheap) = extract(&pair.cheap.text) else { return Ok(0.0) };
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
    Ok(agreement(&strong, &cheap))
}

/// Whether the whole text is a JSON object or array, fenced or not.
pub fn is_json(text: &str) -> bool {
    let text = unfenced(text.trim()).unwrap_or(text).trim();
    text.starts_with(['{', '[']) && serde_json::from_str::<Value>(text).is_ok()
}

/// The JSON of an answer: all of it, what is fenced, or the first object or array in the prose.
fn extract(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    if let Some(Ok(value)) = unfenced(text).map(serde_json::from_str) {
        return Some(value);
    }
    text.match_indices(['{', '[']).take(16).find_map(|(start, _)| {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        values.next()?.ok()
    })
}

fn unfenced(text: &str) -> Option<&str> {
    let inside = &text[text.find("```")? + 3..];
    let inside = &inside[inside.find('\n')? + 1..];
    Some(&inside[..inside.find("```")?])
}

/// The share of leaves on which two values agree, 0..1. A field that only one has is a
/// disagreement; arrays are compared element by element.
pub fn agreement(a: &Value, b: &Value) -> f64 {
    let (agreeing, all) = compare(a, b);
    agreeing / all.max(1.0)
}

fn compare(a: &Value, b: &Value) -> (f64, f64) {
    let add = |x: (f64, f64), y: (f64, f64)| (x.0 + y.0, x.1 + y.1);
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if !(a.is_empty() && b.is_empty()) => {
            let of_a = a.iter().map(|(key, value)| match b.get(key) {
                Some(other) => compare(value, other),
                None => (0.0, leaves(value)),
            });
            let of_b = b.iter().filter(|(key, _)| !a.contains_key(*key));
            of_a.chain(of_b.map(|(_, value)| (0.0, leaves(value)))).fold((0.0, 0.0), add)
        }
        (Value::Array(a), Value::Array(b)) if !(a.is_empty() && b.is_empty()) => {
            (0..a.len().max(b.len()))
                .map(|index| match (a.get(index), b.get(index)) {
                    (Some(a), Some(b)) => compare(a, b),
                    (Some(only), None) | (None, Some(only)) => (0.0, leaves(only)),
                    (None, None) => (0.0, 0.0),
                })
                .fold((0.0, 0.0), add)
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
            (if a == b { 1.0 } else { 0.0 }, leaves(a).max(leaves(b)))
        }
        _ => (same_scalar(a, b), 1.0),
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
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => yes((a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)),
            _ => yes(a == b),
        },
        (Value::String(a), Value::String(b)) => {
            let words = |text: &str| text.split_whitespace().count();
            if words(a) >= TEXT_WORDS && words(b) >= TEXT_WORDS {
                word_f1(a, b)
            } else {
                yes(a.trim().to_lowercase() == b.trim().to_lowercase())
            }
        }
        // "3" and 3: the schema decides about types, not the comparison of values.
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            yes(text.trim().parse::<f64>().ok().is_some_and(|v| number.as_f64() == Some(v)))
        }
        _ => yes(a == b),
    }
}
