//! Every sign in every format that can show it, streamed and not.

use serde_json::{Value, json};

use super::*;
use crate::api::ApiFormat;

fn with(said: Said, finish: &'static str, output_tokens: u64) -> Said {
    Said { finish, output_tokens, ..said }
}

#[test]
fn an_answer_without_anything_is_empty() {
    for format in ApiFormat::ALL {
        for text in ["", " \n\t"] {
            let empty = request(format, None, None);
            assert_eq!(sign_of(format, &empty, &says(text)), Some(Sign::Empty), "{format:?}");
        }
    }
    let chat = request(ApiFormat::ChatCompletions, None, None);
    let thought = says("<think>Is it 4? It is.</think>\n");
    assert_eq!(sign_of(ApiFormat::ChatCompletions, &chat, &thought), Some(Sign::Empty));
    let none = r#"{"object":"chat.completion","choices":[]}"#;
    assert_eq!(sign(ApiFormat::ChatCompletions, &chat, JSON, none), Some(Sign::Empty));
}

#[test]
fn stock_phrases_are_refusals() {
    for text in [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "Sorry, I can't help you with this.",
        "I'm sorry. I cannot help with creating malware.",
        "I cannot assist with that.",
        "I can't help with that. Is there something else I can do for you?",
        "I'm unable to assist with this request.",
        "I am not able to fulfill this request.",
        "As an AI language model, I cannot provide instructions for that.",
        "As an AI, I can't help with illegal activities.",
        "I won't help with that.",
        "Unfortunately, I am unable to comply with this request.",
        "I apologize, but I cannot fulfill this request.",
        "I'm sorry, but I must decline.",
        "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
        "Leider kann ich Ihnen bei dieser Anfrage nicht weiterhelfen.",
        "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
        "Désolé, je ne peux pas répondre à cette demande.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti con questa richiesta.",
        "抱歉，我无法协助满足你的这个请求。",
        "很抱歉，我不能帮助你完成这件事。",
        "申し訳ありませんが、そのご要望にはお応えできません。",
        "申し訳ございません。その件についてはお手伝いできません。",
        "<think>They want a bomb.</think>I'm sorry, but I can't help with that.",
    ] {
        for format in ApiFormat::ALL {
            let request = request(format, None, None);
            assert_eq!(sign_of(format, &request, &says(text)), Some(Sign::Refusal), "{text}");
        }
    }
}

#[test]
fn refusals_and_filters_show_in_fields_of_their_own() {
    use ApiFormat::{ChatCompletions as Chat, Messages, Responses};
    let refused = json!({"type": "refusal", "refusal": "No."});
    for (format, body, expected) in [
        (
            Chat,
            json!({"choices": [{"message": {"content": null, "refusal": "No."},
            "finish_reason": "stop"}]}),
            Sign::Refusal,
        ),
        (Chat, json!({"choices": [{"message": {"content": [refused]}}]}), Sign::Refusal),
        (
            Chat,
            json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop",
            "content_filter_results": {"hate": {"filtered": false, "severity": "safe"},
            "violence": {"filtered": true, "severity": "high"}}}]}),
            Sign::ContentFilter,
        ),
        (
            Messages,
            json!({"type": "message", "content": [], "stop_reason": "refusal"}),
            Sign::Refusal,
        ),
        (
            Responses,
            json!({"object": "response", "status": "completed", "output": [
            {"type": "message", "content": [refused]}]}),
            Sign::Refusal,
        ),
    ] {
        let found = sign(format, &request(format, None, None), JSON, &body.to_string());
        assert_eq!(found, Some(expected), "{body}");
    }
    for (format, events, expected) in [
        (Chat, vec![json!({"choices": [{"delta": {"refusal": "No"}}]})], Sign::Refusal),
        (
            Messages,
            vec![
                json!({"type": "message_start", "message": {"content": []}}),
                json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}}),
            ],
            Sign::Refusal,
        ),
        (Responses, vec![json!({"type": "response.refusal.delta", "delta": "No"})], Sign::Refusal),
    ] {
        let body = stream(&events);
        let early = examined(format, &Value::Null, EVENTS, &[body.as_bytes()]).sign(false);
        assert_eq!(early, Some(expected), "{body}");
    }
    for format in [Chat, ApiFormat::Completions, Responses] {
        let said = with(says("Well"), "content_filter", 3);
        let found = sign_of(format, &request(format, None, None), &said);
        assert_eq!(found, Some(Sign::ContentFilter), "{format:?}");
    }
}

#[test]
fn a_limit_that_is_not_the_clients_truncates() {
    for format in ApiFormat::ALL {
        for (limit, output, expected) in [
            (Some(500), 100, Some(Sign::Truncated)),
            (Some(100), 100, None),
            // Not everybody counts the token that ends it.
            (Some(101), 100, None),
            (Some(16), 20, None),
        ] {
            let request = request(format, None, limit);
            let said = with(says("Once upon a time there was a"), "length", output);
            assert_eq!(sign_of(format, &request, &said), expected, "{format:?} {limit:?}");
        }
    }
    for format in WITH_TOOLS {
        let request = request(format, None, None);
        let said = with(says("Once upon a time there was a"), "length", 100);
        assert_eq!(sign_of(format, &request, &said), Some(Sign::Truncated), "{format:?}");
    }
    // Completions have a limit that nobody asked for.
    let completions = request(ApiFormat::Completions, None, None);
    let said = with(says("Once upon"), "length", 16);
    assert_eq!(sign_of(ApiFormat::Completions, &completions, &said), None);
    // Without counts nobody knows.
    let body = r#"{"choices":[{"message":{"content":"Once"},"finish_reason":"length"}]}"#;
    let chat = request(ApiFormat::ChatCompletions, None, Some(500));
    assert_eq!(sign(ApiFormat::ChatCompletions, &chat, JSON, body), None);
    let window = r#"{"type":"message","content":[{"type":"text","text":"Once"}],
        "stop_reason":"model_context_window_exceeded"}"#;
    let messages = request(ApiFormat::Messages, None, Some(500));
    assert_eq!(sign(ApiFormat::Messages, &messages, JSON, window), Some(Sign::Truncated));
}

#[test]
fn json_that_was_asked_for_must_be_some_and_fit() {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}},
        "required": ["answer"], "additionalProperties": false});
    for format in ApiFormat::ALL {
        let request = request(format, Some(schema.clone()), Some(1000));
        for (text, expected) in [
            (r#"{"answer": 42}"#, None),
            (" \n{\"answer\":42}\n", None),
            ("The answer is 42.", Some(Sign::InvalidJson)),
            (r#"{"answer": 42"#, Some(Sign::InvalidJson)),
            ("```json\n{\"answer\": 42}\n```", Some(Sign::InvalidJson)),
            (r#"{"answer": 42} Good luck!"#, Some(Sign::InvalidJson)),
            (r#"{"answer": "42"}"#, Some(Sign::SchemaMismatch)),
            (r#"{"answer": 42, "more": 1}"#, Some(Sign::SchemaMismatch)),
            ("[42]", Some(Sign::SchemaMismatch)),
        ] {
            assert_eq!(sign_of(format, &request, &says(text)), expected, "{format:?} {text}");
        }
        // Cut at the client's own limit, it is no model's fault.
        let said = with(says(r#"{"answer"#), "length", 1000);
        assert_eq!(sign_of(format, &request, &said), None, "{format:?}");
    }
    let mut any = request(ApiFormat::ChatCompletions, None, None);
    any["response_format"] = json!({"type": "json_object"});
    for (text, expected) in [
        ("{}", None),
        ("[1]", None),
        ("42", Some(Sign::SchemaMismatch)),
        ("none", Some(Sign::InvalidJson)),
    ] {
        assert_eq!(sign_of(ApiFormat::ChatCompletions, &any, &says(text)), expected, "{text}");
    }
}

#[test]
fn calls_must_be_of_what_is_offered() {
    for format in WITH_TOOLS {
        let request = with_tools(format);
        for (said, expected) in [
            (calls("weather", r#"{"city":"Rome","days":2}"#), None),
            (calls("get_weather", r#"{"city":"Rome"}"#), Some(Sign::UnknownTool)),
            (calls("weather", "{}"), Some(Sign::InvalidArguments)),
            (calls("weather", r#"{"city":7}"#), Some(Sign::InvalidArguments)),
            (calls("weather", r#"{"city":"Rome","days":0}"#), Some(Sign::InvalidArguments)),
            (calls("weather", r#"{"town":"Rome"}"#), Some(Sign::InvalidArguments)),
            (calls("weather", r#"["Rome"]"#), Some(Sign::InvalidArguments)),
            (calls("weather", r#"{"city":"Ro"#), Some(Sign::InvalidArguments)),
            // Cut at a limit that is the client's.
            (with(calls("weather", r#"{"city":"Ro"#), "length", 1000), None),
        ] {
            assert_eq!(sign_of(format, &request, &said), expected, "{format:?} {said:?}");
        }
        let both = Said {
            calls: vec![("weather", r#"{"city":"Rome"}"#), ("clock", "{}")],
            ..Said::default()
        };
        assert_eq!(sign_of(format, &request, &both), Some(Sign::UnknownTool), "{format:?}");
    }
    let chat = with_tools(ApiFormat::ChatCompletions);
    let legacy = r#"{"choices":[{"message":{"content":null,"function_call":{"name":"clock",
        "arguments":"{}"}},"finish_reason":"function_call"}]}"#;
    let found = sign(ApiFormat::ChatCompletions, &chat, JSON, legacy);
    assert_eq!(found, Some(Sign::UnknownTool));
}

#[test]
fn errors_and_ends_that_do_not_come_are_signs() {
    for format in ApiFormat::ALL {
        let request = request(format, None, None);
        for error in [
            r#"{"error":{"message":"CUDA out of memory"}}"#,
            r#"{"detail":"maintenance"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        ] {
            assert_eq!(sign(format, &request, JSON, error), Some(Sign::Error), "{error}");
        }
        let (_, whole) = says("Once upon a time").answer(format, false);
        let cut = whole.get(..whole.len() - 2).unwrap();
        assert_eq!(sign(format, &request, JSON, cut), Some(Sign::Unfinished), "{cut}");
        assert_eq!(sign(format, &request, JSON, ""), Some(Sign::Unfinished));
        let (_, events) = says("Once upon a time there was a king").answer(format, true);
        // In front of the events that end it.
        let end = events.find("\"finish_reason\":\"stop\"").unwrap_or(events.len());
        let end = events.find("response.completed").unwrap_or(end);
        let end = events.find("message_delta").unwrap_or(end);
        let (before, _) = events.split_at(end);
        let (cut, _) = before.split_at(before.rfind("data:").unwrap());
        assert_eq!(sign(format, &request, EVENTS, cut), Some(Sign::Unfinished), "{cut}");
        let broken = format!("{cut}event: error\ndata: {{\"error\":{{\"message\":\"x\"}}}}\n\n");
        assert_eq!(sign(format, &request, EVENTS, &broken), Some(Sign::Error), "{broken}");
    }
    let failed =
        r#"{"object":"response","status":"failed","error":{"code":"server_error"},"output":[]}"#;
    let responses = request(ApiFormat::Responses, None, None);
    assert_eq!(sign(ApiFormat::Responses, &responses, JSON, failed), Some(Sign::Error));
}

#[test]
fn text_that_runs_in_a_circle_is_a_sign() {
    for (phrase, times) in [
        ("the ", 260),
        ("I think that I should look at the file again. ", 30),
        ("- Check the configuration.\n- Check the logs.\n", 30),
        ("是的", 200),
        ("\n", 1100),
        ("!", 2100),
    ] {
        let text = format!("Well then: {}", phrase.repeat(times));
        for format in ApiFormat::ALL {
            // At the client's own limit.
            let request = request(format, None, Some(500));
            let said = with(says(text.clone()), "length", 500);
            assert_eq!(sign_of(format, &request, &said), Some(Sign::Repetition), "{phrase}");
        }
    }
}

#[test]
fn a_stream_that_breaks_off_at_any_byte_before_its_end_is_unfinished() {
    for format in ApiFormat::ALL {
        let request = request(format, None, Some(1000));
        let events = says("It is 4, and it will be 4 tomorrow.").events(format);
        // Which one ends it is what the whole stream without it shows.
        let end = (0..events.len())
            .find(|last| sign(format, &request, EVENTS, &events[..=*last].concat()).is_none())
            .unwrap();
        let stream = events.concat();
        // Behind the last brace of that event, all is there.
        let whole = events[..=end].concat().trim_end().len();
        for cut in 1..whole {
            let (cut, _) = stream.split_at(cut);
            let found = sign(format, &request, EVENTS, cut);
            assert_eq!(found, Some(Sign::Unfinished), "{format:?}: {cut}");
        }
        let (whole, _) = stream.split_at(whole);
        assert_eq!(sign(format, &request, EVENTS, whole), None, "{format:?}");
    }
}
