//! Do two answers call the same functions with equivalent arguments?

use serde_json::{Map, Value};

use super::json::agreement;
use super::{Pair, Unscorable};
use crate::label::answer::{ModelAnswer, ToolCall};
use crate::label::request::Request;

/// 1 when the same functions are called with equivalent arguments, in any order; 0 when other
/// functions are called; in between half the share of arguments that agree, because a call with one
/// wrong argument does the wrong thing.
///
/// # Errors
/// The strong answer calls no function, or its arguments are not a JSON object.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let strong = calls(pair.request, pair.strong)
        .ok_or(Unscorable("the strong answer's arguments are not a JSON object"))?;
    if strong.is_empty() {
        return Err(Unscorable("the strong answer calls no function"));
    }
    let Some(mut cheap) = calls(pair.request, pair.cheap) else { return Ok(0.0) };
    if strong.len() != cheap.len() {
        return Ok(0.0);
    }
    let mut total = 0.0;
    for (name, arguments) in &strong {
        // The best match among the calls that are left.
        let best = cheap
            .iter()
            .enumerate()
            .filter(|(_, (other, _))| other == name)
            .map(|(index, (_, other))| (index, share(arguments, other)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((index, share)) = best else { return Ok(0.0) };
        cheap.swap_remove(index);
        total += share;
    }
    let share = total / strong.len() as f64;
    Ok(if share == 1.0 { 1.0 } else { share / 2.0 })
}

/// Free text is a command or a program, of which every sign counts.
fn share(strong: &Value, cheap: &Value) -> f64 {
    match (strong, cheap) {
        (Value::String(a), b) => f64::from(b == a.as_str()),
        _ => agreement(strong, cheap),
    }
}

/// Names and arguments, defaults filled in.
fn calls(request: &Request, answer: &ModelAnswer) -> Option<Vec<(String, Value)>> {
    answer
        .tool_calls
        .iter()
        .map(|ToolCall { name, arguments }| {
            let text = if arguments.trim().is_empty() { "{}" } else { arguments };
            match serde_json::from_str(text) {
                Ok(Value::Object(mut arguments)) => {
                    fill_defaults(request, name, &mut arguments);
                    Some((name.clone(), Value::Object(arguments)))
                }
                // What a custom tool gets; arguments that are quoted once too often are none.
                Ok(Value::String(input)) if !input.trim_start().starts_with('{') => {
                    Some((name.clone(), Value::String(input.trim().to_owned())))
                }
                _ => None,
            }
        })
        .collect()
}

/// An argument that is left out means its default, and null means left out.
fn fill_defaults(request: &Request, name: &str, arguments: &mut Map<String, Value>) {
    arguments.retain(|_, value| !value.is_null());
    let function =
        request.functions().find(|f| f.get("name").and_then(Value::as_str) == Some(name));
    let properties = function
        .and_then(|function| function.pointer("/parameters/properties"))
        .and_then(Value::as_object);
    for (argument, schema) in properties.into_iter().flatten() {
        if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
            arguments.entry(argument.clone()).or_insert_with(|| default.clone());
        }
    }
}
