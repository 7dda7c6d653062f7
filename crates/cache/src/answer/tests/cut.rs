//! What was cut, came in pieces or is in another encoding.

use super::*;

#[test]
fn what_was_cut_does_not_become_whole_by_what_follows() {
    let choices = |reasons: &[&str]| -> Vec<Value> {
        let choice = |reason: &&str| json!({"index": 0, "message": {"content": "Os"}, "finish_reason": reason});
        reasons.iter().map(choice).collect()
    };
    for (reasons, expected) in [
        (["length", "stop"], Err(Failed)),
        (["stop", "length"], Err(Failed)),
        (["content_filter", "stop"], Err(Refused)),
        (["error", "length"], Err(Failed)),
        (["stop", "stop"], Ok(())),
    ] {
        let body = json!({"choices": choices(&reasons)});
        assert_eq!(json_is(ChatCompletions, &body.to_string()), expected, "{body}");
        let events: Vec<Value> =
            choices(&reasons).into_iter().map(|choice| json!({"choices": [choice]})).collect();
        let body = format!("{}data: [DONE]\n\n", stream(&events));
        assert_eq!(events_are(ChatCompletions, &body), expected, "{body}");
    }
    for (reasons, expected) in [
        (["max_tokens", "end_turn"], Err(Failed)),
        (["refusal", "end_turn"], Err(Refused)),
        (["end_turn", "end_turn"], Ok(())),
    ] {
        let mut events = vec![
            json!({"type": "content_block_start", "content_block": {"type": "text", "text": "Os"}}),
        ];
        let end = |reason: &str| json!({"type": "message_delta", "delta": {"stop_reason": reason}});
        events.extend(reasons.iter().map(|reason| end(reason)));
        events.push(json!({"type": "message_stop"}));
        assert_eq!(events_are(Messages, &stream(&events)), expected, "{reasons:?}");
    }
}

#[test]
fn a_text_in_pieces_is_looked_at_as_a_whole() {
    let body = |pieces: &[&str]| {
        let choice = |text: &&str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        let mut events: Vec<Value> = pieces.iter().map(choice).collect();
        events.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        format!("{}data: [DONE]\n\n", stream(&events))
    };
    for (pieces, expected) in [
        (&["<th", "ink>", "Hm", "</thi", "nk>"][..], Err(NoAnswer)),
        (&["<think>", "Hm"], Err(NoAnswer)),
        (&["<think>", "Hm", "</think>", "Oslo"], Ok(())),
        (&["\u{200b}", "\u{200b}"], Err(NoAnswer)),
    ] {
        assert_eq!(events_are(ChatCompletions, &body(pieces)), expected, "{pieces:?}");
    }
    let deltas = ["<think>", "Hm.", "</think>"].map(|text| {
        let delta = json!({"type": "text_delta", "text": text});
        json!({"type": "content_block_delta", "index": 0, "delta": delta})
    });
    let mut events = deltas.to_vec();
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
    events.push(json!({"type": "message_stop"}));
    assert_eq!(events_are(Messages, &stream(&events)), Err(NoAnswer));
}

#[test]
fn what_is_in_another_encoding_is_not_read() {
    for (content_type, expected) in [
        ("application/json", Some(Framing::Json)),
        ("application/json; charset=UTF-8", Some(Framing::Json)),
        ("application/json;charset=\"utf-8\";q=1", Some(Framing::Json)),
        ("text/event-stream; Charset = utf8", Some(Framing::Events)),
        ("application/json; charset=us-ascii", Some(Framing::Json)),
        ("application/json; charset=utf-16", None),
        ("application/json; charset=utf-8; charset=utf-16le", None),
        ("text/event-stream;CHARSET=ISO-8859-1", None),
        ("application/json; charset=", None),
    ] {
        assert_eq!(Framing::of(content_type), expected, "{content_type}");
    }
}
