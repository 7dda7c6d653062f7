//! What is kept of each format.

mod cut;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use ApiFormat::{ChatCompletions, Completions, Messages, Responses};
use NoStoreReason::{Failed, Incomplete, NoAnswer, Refused};

fn json_is(format: ApiFormat, body: &str) -> Result<(), NoStoreReason> {
    check(format, Framing::Json, body.as_bytes())
}

fn events_are(format: ApiFormat, body: &str) -> Result<(), NoStoreReason> {
    check(format, Framing::Events, body.as_bytes())
}

/// A stream of these events, without an end of its own.
fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A chat completion of one choice.
fn chat(message: Value, finish: &str) -> String {
    json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}).to_string()
}

/// The same as a stream of one event.
fn chunk(delta: &Value, finish: &str) -> String {
    let event = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {event}\n\ndata: [DONE]\n\n")
}

fn message(content: &Value, stop: &str) -> String {
    json!({"type": "message", "content": content, "stop_reason": stop}).to_string()
}

fn response(output: &Value) -> String {
    json!({"object": "response", "status": "completed", "output": output}).to_string()
}

#[test]
fn only_whole_and_successful_json_is_kept() {
    for (format, body, expected) in [
        (ChatCompletions, r#"{"choices": [], "error": null}"#, Err(NoAnswer)),
        (ChatCompletions, r#"{"choices": []"#, Err(Incomplete)),
        (ChatCompletions, r#"{"choices": []}{"#, Err(Incomplete)),
        (ChatCompletions, "", Err(Incomplete)),
        (ChatCompletions, r#"{"error": {"message": "overloaded"}}"#, Err(Failed)),
        (ChatCompletions, r#"{"type": "error"}"#, Err(Failed)),
        (Responses, r#"{"status": "completed"}"#, Err(NoAnswer)),
        (Responses, r#"{"status": "in_progress"}"#, Err(Failed)),
        (Responses, "{}", Err(Failed)),
    ] {
        assert_eq!(json_is(format, body), expected, "{body}");
    }
}

#[test]
fn a_stream_is_whole_only_with_its_last_event() {
    for (format, body, expected) in [
        (ChatCompletions, "data: {\"a\":1}\n\ndata: [DONE]\n\n", Err(NoAnswer)),
        (ChatCompletions, ": hi\r\n\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n", Err(NoAnswer)),
        (ChatCompletions, "data: [DONE]\n\n", Err(NoAnswer)),
        (ChatCompletions, "data: {\"a\":1}\n\n", Err(Incomplete)),
        (ChatCompletions, "data: {\"a\":1}\n\ndata: [DONE]\n", Err(Incomplete)),
        (ChatCompletions, "data: {\"a\n\ndata: [DONE]\n\n", Err(Incomplete)),
        (ChatCompletions, "data: [DONE]\n\ndata: {}\n\n", Err(Incomplete)),
        (ChatCompletions, "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n", Err(Failed)),
        (Responses, "data: {\"type\":\"response.completed\"}\n\n", Err(Failed)),
        (Responses, "data: {\"type\":\"response.incomplete\"}\n\n", Err(Failed)),
        (Messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", Err(NoAnswer)),
        (Messages, "data: {\"type\":\"error\"}\n\n", Err(Failed)),
        (Messages, "data: {\"type\":\"ping\"}\n\n", Err(Incomplete)),
        (Messages, "data: [DONE]\n\n", Err(Incomplete)),
        (Responses, "data: [DONE]\n\n", Err(Incomplete)),
    ] {
        assert_eq!(events_are(format, body), expected, "{body}");
    }
}

#[test]
fn a_stream_is_cut_between_events_and_loses_no_byte() {
    let body = bytes::Bytes::from("data: a\n\n\n\ndata: b\n\n: end");
    let pieces = events(&body);
    assert_eq!(pieces.concat(), body);
    assert_eq!(pieces[0], "data: a\n\n");
}

#[test]
fn a_chat_completion_is_kept_when_it_says_something_and_ended_by_itself() {
    let call = |arguments: &str| {
        json!({"content": null, "tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]})
    };
    let custom =
        json!({"tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": "ls"}}]});
    for (said, finish, expected) in [
        (json!({"content": "Oslo."}), "stop", Ok(())),
        (json!({"content": [{"type": "text", "text": "Oslo."}]}), "stop", Ok(())),
        (json!({"content": "Oslo."}), "eos", Ok(())),
        (call("{\"a\": 1}"), "tool_calls", Ok(())),
        (call(""), "tool_calls", Ok(())),
        (call("{}"), "stop", Ok(())),
        (custom, "tool_calls", Ok(())),
        (json!({"function_call": {"name": "f", "arguments": "{}"}}), "function_call", Ok(())),
        (json!({"content": null, "audio": {"id": "a", "data": "UklG"}}), "stop", Ok(())),
        (json!({"content": "", "images": [{"type": "image_url"}]}), "stop", Ok(())),
        (json!({"content": "Os"}), "length", Err(Failed)),
        (json!({"content": "Os"}), "model_length", Err(Failed)),
        (json!({"content": "Oslo."}), "error", Err(Failed)),
        (json!({"content": "Oslo."}), "something new", Err(Failed)),
        (call("{\"a\": "), "tool_calls", Err(Failed)),
        (json!({"content": ""}), "content_filter", Err(Refused)),
        (json!({"content": "Os"}), "content_filter", Err(Refused)),
        (json!({"content": null, "refusal": "No."}), "stop", Err(Refused)),
        (json!({"content": [{"type": "refusal", "refusal": "No."}]}), "stop", Err(Refused)),
        (json!({"content": ""}), "stop", Err(NoAnswer)),
        (json!({"content": " \n"}), "stop", Err(NoAnswer)),
        (json!({"content": null}), "stop", Err(NoAnswer)),
        (json!({"content": []}), "stop", Err(NoAnswer)),
        (json!({}), "stop", Err(NoAnswer)),
        (json!({"reasoning_content": "Hm."}), "stop", Err(NoAnswer)),
        (json!({"content": null, "tool_calls": []}), "tool_calls", Err(NoAnswer)),
        (json!({"content": "I will."}), "tool_calls", Err(NoAnswer)),
        (json!({"content": "<think>Hm."}), "stop", Err(NoAnswer)),
        (json!({"content": "<think>Hm.</think>\n\n"}), "stop", Err(NoAnswer)),
        (json!({"content": "<think>Hm.</think>Oslo."}), "stop", Ok(())),
        (json!({"content": "\u{200b}"}), "stop", Err(NoAnswer)),
        (json!({"content": "\u{feff}"}), "stop", Err(NoAnswer)),
        (json!({"content": [{"type": "text", "text": "\u{2060}"}]}), "stop", Err(NoAnswer)),
    ] {
        let whole = chat(said.clone(), finish);
        assert_eq!(json_is(ChatCompletions, &whole), expected, "{whole}");
        let stream = chunk(&said, finish);
        assert_eq!(events_are(ChatCompletions, &stream), expected, "{stream}");
    }
}

#[test]
fn every_choice_must_be_whole() {
    let choice = |index: u64, text: &str, finish: Value| json!({"index": index, "message": {"content": text}, "finish_reason": finish});
    for (second, expected) in [
        (choice(1, "Oslo", json!("stop")), Ok(())),
        (choice(1, "Os", json!("length")), Err(Failed)),
        (choice(1, "Os", Value::Null), Err(Incomplete)),
        (choice(1, "", json!("stop")), Err(NoAnswer)),
        (json!({"index": 1, "error": {"code": 502}, "finish_reason": "stop"}), Err(Failed)),
    ] {
        let body = json!({"choices": [choice(0, "Oslo.", json!("stop")), second]}).to_string();
        assert_eq!(json_is(ChatCompletions, &body), expected, "{body}");
    }
    let text = |text: &str, finish: &str| {
        json!({"choices": [{"text": text, "finish_reason": finish}]}).to_string()
    };
    assert_eq!(json_is(Completions, &text("Oslo", "stop")), Ok(()));
    assert_eq!(json_is(Completions, &text("Os", "length")), Err(Failed));
    assert_eq!(json_is(Completions, &text("", "stop")), Err(NoAnswer));
}

#[test]
fn calls_that_come_in_pieces_side_by_side_are_put_together() {
    let piece = |index: u64, name: Option<&str>, arguments: &str| {
        json!({"choices": [{"index": 0, "finish_reason": null, "delta": {"tool_calls": [
            {"index": index, "function": {"name": name, "arguments": arguments}}]}}]})
    };
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    let mut events = vec![
        piece(0, Some("f"), "{\"a\""),
        piece(1, Some("g"), ""),
        piece(0, None, ": 1}"),
        piece(1, None, "{}"),
        end,
        json!({"choices": [], "usage": {"prompt_tokens": 1}}),
    ];
    let body = |events: &[Value]| format!("{}data: [DONE]\n\n", stream(events));
    assert_eq!(events_are(ChatCompletions, &body(&events)), Ok(()));
    events.remove(2);
    assert_eq!(events_are(ChatCompletions, &body(&events)), Err(Failed), "half of the arguments");
    events.remove(3);
    assert_eq!(events_are(ChatCompletions, &body(&events)), Err(Incomplete), "no finish reason");
}

#[test]
fn errors_in_any_dress_are_not_answers() {
    for body in [
        r#"{"detail": "maintenance"}"#,
        r#"{"message": "Too many requests"}"#,
        r#"{"output": "pong"}"#,
        "{}",
        "[]",
        "null",
        "7",
        r#""ok""#,
    ] {
        for format in [ChatCompletions, Completions, Messages] {
            assert_eq!(json_is(format, body), Err(NoAnswer), "{body}");
        }
        assert_eq!(json_is(Responses, body), Err(Failed), "{body}");
    }
    let good =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let with = |line: &str| format!("{good}{line}\n\ndata: [DONE]\n\n");
    assert_eq!(events_are(ChatCompletions, &with(": a comment")), Ok(()));
    assert_eq!(events_are(ChatCompletions, &with("id: 7\nevent: chunk\nretry: 3")), Ok(()));
    for (line, expected) in [
        ("event: error\ndata: {\"message\": \"overloaded\"}", Failed),
        ("error: {\"code\": 500}", Failed),
        ("data: {\"object\": \"error\", \"code\": 503}", Failed),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}", Failed),
        ("Internal Server Error", Incomplete),
        ("data: {\"a\": 1, \"a\": 2}", Incomplete),
    ] {
        assert_eq!(events_are(ChatCompletions, &with(line)), Err(expected), "{line}");
    }
}

#[test]
fn anthropics_messages_are_kept_by_their_stop_reason() {
    let text = json!([{"type": "text", "text": "Oslo."}]);
    let tool = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}]);
    for (content, stop, expected) in [
        (&text, "end_turn", Ok(())),
        (&text, "stop_sequence", Ok(())),
        (&tool, "tool_use", Ok(())),
        (&text, "tool_use", Err(NoAnswer)),
        (&text, "max_tokens", Err(Failed)),
        (&text, "pause_turn", Err(Failed)),
        (&text, "model_context_window_exceeded", Err(Failed)),
        (&text, "refusal", Err(Refused)),
        (&json!([]), "end_turn", Err(NoAnswer)),
        (&json!([{"type": "text", "text": ""}]), "end_turn", Err(NoAnswer)),
        (&json!([{"type": "thinking", "thinking": "Hm."}]), "end_turn", Err(NoAnswer)),
    ] {
        let body = message(content, stop);
        assert_eq!(json_is(Messages, &body), expected, "{body}");
        let block = &content[0];
        let mut events = vec![
            json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": stop}}),
            json!({"type": "message_stop"}),
        ];
        if content.get(0).is_none() {
            events.drain(2..4);
        }
        assert_eq!(events_are(Messages, &stream(&events)), expected, "{events:?}");
        events.pop();
        assert_eq!(events_are(Messages, &stream(&events)), Err(Incomplete), "no end");
    }
    assert_eq!(json_is(Messages, r#"{"content": [{"type": "text", "text": "a"}]}"#), Err(NoAnswer));
}

#[test]
fn anthropics_deltas_are_put_together() {
    let events = |pieces: &[&str]| {
        let tool = json!({"type": "tool_use", "name": "f", "input": {}});
        let mut events =
            vec![json!({"type": "content_block_start", "index": 1, "content_block": tool})];
        events.extend(pieces.iter().map(|piece| {
            let delta = json!({"type": "input_json_delta", "partial_json": piece});
            json!({"type": "content_block_delta", "index": 1, "delta": delta})
        }));
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}));
        events.push(json!({"type": "message_stop"}));
        stream(&events)
    };
    assert_eq!(events_are(Messages, &events(&["", "{\"a\":", " 1}"])), Ok(()));
    assert_eq!(events_are(Messages, &events(&["", "{\"a\":"])), Err(Failed));
    let text = json!({"type": "text_delta", "text": "Oslo."});
    let body = stream(&[
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": text}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(events_are(Messages, &body), Ok(()));
}

#[test]
fn responses_are_kept_when_an_item_answers() {
    let text = |text: &str| {
        json!({"type": "message", "status": "completed",
        "content": [{"type": "output_text", "text": text}]})
    };
    let refusal = json!({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]});
    let reasoning = json!({"type": "reasoning", "summary": []});
    let call =
        |arguments: &str| json!({"type": "function_call", "name": "f", "arguments": arguments});
    for (output, expected) in [
        (json!([reasoning, text("Oslo.")]), Ok(())),
        (json!([call("{}")]), Ok(())),
        (json!([{"type": "custom_tool_call", "name": "sh", "input": "ls"}]), Ok(())),
        (json!([call("{\"a\":")]), Err(Failed)),
        (json!([{"type": "message", "status": "incomplete", "content": []}]), Err(Failed)),
        (json!([refusal]), Err(Refused)),
        (json!([text("")]), Err(NoAnswer)),
        (json!([reasoning]), Err(NoAnswer)),
        (json!([{"type": "web_search_call", "status": "completed"}]), Err(NoAnswer)),
        (json!([]), Err(NoAnswer)),
    ] {
        let body = response(&output);
        assert_eq!(json_is(Responses, &body), expected, "{body}");
        let created = json!({"type": "response.created", "response": {"status": "in_progress"}});
        let whole: Value = serde_json::from_str(&body).unwrap();
        let mut events = vec![created, json!({"type": "response.completed", "response": whole})];
        assert_eq!(events_are(Responses, &stream(&events)), expected, "{body}");
        let done = format!("{}data: [DONE]\n\n", stream(&events));
        assert_eq!(events_are(Responses, &done), expected, "{body}");
        events.pop();
        assert_eq!(events_are(Responses, &stream(&events)), Err(Incomplete), "{body}");
    }
    for (field, value, expected) in [
        ("incomplete_details", json!({"reason": "max_output_tokens"}), Err(Failed)),
        ("incomplete_details", json!({}), Err(Failed)),
        ("incomplete_details", Value::Null, Ok(())),
        ("error", json!({"code": "server_error"}), Err(Failed)),
        ("error", Value::Null, Ok(())),
    ] {
        let mut whole = json!({"status": "completed", "output": [text("Oslo.")]});
        whole[field] = value;
        assert_eq!(json_is(Responses, &whole.to_string()), expected, "{whole}");
        let end = json!({"type": "response.completed", "response": whole});
        assert_eq!(events_are(Responses, &stream(&[end])), expected, "{whole}");
    }
    for thought in ["<think>Hm.</think>", "\u{200b}"] {
        assert_eq!(json_is(Responses, &response(&json!([text(thought)]))), Err(NoAnswer));
    }
    let item = json!({"type": "response.output_item.done", "item": text("Oslo.")});
    let end = json!({"type": "response.completed", "response": {"status": "completed"}});
    assert_eq!(events_are(Responses, &stream(&[item, end])), Ok(()));
}

proptest! {
    #[test]
    fn whatever_arrives_is_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in ApiFormat::ALL {
            for framing in [Framing::Json, Framing::Events] {
                let _ = check(format, framing, &body);
            }
        }
    }

    /// No prefix of a stream is a whole answer.
    #[test]
    fn no_cut_stream_is_kept(texts in prop::collection::vec("[a-z\n\"]{1,9}", 1..5), cut in 0.0..1.0) {
        let mut events: Vec<Value> = texts
            .iter()
            .map(|text| json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
            .collect();
        events.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        let body = format!("{}data: [DONE]\n\n", stream(&events));
        let says = texts.iter().any(|text| !text.trim().is_empty());
        prop_assert_eq!(events_are(ChatCompletions, &body).is_ok(), says);
        let cut = (body.len() as f64 * cut) as usize;
        prop_assert!(events_are(ChatCompletions, &body[..cut]).is_err());
    }
}
