//! Requests of every API.

use super::*;

#[test]
fn messages_text_and_json_text_all_become_a_chat_body() {
    for recorded in [
        json!({"messages": [{"role": "user", "content": "hi"}]}),
        json!([{"role": "user", "content": "hi"}]),
        json!("hi"),
        json!("[{\"role\":\"user\",\"content\":\"hi\"}]"),
    ] {
        let request = Request::from_recorded(recorded.clone()).expect("readable");
        assert_eq!(request.question(), "hi", "{recorded}");
    }
    assert!(Request::from_recorded(json!({"model": "m"})).is_err());
    assert!(Request::from_recorded(json!({"messages": []})).is_err());
}

#[test]
fn the_replayed_body_names_the_cheap_model_and_is_not_streamed() {
    let recorded = json!({"model": "strong", "stream": true, "temperature": 0.5,
        "messages": [{"role": "user", "content": "hi"}]});
    let request = Request::from_recorded(recorded).expect("readable");
    assert_eq!(
        request.for_model("cheap"),
        json!({"model": "cheap", "temperature": 0.5,
            "messages": [{"role": "user", "content": "hi"}]})
    );
}

fn sent(recorded: Value, path: Option<&str>) -> Value {
    let request = Request::from_logged(recorded, path).expect("readable");
    assert_eq!(request.refusal(), None);
    request.for_model("cheap")
}

fn refusal(recorded: Value) -> String {
    let request = Request::from_recorded(recorded).expect("readable");
    request.refusal().expect("a refusal").to_owned()
}

#[test]
fn an_anthropic_body_is_asked_as_a_chat() {
    let recorded = json!({"model": "c", "max_tokens": 64, "top_p": 0.5, "stop_sequences": ["END"],
        "metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 2048},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Use words."}],
        "tools": [{"name": "calc", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAA="}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "I count."},
                {"type": "tool_use", "id": "t1", "name": "calc", "input": {"x": 1}},
                {"type": "tool_use", "id": "t2", "name": "calc", "input": {"x": 2}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "8"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": true,
                    "content": [{"type": "text", "text": "no"}]},
                {"type": "text", "text": "Go on."}]}]});
    let call = |id: &str, arguments: &str| {
        json!({"id": id, "type": "function",
        "function": {"name": "calc", "arguments": arguments}})
    };
    assert_eq!(
        sent(recorded.clone(), None),
        json!({"model": "cheap", "max_tokens": 64, "top_p": 0.5, "stop": ["END"],
            "tools": [{"type": "function", "function": {"name": "calc", "description": "d",
                "parameters": {"type": "object"}}}],
            "tool_choice": "required", "parallel_tool_calls": false,
            "messages": [
                {"role": "system", "content": "Be brief.\nUse words."},
                {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}}]},
                {"role": "assistant", "content": "I count.",
                    "tool_calls": [call("t1", "{\"x\":1}"), call("t2", "{\"x\":2}")]},
                {"role": "tool", "tool_call_id": "t1", "content": "8"},
                {"role": "tool", "tool_call_id": "t2", "content": "Error: no"},
                {"role": "user", "content": "Go on."}]})
    );
    let request = Request::from_recorded(recorded.clone()).expect("readable");
    assert_eq!((request.body(), request.path()), (&recorded, Some("/v1/messages")));
}

#[test]
fn a_responses_body_is_asked_as_a_chat() {
    let recorded = json!({"model": "m", "instructions": "Be brief.", "max_output_tokens": 9,
        "store": true, "reasoning": {"effort": "low"}, "stream": true,
        "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": {"type": "function", "name": "f"},
        "input": [
            {"role": "developer", "content": "Rules."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"}]});
    assert_eq!(
        sent(recorded, Some("https://api.example.com/v1/responses?x=1")),
        json!({"model": "cheap", "max_tokens": 9,
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f", "strict": false,
                "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "system", "content": "Rules."},
                {"role": "user", "content": [{"type": "text", "text": "See"},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
                    "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "1"}]})
    );
    assert_eq!(
        sent(json!({"input": "hi"}), None),
        json!({"model": "cheap", "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn a_completion_is_asked_as_one_message() {
    let recorded = json!({"model": "m", "prompt": "Say hi", "max_tokens": 3, "stop": "\n", "n": 1, "echo": false});
    assert_eq!(
        sent(recorded, None),
        json!({"model": "cheap", "max_tokens": 3, "stop": "\n",
            "messages": [{"role": "user", "content": "Say hi"}]})
    );
}

#[test]
fn what_has_no_equivalent_is_refused_by_name() {
    let anthropic = |field: &str, value: Value| {
        let mut body = json!({"system": "s", "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    };
    let user =
        |part: Value| json!({"system": "s", "messages": [{"role": "user", "content": [part]}]});
    for (body, name) in [
        (anthropic("top_k", json!(5)), "top_k"),
        (anthropic("container", json!("c")), "container"),
        (
            anthropic("tools", json!([{"type": "web_search_20250305", "name": "web_search"}])),
            "web_search_20250305",
        ),
        (user(json!({"type": "search_result"})), "search_result"),
        (user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})), "source file"),
        (
            json!({"system": "s", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}),
            "beginning",
        ),
        (json!({"input": "hi", "previous_response_id": "r"}), "previous_response_id"),
        (json!({"input": "hi", "tools": [{"type": "file_search"}]}), "file_search"),
        (json!({"input": [{"type": "computer_call"}]}), "computer_call"),
        (json!({"input": "hi", "unheard_of": 1}), "unheard_of"),
        (json!({"prompt": ["a", "b"]}), "several prompts"),
        (json!({"prompt": [[1, 2]]}), "tokens"),
        (json!({"prompt": "a", "suffix": "b"}), "suffix"),
        (json!({"prompt": "a", "logprobs": 3}), "logprobs"),
    ] {
        let refusal = refusal(body.clone());
        assert!(refusal.contains(name), "{body}: {refusal}");
    }
}

#[test]
fn what_is_not_a_chat_is_no_request() {
    for (body, what) in [
        (json!({"messages": [{"content": "hi"}]}), "messages[0] has no role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0] has no content"),
        (json!({"messages": [{"role": "user", "content": null}]}), "no content"),
        (json!({"messages": ["hi"]}), "not an object"),
        (json!({"contents": []}), "Gemini"),
        (json!({"input": "hi", "encoding_format": "float"}), "embeddings"),
    ] {
        let error = Request::from_recorded(body.clone()).expect_err("not a chat");
        assert!(error.contains(what), "{body}: {error}");
    }
    assert!(Request::from_logged(json!({"input": "hi"}), Some("/v1/embeddings")).is_err());
}

#[test]
fn messages_of_frameworks_and_base64_become_chats() {
    let chat = json!([{"role": "user", "content": "How many legs has a spider?"}]);
    let lc = json!([{"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"],
        "kwargs": {"content": "How many legs has a spider?"}}]);
    let otel = json!([{"role": "user", "parts": [{"type": "text", "content": "How many legs has a spider?"}]}]);
    let human = json!([{"type": "human", "content": "How many legs has a spider?"}]);
    let encoded = json!(BASE64_STANDARD.encode(json!({"messages": chat}).to_string()));
    for recorded in [lc, otel, human, encoded] {
        let request = Request::from_recorded(recorded.clone()).expect("readable");
        assert_eq!(request.for_model("m")["messages"], chat, "{recorded}");
    }
}
