//! What can be said before the answer ends, and what else an examiner knows.

use serde_json::{Value, json};

use super::*;
use crate::api::ApiFormat;
use crate::target::Usage;

/// The first sign that a stream shows before its end, and the bytes that it takes; and what it shows
/// before at all.
fn first_sign(format: ApiFormat, request: &Value, body: &str) -> Option<(Sign, usize)> {
    (1..=body.len()).find_map(|end| {
        let read = examined(format, request, EVENTS, &[&body.as_bytes()[..end]]);
        read.sign(false).map(|sign| (sign, end))
    })
}

#[test]
fn what_is_certain_shows_before_the_end() {
    for format in WITH_TOOLS {
        let (_, body) = Said {
            calls: vec![("clock", "{}"), ("weather", r#"{"city":"Rome"}"#)],
            ..Said::default()
        }
        .answer(format, true);
        let (sign, end) = first_sign(format, &with_tools(format), &body).unwrap();
        assert_eq!(sign, Sign::UnknownTool);
        assert!(format == ApiFormat::ChatCompletions || end < body.find("weather").unwrap());
        let schema = json!({"type": "object"});
        let request = request(format, Some(schema), Some(1000));
        let (_, body) =
            says("Sure! Here is the object that you asked for: {}").answer(format, true);
        let (sign, end) = first_sign(format, &request, &body).unwrap();
        assert_eq!(sign, Sign::InvalidJson);
        assert!(end < body.find("that ").unwrap(), "{format:?} {end}");
        let (_, body) = says(r#"{"a": "Sure!"}"#).answer(format, true);
        assert_eq!(first_sign(format, &request, &body), None);
    }
}

#[test]
fn what_comes_behind_the_end_of_a_call_changes_nothing_wherever_the_stream_is_cut() {
    let event = |call: Value, finish: Value| {
        let delta = json!({"tool_calls": [call]});
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let body = stream(&[
        event(json!({"index": 0, "function": {"arguments": "{}"}}), json!("tool_calls")),
        event(json!({"index": 0, "function": {"name": "nobody"}}), Value::Null),
    ]) + said::DONE;
    let format = ApiFormat::ChatCompletions;
    assert_eq!(sign(format, &with_tools(format), EVENTS, &body), None, "a call without a name");
}

#[test]
fn what_may_still_change_does_not() {
    for format in ApiFormat::ALL {
        // They may go on.
        for text in ["I'm sorry, but I can't help with that.", ""] {
            let (_, body) = says(text).answer(format, true);
            let end = body.find("\"finish_reason\":\"stop\"").unwrap_or(body.len());
            let end = body.find("response.completed").unwrap_or(end);
            let end = body.find("message_delta").unwrap_or(end);
            let found = first_sign(format, &request(format, None, None), &body);
            assert!(found.is_none_or(|(_, at)| at > end), "{format:?} {found:?}");
        }
        // A body of JSON says nothing until it is whole.
        let (_, body) = says("").answer(format, false);
        for end in 0..body.len() {
            let read = examined(format, &Value::Null, JSON, &[&body.as_bytes()[..end]]);
            assert_eq!(read.sign(false), None, "{end} of {body}");
        }
    }
    // With calls to make, a model may say what it is about to do.
    let mut request = with_tools(ApiFormat::ChatCompletions);
    request["response_format"] = json!({"type": "json_object"});
    let said = Said { text: "Let me look.".into(), ..calls("weather", r#"{"city":"Rome"}"#) };
    assert_eq!(sign_of(ApiFormat::ChatCompletions, &request, &said), None);
    let (_, body) = said.answer(ApiFormat::ChatCompletions, true);
    assert_eq!(first_sign(ApiFormat::ChatCompletions, &request, &body), None);
}

#[test]
fn text_counts_and_calls_are_known() {
    for format in ApiFormat::ALL {
        for streamed in [false, true] {
            let said = Said { output_tokens: 9, ..says("Grüße, Jürgen ❤") };
            let (content_type, body) = said.answer(format, streamed);
            let read = examined(format, &Value::Null, content_type, &[body.as_bytes()]);
            assert_eq!(read.text(), "Grüße, Jürgen ❤");
            assert_eq!(read.text_tokens(), 5);
            assert_eq!(read.usage(), Some(Usage { input: 5, output: 9 }));
            assert!(!read.is_cut() && !read.ran_tools() && !read.first_call_complete());
            assert_eq!(read.log_probability(), None);
        }
    }
    for format in WITH_TOOLS {
        let (_, body) = calls("weather", r#"{"city":"Rome"}"#).answer(format, true);
        let complete = |end: usize| {
            let read = examined(format, &with_tools(format), EVENTS, &[&body.as_bytes()[..end]]);
            read.first_call_complete()
        };
        assert!(!complete(body.find("Rome").unwrap_or(body.len() / 2)));
        assert!(complete(body.len()), "{body}");
    }
}

#[test]
fn what_the_provider_ran_is_known() {
    use ApiFormat::{ChatCompletions as Chat, Messages, Responses};
    for (format, body) in [
        (
            Responses,
            r#"{"status":"completed","output":[{"type":"web_search_call","status":"completed"},
            {"type":"message","content":[{"type":"output_text","text":"Yes."}]}]}"#,
        ),
        (
            Responses,
            r#"{"status":"completed","output":[{"type":"mcp_call","name":"f","arguments":"{"},
            {"type":"message","content":[{"type":"output_text","text":"Yes."}]}]}"#,
        ),
        (
            Messages,
            r#"{"type":"message","stop_reason":"end_turn","content":[{"type":"server_tool_use",
            "name":"web_search","input":{"query":"x"}},{"type":"web_search_tool_result","content":[]},
            {"type":"text","text":"Yes."}]}"#,
        ),
        (
            Chat,
            r#"{"choices":[{"finish_reason":"stop","message":{"content":"Yes.",
            "executed_tools":[{"type":"search"}]}}]}"#,
        ),
    ] {
        let request = with_tools(format);
        let read = examined(format, &request, JSON, &[body.as_bytes()]);
        assert!(read.ran_tools(), "{body}");
        assert_eq!(sign(format, &request, JSON, body), None, "{body}");
    }
    let started = stream(&[json!({"type": "content_block_start", "index": 1,
        "content_block": {"type": "server_tool_use", "name": "web_search", "input": {}}})]);
    assert!(examined(Messages, &Value::Null, EVENTS, &[started.as_bytes()]).ran_tools());
}

#[test]
fn log_probabilities_are_read() {
    let tokens = json!([{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -3.0},
        {"token": "c", "logprob": -9999.0}]);
    let expected = Some(LogProbability { mean: -8.0, min: -20.0 });
    let part = json!({"type": "output_text", "text": "abc", "logprobs": tokens});
    let delta = json!({"type": "response.output_text.delta", "delta": "abc", "logprobs": tokens});
    let response = json!({"status": "completed",
        "output": [{"type": "message", "content": [part]}]});
    for (format, content_type, body) in [
        (
            ApiFormat::ChatCompletions,
            JSON,
            json!({"choices": [{"message": {"content": "abc"},
            "logprobs": {"content": tokens}}, {"logprobs": {"content": tokens}}]})
            .to_string(),
        ),
        (
            ApiFormat::ChatCompletions,
            EVENTS,
            stream(&[json!({"choices": [{"delta": {
            "content": "abc"}, "logprobs": {"content": tokens}}]})]),
        ),
        (
            ApiFormat::Completions,
            JSON,
            json!({"choices": [{"text": "abc",
            "logprobs": {"token_logprobs": [null, -1, -3, -9999.0]}}]})
            .to_string(),
        ),
        (ApiFormat::Responses, JSON, response.to_string()),
        (
            ApiFormat::Responses,
            EVENTS,
            stream(&[delta, json!({"type": "response.completed", "response": response})]),
        ),
    ] {
        let read = examined(format, &Value::Null, content_type, &[body.as_bytes()]);
        assert_eq!(read.log_probability(), expected, "{body}");
    }
}

#[test]
fn beyond_its_bounds_it_knows_only_what_it_needs_no_text_for() {
    let long = "many words and no end of them, ".repeat(10_000);
    let request = request(ApiFormat::ChatCompletions, Some(json!({"type": "array"})), None);
    for streamed in [false, true] {
        let (content_type, body) = says(long.clone()).answer(ApiFormat::ChatCompletions, streamed);
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(4096).collect();
        let read = examined(ApiFormat::ChatCompletions, &request, content_type, &pieces);
        assert!(read.is_cut());
        assert_eq!(read.sign(true), None);
        let read = examined(ApiFormat::ChatCompletions, &request, content_type, &pieces[..70]);
        assert_eq!(read.sign(true), Some(Sign::Unfinished));
    }
    let huge = format!("{{\"choices\":[{{\"x\":\"{}\"}}]}}", "x".repeat(600 * 1024));
    let read = examined(ApiFormat::ChatCompletions, &request, JSON, &[huge.as_bytes()]);
    assert!(read.is_cut() && read.sign(true).is_none());
}

#[test]
fn of_several_choices_all_must_be_bad() {
    let mut request = request(ApiFormat::ChatCompletions, None, None);
    request["n"] = json!(2);
    for (texts, expected) in [
        (["", ""], Some(Sign::Empty)),
        (["I'm sorry, but I can't help with that.", ""], Some(Sign::Refusal)),
        (["", "4"], None),
        (["4", ""], None),
    ] {
        let choice = |index: usize, text: &str, name: &str| json!({"index": index, name: {"content": text}, "finish_reason": "stop"});
        let both: Vec<Value> =
            texts.iter().enumerate().map(|(index, text)| choice(index, text, "message")).collect();
        let body = json!({"choices": both}).to_string();
        assert_eq!(sign(ApiFormat::ChatCompletions, &request, JSON, &body), expected, "{texts:?}");
        let events: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"choices": [choice(index, text, "delta")]}))
            .collect();
        let body = stream(&events);
        assert_eq!(
            sign(ApiFormat::ChatCompletions, &request, EVENTS, &body),
            expected,
            "{texts:?}"
        );
        let first = stream(&events[..1]);
        let early = examined(ApiFormat::ChatCompletions, &request, EVENTS, &[first.as_bytes()]);
        assert_eq!(early.sign(false), None);
    }
}
