use proptest::prelude::*;

use super::*;
use crate::target::Usage;

const JSON: &[u8] = b"application/json; charset=utf-8";
const EVENTS: &[u8] = b"text/event-stream";

/// Reads `text` in pieces of `size` bytes.
fn read(content_type: &[u8], text: &str, size: usize) -> Option<Usage> {
    let mut reader = UsageReader::new(content_type)?;
    for piece in text.as_bytes().chunks(size) {
        reader.read(piece);
    }
    reader.usage()
}

fn of(input: u64, output: u64) -> Option<Usage> {
    Some(Usage { input, output })
}

#[test]
fn usage_is_read_from_each_providers_answer() {
    for (answer, expected) in [
        (
            r#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":12,
                "completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":3}}}"#,
            of(12, 7),
        ),
        (
            r#"{"object":"response","usage":{"input_tokens":5,"output_tokens":6,
                "output_tokens_details":{"reasoning_tokens":2}},"user":null}"#,
            of(5, 6),
        ),
        (
            r#"{"type":"message","usage":{"input_tokens":5,"cache_read_input_tokens":100,
                "cache_creation_input_tokens":20,"output_tokens":6}}"#,
            of(125, 6),
        ),
        (r#"{ "usage" : { "prompt_tokens" : 1, "completion_tokens" : 0 } }"#, of(1, 0)),
        (r#"{"usage":null}"#, None),
        (r#"{"usage":{"prompt_tokens":1}}"#, None),
        (r#"{"usage":{"prompt_tokens":"1","completion_tokens":2}}"#, None),
        (r#"{"error":{"message":"no"}}"#, None),
        ("", None),
    ] {
        for size in [1, 2, 7, 4096] {
            assert_eq!(read(JSON, answer, size), expected, "{answer} in pieces of {size}");
        }
    }
}

#[test]
fn the_last_event_with_counts_counts() {
    let openai = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n\
        data: [DONE]\n\n";
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\
        \"response\":{\"usage\":null}}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\
        \"response\":{\"usage\":{\"input_tokens\":4,\"output_tokens\":3}}}\n\n";
    let anthropic = ": ping\r\nevent: message_start\r\n\
        data:{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\
        \"cache_read_input_tokens\":5,\"output_tokens\":1}}}\r\n\r\n\
        event: message_delta\r\ndata:{\"type\":\"message_delta\",\"delta\":{},\
        \"usage\":{\"output_tokens\":15}}\r\n\r\n";
    for (stream, expected) in [(openai, of(9, 2)), (responses, of(4, 3)), (anthropic, of(30, 15))] {
        for size in [1, 3, 4096] {
            assert_eq!(read(EVENTS, stream, size), expected, "{stream} in pieces of {size}");
        }
    }
}

#[test]
fn what_a_model_writes_about_usage_is_not_counted() {
    let fake = r#"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"#;
    for answer in [
        format!(r#"{{"choices":[{{"message":{{"content":"{fake}"}}}}]}}"#),
        r#"{"content":[{"type":"tool_use","input":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}]}"#.into(),
        r#"{"content":"usage","x":{"prompt_tokens":1,"completion_tokens":1}}"#.into(),
        r#"{"text":"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}"}"#.into(),
    ] {
        assert_eq!(read(JSON, &answer, 5), None, "{answer}");
    }
    let event = "event: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    assert_eq!(read(EVENTS, event, 5), None);
}

#[test]
fn a_broken_event_does_not_hide_the_next() {
    let stream = "data: {\"choices\":[{\"text\":\"cut\n\n\
        data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    assert_eq!(read(EVENTS, stream, 4096), of(1, 2));
}

#[test]
fn an_endless_usage_object_is_dropped() {
    let padding = "9".repeat(1 << 20);
    let answer =
        format!(r#"{{"usage":{{"prompt_tokens":1,"completion_tokens":1,"x":"{padding}"}}}}"#);
    let mut reader = UsageReader::new(JSON).unwrap();
    reader.read(answer.as_bytes());
    assert_eq!(reader.usage(), None);
}

#[test]
fn answers_that_are_neither_json_nor_events_are_not_read() {
    for content_type in ["", "text/html", "application/octet-stream", "audio/mpeg"] {
        assert!(UsageReader::new(content_type.as_bytes()).is_none(), "{content_type}");
    }
}

/// What `text` says of itself, read in pieces of `size` bytes.
fn outcome(content_type: &[u8], text: &str, size: usize) -> Outcome {
    let mut reader = UsageReader::new(content_type).unwrap().with_outcome();
    for piece in text.as_bytes().chunks(size) {
        reader.read(piece);
    }
    reader.outcome().unwrap()
}

const TEXT: Outcome = Outcome {
    text: true,
    tool_call: false,
    media: false,
    invalid_tool_call: false,
    refused: false,
    truncated: false,
    pending: false,
    fault: None,
};
const CALL: Outcome = Outcome { text: false, tool_call: true, ..TEXT };
const NOTHING: Outcome = Outcome { text: false, ..TEXT };
const CUT: Outcome = Outcome { fault: Some(Fault::Unfinished), ..NOTHING };

#[test]
fn an_answer_tells_why_it_ended_and_what_it_holds() {
    let call = |arguments: &str| {
        format!(
            r#"{{"choices":[{{"message":{{"content":null,"tool_calls":[{{"function":
                {{"name":"f","arguments":{arguments}}}}}]}},"finish_reason":"tool_calls"}}]}}"#
        )
    };
    let invalid = Outcome { invalid_tool_call: true, ..CALL };
    for (answer, expected) in [
        (r#"{"choices":[{"message":{"content":"a\"b"},"finish_reason":"stop"}]}"#.into(), TEXT),
        (r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#.into(), NOTHING),
        (
            r#"{"choices":[{"finish_reason" : "length","message":{"content":"a"}}]}"#.into(),
            Outcome { truncated: true, ..TEXT },
        ),
        (
            r#"{"choices":[{"message":{"content":null,"refusal":"I cannot"}}]}"#.into(),
            Outcome { refused: true, ..NOTHING },
        ),
        (r#"{"choices":[{"message":{"content":"a","refusal":null}}]}"#.into(), TEXT),
        (
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}"#.into(),
            Outcome { refused: true, ..TEXT },
        ),
        (call(r#""{\"a\":[1,\"\u00e9\"]}""#), CALL),
        (call(r#""""#), CALL),
        (call(r#""{\"a\":""#), invalid),
        (call(r#""[1]""#), invalid),
        (call(&format!(r#""{}""#, "x".repeat(1 << 17))), CALL),
        (
            r#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"max_tokens"}"#
                .into(),
            Outcome { truncated: true, ..TEXT },
        ),
        (
            r#"{"content":[{"type":"tool_use","name":"f","input":{"content":"x","arguments":"x",
                "finish_reason":"length"}}],"stop_reason":"tool_use"}"#
                .into(),
            CALL,
        ),
        (
            r#"{"output":[{"content":[{"type":"refusal","refusal":"no"}]}],"metadata":{"text":"x"}}"#
                .into(),
            Outcome { refused: true, ..NOTHING },
        ),
        (
            r#"{"incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":
                "function_call","arguments":"{}","name":"f"},{"type":"function_call",
                "arguments":"{}","name":"g"}]}"#
                .into(),
            Outcome { truncated: true, ..CALL },
        ),
        ("[".repeat(100_000), CUT),
        (String::new(), CUT),
    ] as [(String, Outcome); 17]
    {
        for size in [1, 3, 4096] {
            assert_eq!(outcome(JSON, &answer, size), expected, "{answer} in pieces of {size}");
        }
    }
}

#[test]
fn the_pieces_of_a_streamed_tool_call_are_put_together() {
    let delta = |delta: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"function\":{{{delta}}}}}]}}}}]}}\n\n"
        )
    };
    let arguments = |text: &str| delta(&format!(r#""arguments":"{text}""#));
    let name = delta(r#""name":"f","arguments":"""#);
    let whole = [&name, &arguments(r#"{\"a\""#), &arguments(":1}")].map(String::as_str).concat();
    let two = [whole.as_str(), &whole, "data: [DONE]\n\n"].concat();
    let cut = [whole.as_str(), &name, &arguments(r#"{\"a\""#)].concat();
    let responses = "data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{\"}\n\n\
        data: {\"type\":\"response.function_call_arguments.done\",\"arguments\":\"{}\"}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"function_call\",\
        \"arguments\":\"{}\",\"name\":\"f\"}]}}\n\n";
    let anthropic = "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\
        \"name\":\"f\",\"input\":{}}}\n\n\
        data: {\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n\n\
        data: {\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n";
    for (stream, expected) in [
        (whole.as_str(), Outcome { fault: Some(Fault::Unfinished), ..CALL }),
        (&two, CALL),
        (&cut, Outcome { invalid_tool_call: true, fault: Some(Fault::Unfinished), ..CALL }),
        (responses, CALL),
        (anthropic, CALL),
    ] {
        for size in [1, 5, 4096] {
            assert_eq!(outcome(EVENTS, stream, size), expected, "{stream} in pieces of {size}");
        }
    }
}

/// A stream of these events.
fn stream(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn calls_side_by_side_are_kept_apart_and_a_name_begins_none() {
    let delta = |choice: u32, calls: &str| {
        format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{calls}]}},"index":{choice}}}]}}"#)
    };
    let call = |index: u32, arguments: &str| {
        format!(r#"{{"function":{{"name":"f","arguments":"{arguments}"}},"index":{index}}}"#)
    };
    let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    let (a, b) = (r#"{\"a\":"#, "1}");
    let pair = format!("{},{}", call(0, a), call(1, a));
    let both = format!("{},{}", call(1, b), call(0, b));
    for (events, valid) in [
        (
            vec![
                delta(0, &call(0, a)),
                delta(0, &call(1, a)),
                delta(0, &call(0, b)),
                delta(0, &call(1, b)),
            ],
            true,
        ),
        (
            vec![
                delta(0, &call(0, a)),
                delta(1, &call(0, a)),
                delta(0, &call(0, b)),
                delta(1, &call(0, b)),
            ],
            true,
        ),
        (vec![delta(0, &pair), delta(0, &both)], true),
        (vec![delta(0, &call(0, a)), delta(0, &call(1, a)), delta(0, &call(0, b))], false),
        // One number for all of them, each whole.
        (vec![delta(0, &call(0, r#"{\"a\":1}"#)), delta(0, &call(0, r#"{\"b\":2}"#))], true),
    ] {
        let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
        events.push(end);
        let expected = Outcome { invalid_tool_call: !valid, ..CALL };
        for size in [1, 6, 4096] {
            assert_eq!(outcome(EVENTS, &stream(&events), size), expected, "{events:?}");
        }
    }
    let blocks = |last: &str| {
        stream(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use"}}"#,
            r#"{"delta":{"partial_json":"{\"a\""},"index":0}"#,
            r#"{"delta":{"partial_json":"{}"},"index":1}"#,
            last,
            r#"{"type":"message_stop"}"#,
        ])
    };
    assert_eq!(outcome(EVENTS, &blocks(r#"{"delta":{"partial_json":":1}"},"index":0}"#), 5), CALL);
    assert!(outcome(EVENTS, &blocks("{}"), 5).invalid_tool_call);
}

#[test]
fn what_is_no_text_can_be_an_answer_and_what_is_text_can_be_none() {
    let media = Outcome { media: true, ..NOTHING };
    for (answer, expected) in [
        (r#"{"choices":[{"message":{"content":null,"audio":{"id":"a","data":"AA"}}}]}"#, media),
        (r#"{"choices":[{"message":{"images":[{"image_url":{"url":"data:"}}]}}]}"#, media),
        (
            r#"{"status":"completed","output":[{"type":"image_generation_call","result":"A"}]}"#,
            media,
        ),
        (
            r#"{"status":"completed","output":[{"input":"*** Begin","type":"custom_tool_call"}]}"#,
            CALL,
        ),
        (
            r#"{"choices":[{"message":{"tool_calls":[{"type":"custom","custom":{"name":"f","input":"x"}}]}}]}"#,
            CALL,
        ),
        (r#"{"choices":[{"message":{"content":" \n\t\r "},"finish_reason":"stop"}]}"#, NOTHING),
        (r#"{"choices":[{"message":{"content":"\n 7"}}]}"#, TEXT),
        (r#"{"choices":[{"text":"7"}]}"#, TEXT),
        (r#"{"choices":[{"message":{"content":[{"text":"7","type":"text"}]}}]}"#, TEXT),
        (
            r#"{"output":[{"type":"reasoning","content":[{"text":"Hm.","type":"reasoning_text"}]}]}"#,
            NOTHING,
        ),
        (r#"{"content":[{"type":"thinking","thinking":"Hm.","text":"Hm."}]}"#, NOTHING),
        (r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"7"}]}]}"#, TEXT),
        (
            r#"{"content":[{"type":"text","text":"7"}],"stop_reason":"refusal"}"#,
            Outcome { refused: true, ..TEXT },
        ),
        (r#"{"choices":[]}"#, NOTHING),
    ] {
        for size in [1, 5, 4096] {
            assert_eq!(outcome(JSON, answer, size), expected, "{answer}");
        }
    }
}

#[test]
fn an_error_with_a_good_status_is_no_answer() {
    let fault = |content_type, text: &str| outcome(content_type, text, 3).fault;
    for (answer, expected) in [
        (r#"{"error":{"message":"CUDA out of memory"}}"#, Some(Fault::Error)),
        (r#"{"error":"overloaded"}"#, Some(Fault::Error)),
        (r#"{"object":"error","message":"CUDA out of memory","code":50002}"#, Some(Fault::Error)),
        (r#"{"choices":[{"error":{"code":502},"message":{"content":""}}]}"#, Some(Fault::Error)),
        (
            r#"{"choices":[{"finish_reason":"error","message":{"content":"a"}}]}"#,
            Some(Fault::Error),
        ),
        (
            r#"{"object":"response","status":"failed","error":{"code":"server_error"}}"#,
            Some(Fault::Error),
        ),
        (r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Some(Fault::Error)),
        (r#"{"detail":"maintenance"}"#, Some(Fault::NoAnswer)),
        ("{}", Some(Fault::NoAnswer)),
        ("[]", Some(Fault::NoAnswer)),
        (r#"{"choices":[{"message":{"content":"a"#, Some(Fault::Unfinished)),
        (r#"{"choices":[{"message":{"content":"a"}}],"error":null}"#, None),
        (
            r#"{"status":"incomplete","error":null,"output":[],"incomplete_details":{"reason":"max_output_tokens"}}"#,
            None,
        ),
    ] {
        assert_eq!(fault(JSON, answer), expected, "{answer}");
    }
    let queued = outcome(JSON, r#"{"object":"response","status":"queued","output":[]}"#, 9);
    assert!(queued.pending && queued.fault.is_none());
}

#[test]
fn a_stream_tells_an_error_and_whether_it_came_to_its_end() {
    let chat = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    let begun = r#"{"type":"message_start","message":{"content":[],"stop_reason":null}}"#;
    let said = r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#;
    let created = r#"{"type":"response.created","response":{"status":"in_progress","output":[]}}"#;
    let delta = r#"{"delta":"a","type":"response.output_text.delta"}"#;
    let error = Some(Fault::Error);
    let cut = Some(Fault::Unfinished);
    for (events, expected) in [
        (&[chat, r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#][..], None),
        (&[chat, "[DONE]"], None),
        (&[chat], cut),
        (&[chat, r#"{"error":{"message":"overloaded"}}"#], error),
        (&[chat, r#"{"error":{"message":"overloaded"}}"#, "[DONE]"], error),
        (&["[DONE]"], Some(Fault::NoAnswer)),
        (&[begun, said, r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#], None),
        (&[begun, said, r#"{"type":"message_stop"}"#], None),
        (&[begun, said], cut),
        (&[begun, said, r#"{"type":"error","error":{"type":"overloaded_error"}}"#], error),
        (
            &[created, delta, r#"{"type":"response.completed","response":{"status":"completed"}}"#],
            None,
        ),
        (&[created, delta], cut),
        (&[created, delta, r#"{"response":{"status":"failed"},"type":"response.failed"}"#], error),
        (&[created, r#"{"type":"error","message":"x"}"#], error),
        (&[], cut),
    ] {
        let events = stream(events);
        for size in [1, 7, 4096] {
            let outcome = outcome(EVENTS, &events, size);
            assert_eq!(outcome.fault, expected, "{events}");
            assert_eq!(outcome.text, events.contains("\"a\""), "{events}");
        }
    }
}

#[test]
fn tokens_with_a_price_of_their_own_are_told_apart() {
    let billed = |usage: &str| {
        let mut reader = UsageReader::new(JSON).unwrap();
        reader.read(format!(r#"{{"usage":{usage}}}"#).as_bytes());
        let billed = reader.billed().unwrap();
        let Usage { input, output } = billed.usage;
        (input, output, billed.cached_input, billed.cache_write, billed.reasoning)
    };
    for (usage, expected) in [
        (
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":30}}"#,
            (100, 50, 64, 0, 30),
        ),
        (
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":64},"output_tokens":50,
                "output_tokens_details":{"reasoning_tokens":30},"total_tokens":150}"#,
            (100, 50, 64, 0, 30),
        ),
        (
            r#"{"input_tokens":10,"cache_read_input_tokens":64,"cache_creation_input_tokens":26,
                "output_tokens":50}"#,
            (100, 50, 64, 26, 0),
        ),
        (
            r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,
                "prompt_cache_miss_tokens":36}"#,
            (100, 5, 64, 0, 0),
        ),
        // Thoughts that only the total counts.
        (r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":135}"#, (100, 35, 0, 0, 0)),
        (
            r#"{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null,
                "completion_tokens_details":"none","total_tokens":0}"#,
            (1, 2, 0, 0, 0),
        ),
    ] {
        assert_eq!(billed(usage), expected, "{usage}");
    }
}

proptest! {
    /// Whatever comes before, and however it is cut, the counts at the end are found.
    #[test]
    fn counts_are_found_behind_any_text(
        text in ".{0,200}", input in 0_u64..1 << 50, output in 0_u64..1 << 50, size in 1_usize..64
    ) {
        let answer = serde_json::json!({
            "a": text, "b": [{"c": {&text: [text]}}],
            "usage": {"prompt_tokens": input, "completion_tokens": output},
            "z": [text],
        }).to_string();
        prop_assert_eq!(read(JSON, &answer, size), of(input, output));
        let stream = format!("data: {{\"usage\":null,\"x\":\"{size}\"}}\n\ndata: {answer}\n\ndata: [DONE]\n\n");
        prop_assert_eq!(read(EVENTS, &stream, size), of(input, output));
    }

    /// Any bytes in any pieces: no panic, and the same as in one piece.
    #[test]
    fn pieces_do_not_matter(
        bytes in proptest::collection::vec(prop_oneof![
            Just(b'"'), Just(b'{'), Just(b'}'), Just(b':'), Just(b'\\'), Just(b'\n'), any::<u8>()
        ], 0..400),
        size in 1_usize..50
    ) {
        for content_type in [JSON, EVENTS] {
            let mut whole = UsageReader::new(content_type).unwrap().with_outcome();
            whole.read(&bytes);
            let mut pieces = UsageReader::new(content_type).unwrap().with_outcome();
            for piece in bytes.chunks(size) {
                pieces.read(piece);
            }
            prop_assert_eq!(whole.usage(), pieces.usage());
            prop_assert_eq!(whole.outcome(), pieces.outcome());
        }
    }
}
