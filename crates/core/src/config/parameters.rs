//! `targets[].model` and `targets[].parameters`: what changes in a body, in the words of its API.

use serde_json::Value;

use super::node::{Errors, Fields, Node};
use crate::api::ApiFormat;
use crate::target::{Edit, Edits};

/// Most parameters that a target sets.
pub(super) const MAX_PARAMETERS: usize = 16;
/// Fields of a body that no parameter may replace: they are what is asked.
pub(super) const NOT_PARAMETERS: [&str; 6] =
    ["model", "messages", "prompt", "input", "instructions", "system"];
/// The most tokens of an answer, as each API calls it.
const LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

pub(super) fn read_edits(
    fields: &Fields,
    rewrite: bool,
    model: Option<&str>,
    errors: &mut Errors,
) -> Edits {
    let mut edits = Edits::default();
    if rewrite && let Some(model) = model {
        let edit = Edit::set("model", Value::from(model).to_string());
        ApiFormat::ALL.into_iter().for_each(|api| edits.push(api, edit.clone()));
    }
    let Some(node) = fields.field("parameters") else { return edits };
    if !rewrite {
        node.refuse("needs body.rewrite_model: true", errors);
    }
    let Some(parameters) = node.object_value(errors) else { return edits };
    if parameters.len() > MAX_PARAMETERS {
        node.refuse(&format!("must have at most {MAX_PARAMETERS} parameters"), errors);
    }
    let mut limits = parameters.keys().filter(|name| LIMITS.contains(&name.as_str()));
    if let (Some(first), Some(second)) = (limits.next(), limits.next()) {
        let rule = format!("must not be set together with {first}: both limit the answer");
        errors.add(&format!("{}.{second}", node.path), "", rule);
    }
    for (name, value) in parameters {
        if NOT_PARAMETERS.contains(&name.as_str()) {
            let node = Node { path: format!("{}.{name}", node.path), value };
            node.refuse("must not be set here: this field holds the question", errors);
        }
        for api in ApiFormat::ALL {
            edit(name, value, api).into_iter().for_each(|edit| edits.push(api, edit));
        }
    }
    edits
}

/// What a parameter changes in the bodies of an API; nothing where the API has no such field.
/// `null` takes the field away.
fn edit(name: &str, value: &Value, api: ApiFormat) -> Option<Edit> {
    if value.is_null() {
        let aliases = if LIMITS.contains(&name) { limits_of(api) } else { &[] };
        let aliases = aliases.iter().filter(|alias| **alias != name);
        return Some(Edit {
            aliases: aliases.map(|alias| (*alias).to_owned()).collect(),
            ..Edit::remove(name)
        });
    }
    if LIMITS.contains(&name) {
        let names = limits_of(api);
        let field = names.iter().find(|own| **own == name).or(names.first())?;
        let aliases = names.iter().filter(|alias| *alias != field);
        return Some(Edit {
            aliases: aliases.map(|alias| (*alias).to_owned()).collect(),
            ..Edit::set(field, value.to_string())
        });
    }
    is_known(name, api).then(|| Edit::set(name, value.to_string()))
}

/// The names that an API has for the limit of an answer, the one to add first.
fn limits_of(api: ApiFormat) -> &'static [&'static str] {
    match api {
        ApiFormat::ChatCompletions => &["max_tokens", "max_completion_tokens"],
        ApiFormat::Completions | ApiFormat::Messages => &["max_tokens"],
        ApiFormat::Responses => &["max_output_tokens"],
    }
}

/// Whether an API has such a field. Those that no API defines are a server's own, and it knows
/// them, whatever the API.
fn is_known(name: &str, api: ApiFormat) -> bool {
    use ApiFormat::{ChatCompletions, Completions, Messages, Responses};
    let apis: &[ApiFormat] = match name {
        "stop" | "frequency_penalty" | "presence_penalty" | "logit_bias" | "n" | "seed"
        | "logprobs" => &[ChatCompletions, Completions],
        "stop_sequences" | "output_config" | "output_format" => &[Messages],
        "top_logprobs" | "parallel_tool_calls" | "store" => &[ChatCompletions, Responses],
        "stream_options" => &[ChatCompletions, Completions, Responses],
        "reasoning_effort" | "verbosity" | "response_format" | "prediction" | "modalities"
        | "web_search_options" => &[ChatCompletions],
        "best_of" | "echo" | "suffix" => &[Completions],
        "text" | "truncation" | "include" | "background" | "max_tool_calls" => &[Responses],
        _ => &ApiFormat::ALL,
    };
    apis.contains(&api)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(name: &str, value: Value) -> [Option<String>; 4] {
        ApiFormat::ALL.map(|api| edit(name, &value, api).map(|edit| edit.field))
    }

    fn names(names: [&str; 4]) -> [Option<String>; 4] {
        names.map(|name| (!name.is_empty()).then(|| name.to_owned()))
    }

    #[test]
    fn the_limit_of_an_answer_has_each_apis_own_name() {
        let others = ["max_tokens", "max_output_tokens", "max_tokens"];
        for (name, chat) in [
            ("max_tokens", "max_tokens"),
            ("max_completion_tokens", "max_completion_tokens"),
            ("max_output_tokens", "max_tokens"),
        ] {
            let [a, b, c] = others;
            assert_eq!(of(name, json!(5)), names([chat, a, b, c]), "{name}");
        }
        let chat = edit("max_tokens", &json!(5), ApiFormat::ChatCompletions).unwrap();
        assert!(chat.names("max_completion_tokens") && !chat.names("max_output_tokens"));
    }

    #[test]
    fn a_field_that_an_api_does_not_have_is_not_added_there() {
        assert_eq!(of("stop", json!(["x"])), names(["stop", "stop", "", ""]));
        assert_eq!(of("stop_sequences", json!(["x"])), names(["", "", "", "stop_sequences"]));
        assert_eq!(of("temperature", json!(0)), names(["temperature"; 4]));
        assert_eq!(of("a_servers_own", json!(true)), names(["a_servers_own"; 4]));
    }

    #[test]
    fn null_takes_a_field_away_under_every_name() {
        let removed = edit("max_output_tokens", &Value::Null, ApiFormat::ChatCompletions).unwrap();
        assert_eq!((removed.value.as_ref(), removed.add), (None, false));
        assert!(removed.names("max_tokens") && removed.names("max_completion_tokens"));
        assert_eq!(of("stop", Value::Null), names(["stop"; 4]));
    }
}
