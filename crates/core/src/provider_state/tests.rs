use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::UsageReader;
use crate::prompt::ApiFormat;

fn named(body: &Value) -> NamedState {
    NamedState::of(body.to_string().as_bytes(), &["prompt_cache_key".to_owned()])
}

fn ids(names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| state_id(name.as_bytes()).unwrap()).collect()
}

/// What an answer leaves behind, read in pieces of `size` bytes.
fn made(format: ApiFormat, content_type: &str, answer: &str, size: usize) -> Vec<u64> {
    let reader = UsageReader::new(content_type.as_bytes()).unwrap();
    let mut reader = reader.with_state(MadeState::new(format));
    let mut made = Vec::new();
    for piece in answer.as_bytes().chunks(size) {
        reader.read(piece);
        made.extend(reader.take_state());
    }
    made
}

#[test]
fn state_is_found_wherever_a_format_names_it() {
    for (body, expected) in [
        (json!({"previous_response_id": "resp_1", "input": "Go on."}), &["resp_1"][..]),
        (json!({"conversation": "conv_1", "input": []}), &["conv_1"]),
        (json!({"conversation": {"id": "conv_2"}, "input": []}), &["conv_2"]),
        (
            json!({"input": [{"id": "msg_3", "type": "item_reference"},
                             {"type": "reasoning", "id": "rs_4", "encrypted_content": "gAAA"}]}),
            &["msg_3", "gAAA", "rs_4"],
        ),
        (json!({"input": [{"type": "compaction", "encrypted_content": "gBBB"}]}), &["gBBB"]),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-5"}]}]}),
            &["file-5"],
        ),
        (
            json!({"input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_6"]},
                                           {"type": "code_interpreter", "container": "cntr_7"}]}),
            &["vs_6", "cntr_7"],
        ),
        (json!({"container": "container_8", "messages": []}), &["container_8"]),
        (json!({"thread": {"type": "continue", "previous_message_id": "msg_9"}}), &["msg_9"]),
        (
            json!({"messages": [{"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sig-10"},
                {"type": "redacted_thinking", "data": "red-11"}]}]}),
            &["sig-10", "red-11"],
        ),
        (
            json!({"messages": [{"role": "user", "content": [
                {"type": "document", "source": {"type": "file", "file_id": "file_12"}}]}]}),
            &["file_12"],
        ),
        (json!({"messages": [{"role": "assistant", "audio": {"id": "audio_13"}}]}), &["audio_13"]),
    ] {
        let found = named(&body);
        let (mut found_ids, mut expected) = (found.ids, ids(expected));
        found_ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found_ids, expected, "{body}");
        assert!(found.is_needed, "{body}");
    }
}

#[test]
fn what_only_looks_like_state_is_none() {
    for body in [
        json!({"messages": [{"role": "user", "content": "previous_response_id: resp_1"}]}),
        json!({"messages": [{"role": "user", "content": "{\"previous_response_id\": \"resp_1\"}"}]}),
        json!({"previous_response_id": null, "conversation": null, "container": {}, "input": "x"}),
        json!({"input": [{"type": "message", "id": "msg_1", "role": "assistant", "content": []}]}),
        json!({"thread": {"type": "create"}, "messages": []}),
        json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1",
               "input": {"file_id": "a", "container": "b", "signature": "c", "data": "d"}}]}]}),
        json!({"tools": [{"function": {"name": "sign", "parameters": {"properties":
               {"signature": {"type": "string"}, "file_id": {"type": "string"}}}}}]}),
        json!({"messages": [{"role": "user", "content": [
               {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo"}},
               {"type": "input_audio", "input_audio": {"data": "UklGR", "format": "wav"}}]}]}),
        json!({"metadata": {"conversation": "c", "file_id": "f"}, "messages": []}),
        json!({"messages": [{"role": "user", "content": [{"type": "thinking", "signature": ""}]}]}),
    ] {
        let found = named(&body);
        assert!(!found.is_needed && found.ids.is_empty(), "{body}: {found:?}");
    }
}

#[test]
fn history_at_the_provider_is_told_from_state_in_between() {
    let history = |body: Value| named(&body).history;
    assert!(history(json!({"previous_response_id": "resp_1"})));
    assert!(history(json!({"conversation": {"id": "conv_1"}})));
    assert!(history(json!({"thread": {"type": "continue"}})));
    assert!(!history(json!({"input": [{"type": "reasoning", "encrypted_content": "gAAA"}]})));
}

#[test]
fn a_cache_key_names_a_session_only_if_it_is_one_of_a_kind() {
    let session = |key: &str| named(&json!({"prompt_cache_key": key})).session;
    let one = session("0199f3a1-7c3e-7d11-9d0a-3b1f2c4d5e6f");
    assert!(one.is_some());
    assert_ne!(one, session("0199f3a1-7c3e-7d11-9d0a-3b1f2c4d5e70"));
    assert!(session("ses_6f2b9d0c1ffeGk3JqWmZ81aX").is_some());
    for shared in ["", "my-app", "my-app-v2-production-2026", "the-same-for-every-conversation"] {
        assert_eq!(session(shared), None, "{shared}");
    }
    let deeper = json!({"metadata": {"prompt_cache_key": "0199f3a1-7c3e-7d11-9d0a-3b1f2c4d5e6f"}});
    assert_eq!(named(&deeper).session, None);
}

#[test]
fn the_last_of_many_count() {
    let items: Vec<Value> = (0..500)
        .map(|number| json!({"type": "reasoning", "encrypted_content": format!("secret-{number}")}))
        .collect();
    let found = named(&json!({ "input": items }));
    assert_eq!(found.ids.last(), ids(&["secret-499"]).last());
    assert!(found.ids.len() <= 64);
}

#[test]
fn an_answer_says_what_it_leaves_behind_whole_or_streamed() {
    let json = "application/json";
    let events = "text/event-stream";
    let response = r#"{"id":"resp_1","object":"response","conversation":{"id":"conv_1"},"output":[
        {"id":"rs_1","type":"reasoning","encrypted_content":"gAAA"},{"id":"msg_1","type":"message"}]}"#;
    let streamed = format!(
        "event: x\ndata: {{\"type\":\"response.created\",\"response\":{{\"id\":\"resp_1\"}}}}\n\n\
         data: {{\"type\":\"response.output_item.done\",\"item\":{{\"id\":\"rs_1\",\
         \"encrypted_content\":\"gAAA\"}}}}\n\n\
         data: {{\"type\":\"response.completed\",\"response\":{}}}\n\n",
        response.replace('\n', " ")
    );
    let message = r#"{"id":"msg_2","type":"message","container":{"id":"container_1"},
        "content":[{"type":"thinking","signature":"sig-1"},{"type":"tool_use","id":"t","input":{"signature":"x"}}]}"#;
    let message_streamed = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_2\"}}\n\n\
        data: {\"delta\":{\"type\":\"signature_delta\",\"signature\":\"sig-1\"}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"container\":{\"id\":\"container_1\"}}}\n\n";
    let chat = r#"{"id":"chatcmpl-1","choices":[{"message":{"audio":{"id":"audio_1"}}}]}"#;
    for (format, content_type, answer, expected) in [
        (ApiFormat::Responses, json, response, &["resp_1", "conv_1", "rs_1", "gAAA", "msg_1"][..]),
        (ApiFormat::Responses, events, &streamed, &["resp_1", "rs_1", "gAAA", "conv_1", "msg_1"]),
        (ApiFormat::Messages, json, message, &["msg_2", "container_1", "sig-1"]),
        (ApiFormat::Messages, events, message_streamed, &["msg_2", "sig-1", "container_1"]),
        (ApiFormat::ChatCompletions, json, chat, &["audio_1"]),
    ] {
        for size in [1, 7, 4096] {
            assert_eq!(made(format, content_type, answer, size), ids(expected), "{answer}");
        }
    }
}

#[test]
fn a_path_names_a_member_of_a_collection() {
    let id = |name: &str| state_id(name.as_bytes());
    for (path, expected) in [
        ("/v1/responses/resp_1", id("resp_1")),
        ("/llm/v1/responses/resp_1/cancel", id("resp_1")),
        ("/v1/responses/resp_1/input_items?limit=2", id("resp_1")),
        ("/v1/conversations/conv_1/items", id("conv_1")),
        ("/v1/chat/completions/chatcmpl-1", id("chatcmpl-1")),
        ("/v1/responses", None),
        ("/v1/responses/?x=/resp_1", None),
        ("/v1/models/gpt", None),
    ] {
        assert_eq!(in_path(path.as_bytes()), expected, "{path}");
    }
}

proptest! {
    /// Any bytes: no panic, and never more than is bounded.
    #[test]
    fn any_body_is_read(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let found = NamedState::of(&body, &[]);
        prop_assert!(found.ids.len() <= 64);
    }

    /// A secret that an answer gave is found again in the request that brings it back.
    #[test]
    fn what_was_given_is_found_again(secret in "[A-Za-z0-9+/=_-]{1,400}", text in ".{0,60}") {
        let answer = json!({"id": "resp_1", "output": [
            {"type": "reasoning", "encrypted_content": secret}, {"content": [{"text": text}]}]});
        let made = made(ApiFormat::Responses, "application/json", &answer.to_string(), 9);
        let request = json!({"input": [{"role": "user", "content": text},
            {"type": "reasoning", "encrypted_content": secret}], "instructions": text});
        for id in named(&request).ids {
            prop_assert!(made.contains(&id));
        }
    }
}
