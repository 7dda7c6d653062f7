//! A body without what does not change its answer.
//!
//! Only what is known not to matter is taken out, and only where it is known. Everywhere else, as in
//! schemas and in arguments of tools, order, nulls and kinds of numbers stay: a model sees them.

use super::node::Node;
use pointsman_core::prompt::ApiFormat;

/// Fields about who asks, for the provider's books, or about its price and speed.
const ASIDE: [&str; 8] = [
    "cache_control",
    "client_metadata",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
];
/// Below this, every whole number of 64-bit floating point is exact.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Takes out what does not change the answer, and brings what may be written in several ways into
/// one.
pub(super) fn reduce(format: ApiFormat, body: &mut Node) {
    let Node::Object(fields) = body else { return };
    fields.retain(|(name, value)| {
        let default = *value == Node::Null || name == "stream" && *value == Node::Bool(false);
        !default && !ASIDE.contains(&name.as_str())
    });
    for (name, value) in fields.iter_mut() {
        match (name.as_str(), format) {
            ("messages", ApiFormat::ChatCompletions | ApiFormat::Messages) => turns(value),
            ("input", ApiFormat::Responses) => {
                if let Node::Text(text) = value {
                    let text = Node::Text(std::mem::take(text));
                    let role = Node::Text("user".to_owned());
                    let turn = [("content".to_owned(), text), ("role".to_owned(), role)];
                    *value = Node::List(vec![Node::Object(turn.into())]);
                }
                turns(value);
            }
            ("system", ApiFormat::Messages) => content(value),
            ("prompt", ApiFormat::Completions) => only_element(value),
            ("tools", _) => {
                if let Node::List(tools) = value {
                    tools.iter_mut().for_each(without_breakpoint);
                }
            }
            _ => number(value),
        }
    }
    fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
}

fn turns(turns: &mut Node) {
    let Node::List(turns) = turns else { return };
    for turn in turns {
        tidy(turn);
        let Node::Object(fields) = turn else { continue };
        // What an item of the responses is when it does not say.
        fields.retain(|(name, value)| {
            !(name == "type" && matches!(value, Node::Text(kind) if kind == "message"))
        });
        for (name, value) in fields {
            if matches!(name.as_str(), "content" | "output") {
                content(value);
            }
        }
    }
}

/// A text, or parts. One part that is nothing but text is the text.
fn content(content: &mut Node) {
    let Node::List(parts) = content else { return };
    for part in parts.iter_mut() {
        tidy(part);
        // Results of tools have parts of their own.
        if let Some(inner) = part.get_mut("content") {
            self::content(inner);
        }
    }
    let [part] = parts.as_mut_slice() else { return };
    let plain = matches!(part.text("type"), Some("text" | "input_text" | "output_text"));
    if let Node::Object(fields) = part
        && plain
        && let [(_, Node::Text(text)), (_, Node::Text(_))] = fields.as_mut_slice()
    {
        // The fields are sorted, and `text` stands before `type`.
        *content = Node::Text(std::mem::take(text));
    }
}

/// Brings the fields of a turn or a part into order, without those that say nothing.
fn tidy(node: &mut Node) {
    without_breakpoint(node);
    let Node::Object(fields) = node else { return };
    fields.retain(|(_, value)| *value != Node::Null);
    fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
}

/// Takes out where the provider's own cache may split the prompt.
fn without_breakpoint(node: &mut Node) {
    if let Node::Object(fields) = node {
        fields.retain(|(name, _)| name != "cache_control");
    }
}

/// A list of one element is that element.
fn only_element(list: &mut Node) {
    if let Node::List(elements) = list
        && let [only] = elements.as_mut_slice()
    {
        *list = std::mem::replace(only, Node::Null);
    }
}

/// A parameter's number: 1.0 is 1.
fn number(value: &mut Node) {
    if let Node::Float(number) = value
        && number.fract() == 0.0
        && number.abs() < WHOLE
    {
        *value = Node::Integer(*number as i128);
    }
}
