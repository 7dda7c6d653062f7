//! What requests of each format ask for.

use serde_json::json;

use super::*;
use crate::api::ApiFormat::{self, *};

fn read(format: ApiFormat, request: &serde_json::Value) -> Expectation {
    Expectation::read(format, request.to_string().as_bytes())
}

#[test]
fn the_form_of_the_answer_is_read() {
    let schema = json!({"type": "object"});
    let wanted = Wanted::Schema(r#"{"type":"object"}"#.into());
    for format in ApiFormat::ALL {
        assert_eq!(read(format, &request(format, Some(schema.clone()), None)).wanted, wanted);
        assert_eq!(read(format, &request(format, None, None)).wanted, Wanted::Text);
    }
    for (request, wanted) in [
        (json!({"response_format": {"type": "json_object"}}), Wanted::Json),
        (json!({"response_format": {"type": "json_object", "schema": schema}}), wanted.clone()),
        (json!({"response_format": {"type": "text"}}), Wanted::Text),
        (
            json!({"response_format": null, "text": {"format": {"type": "json_object"}}}),
            Wanted::Json,
        ),
        (json!({"text": {"verbosity": "low"}}), Wanted::Text),
        (json!({"output_format": {"type": "json_schema", "schema": schema}}), wanted),
        (json!({"output_config": {"effort": "low"}}), Wanted::Text),
    ] {
        assert_eq!(read(ChatCompletions, &request).wanted, wanted, "{request}");
    }
}

#[test]
fn tools_are_read_and_told_from_the_providers() {
    for format in WITH_TOOLS {
        let read = read(format, &with_tools(format));
        assert!(read.tools_known && read.tool("weather").unwrap().parameters.is_some());
        assert_eq!(read.tools.len(), 1);
        assert_eq!(read.provider_tools, format != ChatCompletions);
    }
    for (format, tools, names, known, provider) in [
        (ChatCompletions, json!([{"type": "custom", "custom": {"name": "f"}}]), "f", true, false),
        (ChatCompletions, json!([{"type": "google_search"}]), "", false, false),
        (Responses, json!([{"type": "mcp", "server_label": "x"}]), "", true, true),
        (Responses, json!([{"type": "namespace", "name": "n", "tools": []}]), "n", false, false),
        (
            Responses,
            json!([{"type": "computer_use_preview"}, {"type": "local_shell"}]),
            "",
            true,
            false,
        ),
        (Messages, json!([{"type": "bash_20250124", "name": "bash"}]), "bash", true, false),
        (Messages, json!([{"type": "custom", "name": "f", "input_schema": {}}]), "f", true, false),
        (Messages, json!([7, {"name": 7}]), "", false, false),
    ] {
        let read = read(format, &json!({"tools": tools}));
        let found: Vec<&str> = read.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(
            (found.join(","), read.tools_known, read.provider_tools),
            (names.to_owned(), known, provider),
            "{tools}"
        );
    }
    let legacy = json!({"functions": [{"name": "f", "parameters": {"type": "object"}}]});
    assert!(read(ChatCompletions, &legacy).tool("f").is_some());
    assert!(!read(Responses, &json!({"prompt": {"id": "p"}})).tools_known);
}

#[test]
fn limits_and_numbers_are_read() {
    for (format, request, max_tokens, n, logprobs) in [
        (ChatCompletions, json!({"max_tokens": 9, "n": 3, "logprobs": true}), Some(9), 3, true),
        (
            ChatCompletions,
            json!({"max_completion_tokens": 9.0, "logprobs": false}),
            Some(9),
            1,
            false,
        ),
        (ChatCompletions, json!({"max_tokens": null, "n": 0}), None, 1, false),
        (ChatCompletions, json!({"max_tokens": "many", "n": -1}), None, 1, false),
        (Completions, json!({"logprobs": 0}), Some(16), 1, true),
        (
            Responses,
            json!({"max_output_tokens": 5, "include": ["message.output_text.logprobs"]}),
            Some(5),
            1,
            true,
        ),
        (Messages, json!({"max_tokens": 1024}), Some(1024), 1, false),
    ] {
        let read = read(format, &request);
        assert_eq!(
            (read.max_tokens, read.n, read.logprobs),
            (max_tokens, n, logprobs),
            "{request}"
        );
    }
}

#[test]
fn the_end_of_the_conversation_is_looked_at() {
    let user = json!({"role": "user", "content": "Go."});
    let said = json!({"role": "assistant", "content": "I go."});
    let called = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]});
    let result = json!({"role": "tool", "tool_call_id": "1", "content": "7"});
    let system = json!({"role": "system", "content": "Be brief."});
    let block = json!({"role": "user", "content": [{"type": "tool_result", "content": "7"}]});
    let output = json!({"type": "function_call_output", "output": "7"});
    for (format, messages, tools, continues) in [
        (ChatCompletions, json!([user]), false, false),
        (ChatCompletions, json!([user, called, result]), true, false),
        (ChatCompletions, json!([user, called, result, system]), true, false),
        (ChatCompletions, json!([user, called, result, user]), false, false),
        (ChatCompletions, json!([user, said]), false, true),
        (Messages, json!([user, said, block]), true, false),
        (Messages, json!([user, said]), false, true),
        (Responses, json!([user, output]), true, false),
        (Responses, json!("Go."), false, false),
    ] {
        let name = if format == Responses { "input" } else { "messages" };
        let read = read(format, &json!({name: messages}));
        assert_eq!((read.in_tool_loop, read.continues), (tools, continues), "{messages}");
    }
    let long: Vec<_> = std::iter::repeat_n(user, 100).chain([called, result]).collect();
    assert!(read(ChatCompletions, &json!({"messages": long})).in_tool_loop);
}

#[test]
fn what_cannot_be_read_expects_nothing() {
    for body in ["", "{", "[]", "7", "{\"model\":\"x\"", "\u{0}"] {
        for format in ApiFormat::ALL {
            let read = Expectation::read(format, body.as_bytes());
            assert_eq!(read, Expectation::default(), "{body}");
        }
    }
    let marked = "\u{feff}{\"max_tokens\":5}";
    assert_eq!(Expectation::read(Messages, marked.as_bytes()).max_tokens, Some(5));
}
