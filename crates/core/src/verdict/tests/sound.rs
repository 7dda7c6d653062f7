//! Answers that are good, or of which nothing is known: none of them shows a sign.

use serde_json::{Value, json};

use super::*;
use crate::api::ApiFormat;

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "4",
        "Yes.",
        "No",
        "42",
        "ok",
        "👍",
        "I'm sorry to hear that. Do you want to talk about it?",
        "I'm sorry to hear that you can't help with the move. Perhaps a friend can?",
        "I can't wait to help you with that!",
        "I can't help but smile at that. What a lovely story.",
        "I can't help you with that until you tell me which version you use.",
        "Sorry, I can't find a file with that name. Did you mean `main.rs`?",
        "I cannot see the image that you mention; could you attach it again?",
        "I'm sorry, my last answer was wrong: the sum is 17.",
        "Sorry for the confusion! The right flag is `--locked`.",
        "Unfortunately, the flight is sold out. The next one leaves at 7.",
        "As an AI, I have no body, but I do like the idea of a picnic.",
        "\"I'm sorry, but I can't help with that\" is what the clerk says in the first scene.",
        "The tests pass. I won't change anything else.",
        "I will not lie: this is the best of the three drafts.",
        "Es tut mir leid, dass dir die Tabletten nicht helfen. Sprich mit deiner Ärztin.",
        "Ich kann gern helfen: Was soll der Brief sagen?",
        "Je suis désolé d'apprendre cela. Prenez soin de vous.",
        "Lo siento mucho por tu pérdida.",
        "Mi dispiace per il ritardo: ecco il riassunto.",
        "Desculpe pela demora. Segue o texto.",
        "抱歉让你久等了，答案是四。",
        "申し訳ありません、先ほどの計算は間違っていました。正しくは12です。",
        "東京は日本の首都です。",
        "سبب ذلك أن الشمس تشرق من الشرق.",
        "Привет! Чем могу помочь?",
        "ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha, good one",
        "hahahahahahahahahahahahahahahahahahahahahahahahahahahahahahahahahaha",
        "{\"answer\": 42",
        "# Title\n\n```rust\nfn main() {\n    println!(\"{}\", 1);\n}\n```\n",
        "Use a `<think>` tag, close it with `</think>`, and go on.",
        "1. One\n2. Two\n3. Three\n",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("| a | b |\n|---|---|\n".to_owned() + &"| 0 | 0 |\n".repeat(60));
    texts.push((1..200).map(|row| format!("| {row} | yes | no |\n")).collect());
    texts.push((1..150).map(|n| format!("let value_{n} = compute({n});\n")).collect());
    texts.push("O come, all ye faithful,\njoyful and triumphant!\n".repeat(4));
    texts.push(
        (1..9)
            .map(|verse| format!("Verse {verse} is its own.\nAnd the band played on and on.\n"))
            .collect(),
    );
    texts.push(format!("All zeros:\n[{}]", vec!["0"; 700].join(", ")));
    texts.push(format!("Done.\n{}", "-".repeat(1500)));
    texts.push(format!("<think>{}</think>Seven.", "Let me count again. ".repeat(150)));
    texts.push("You asked for it: ".to_owned() + &"I must not talk. ".repeat(100));
    // Long enough to be an answer after all.
    texts.push(
        "I'm sorry, but I can't help with that. ".to_owned() + &"But this I know: ".repeat(25),
    );
    texts
}

#[test]
fn texts_of_many_kinds_show_none() {
    let texts = texts();
    assert!(texts.len() >= 45);
    for text in texts {
        for format in ApiFormat::ALL {
            let request = request(format, None, Some(4000));
            assert_eq!(sign_of(format, &request, &says(text.clone())), None, "{format:?} {text}");
        }
    }
}

#[test]
fn calls_of_many_kinds_show_none() {
    for format in WITH_TOOLS {
        let mut request = with_tools(format);
        for said in [
            calls("weather", r#"{"city":"São Paulo \"SP\""}"#),
            calls("weather", r#" {"city":"Rome", "days": null} "#),
            calls("weather", r#"{"city":"Rome","days":3.0}"#),
            Said {
                calls: vec![("weather", r#"{"city":"Rome"}"#), ("weather", r#"{"city":"Oslo"}"#)],
                ..says("I'll look at both.")
            },
            Said { ..says("It is sunny.") },
        ] {
            assert_eq!(sign_of(format, &request, &said), None, "{format:?} {said:?}");
        }
        // What else the provider's own tool brings along is not known.
        request["tools"].as_array_mut().unwrap().push(json!({"type": "toolbox"}));
        assert_eq!(sign_of(format, &request, &calls("clock", "{}")), None, "{format:?}");
        // Nor is a request that could not be read.
        assert_eq!(sign_of(format, &json!("?"), &calls("clock", "{}")), None, "{format:?}");
    }
}

/// Answers as they come, in formats and shapes that no builder makes.
const BODIES: [(ApiFormat, &str); 17] = [
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":null,"audio":{"id":"a","data":"AA"}}}]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":"","images":[{"image_url":{"url":"data:"}}]},"finish_reason":"stop"}]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"4"}]},"finish_reason":"stop"}]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"reasoning_content":"I'm sorry, but I can't help with that.","content":"4"},"finish_reason":"stop"}]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":"4"},"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false}}}],"prompt_filter_results":[]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"weather","arguments":{"city":"Rome"}}}]},"finish_reason":"stop"}]}"#,
    ),
    (
        ApiFormat::ChatCompletions,
        r#"{"choices":[{"message":{"content":"4"},"finish_reason":null}],"error":null}"#,
    ),
    (
        ApiFormat::Completions,
        r#"{"choices":[{"text":"4","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1000}}"#,
    ),
    (ApiFormat::Responses, r#"{"object":"response","status":"queued","output":[]}"#),
    (
        ApiFormat::Responses,
        r#"{"object":"response","status":"in_progress","output":[],"error":null}"#,
    ),
    (
        ApiFormat::Responses,
        r#"{"status":"completed","output":[{"type":"image_generation_call","result":"AA"}]}"#,
    ),
    (
        ApiFormat::Responses,
        r#"{"status":"completed","output":[{"type":"computer_call","action":{"type":"click"}}]}"#,
    ),
    (
        ApiFormat::Responses,
        r#"{"status":"completed","output":[{"type":"mcp_approval_request","name":"x","arguments":"{}"}]}"#,
    ),
    (
        ApiFormat::Responses,
        r#"{"status":"completed","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"I cannot assist with that."}]},{"type":"message","content":[{"type":"output_text","text":"4"}]}]}"#,
    ),
    (
        ApiFormat::Messages,
        r#"{"type":"message","content":[{"type":"thinking","thinking":"I can't help with that."},{"type":"text","text":"4"}],"stop_reason":"end_turn"}"#,
    ),
    (
        ApiFormat::Messages,
        r#"{"type":"message","content":[],"stop_reason":"stop_sequence","stop_sequence":"\n"}"#,
    ),
    (
        ApiFormat::Messages,
        r#"{"type":"message","content":[{"type":"server_tool_use","name":"web_search","input":{}}],"stop_reason":"pause_turn"}"#,
    ),
];

#[test]
fn bodies_of_many_shapes_show_none() {
    for (format, body) in BODIES {
        assert_eq!(sign(format, &with_tools(format), JSON, body), None, "{body}");
    }
    // Neither does what cannot be read.
    for body in ["\u{1f}\u{8b}binary", "<html></html>", "{]", "{\"choices\":[\"\\ud83d\"]}"] {
        let chat = Value::Null;
        let read = examined(ApiFormat::ChatCompletions, &chat, JSON, &[body.as_bytes()]);
        assert_eq!(read.sign(true), None, "{body}");
    }
    let request = Value::Null;
    let expectation = Expectation::read(ApiFormat::Messages, request.to_string().as_bytes());
    assert!(Examiner::new(expectation, ApiFormat::Messages, b"text/html").is_none());
}

#[test]
fn what_continues_may_be_anything() {
    let mut chat = request(ApiFormat::ChatCompletions, Some(json!({"type": "object"})), None);
    let begun = json!({"role": "assistant", "content": "{\"a\":"});
    chat["messages"].as_array_mut().unwrap().push(begun);
    for text in ["1}", ""] {
        assert_eq!(sign_of(ApiFormat::ChatCompletions, &chat, &says(text)), None, "{text}");
    }
    let mut fill = request(ApiFormat::Completions, None, None);
    fill["suffix"] = json!("}");
    assert_eq!(sign_of(ApiFormat::Completions, &fill, &says("")), None);
}

#[test]
fn streams_as_servers_send_them_show_none() {
    let chat = with_tools(ApiFormat::ChatCompletions);
    let call = |call: Value| json!({"choices": [{"delta": {"tool_calls": [call]}}]});
    let end = json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]});
    let whole = |id: &str, city: &str| {
        let arguments = format!("{{\"city\":\"{city}\"}}");
        call(json!({"index": 0, "id": id, "function": {"name": "weather", "arguments": arguments}}))
    };
    let piece = |id: Value, name: Value, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        call(json!({"index": 0, "id": id, "function": function}))
    };
    for events in [
        // One number for all calls.
        vec![whole("a", "Rome"), whole("b", "Oslo"), end.clone()],
        // An ID made up for each piece.
        vec![
            piece(json!("a"), json!("weather"), ""),
            piece(json!("b"), Value::Null, r#"{"city""#),
            piece(json!("c"), json!(""), r#":"Rome"}"#),
            end.clone(),
        ],
        // The name again with each piece.
        vec![
            piece(json!("a"), json!("weather"), r#"{"city""#),
            piece(json!("a"), json!("weather"), r#":"Rome"}"#),
            end.clone(),
        ],
        // A name in pieces, which may be two.
        vec![piece(json!("a"), json!("wea"), ""), piece(Value::Null, json!("ther"), "{}"), end],
        // All that was said so far, again.
        vec![json!({"choices": [{"delta": {"content": "4"}, "message": {"content": "4"},
            "finish_reason": "stop"}]})],
    ] {
        let body = stream(&events) + "data: [DONE]";
        assert_eq!(sign(ApiFormat::ChatCompletions, &chat, EVENTS, &body), None, "{body}");
    }
    // Comments, carriage returns, and events of other kinds.
    let odd = ": keep-alive\r\n\r\nevent: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\n\
        event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\r\n\r\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"4\"}}\r\n\r\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\r\n\r\n";
    assert_eq!(sign(ApiFormat::Messages, &Value::Null, EVENTS, odd), None);
}
