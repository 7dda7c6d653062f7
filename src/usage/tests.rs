use proptest::prelude::*;

use super::*;

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
            let mut whole = UsageReader::new(content_type).unwrap();
            whole.read(&bytes);
            let mut pieces = UsageReader::new(content_type).unwrap();
            for piece in bytes.chunks(size) {
                pieces.read(piece);
            }
            prop_assert_eq!(whole.usage(), pieces.usage());
        }
    }
}
