use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn look_with(body: &Value, key: &PartitionKey) -> Result<Lookup, NoCacheReason> {
    let limits = Limits::default();
    lookup(ApiFormat::ChatCompletions, body.to_string().as_bytes(), key, &limits)
}

fn look(body: &Value) -> Result<Lookup, NoCacheReason> {
    look_with(body, &PartitionKey::default())
}

fn chat(text: &str) -> Value {
    json!({"model": "m", "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": text}]})
}

#[test]
fn only_the_question_may_differ_within_a_partition() {
    let base = look(&chat("a")).unwrap();
    assert_eq!(base.question.as_deref(), Some("a"));
    let other = look(&chat("b")).unwrap();
    assert_eq!(base.partition, other.partition);
    assert_ne!(base.exact, other.exact);
    let mut changed: Vec<Value> = Vec::new();
    for (pointer, value) in [
        ("/model", json!("n")),
        ("/messages/0/content", json!("t")),
        ("/messages/0/role", json!("user")),
    ] {
        let mut body = chat("a");
        *body.pointer_mut(pointer).unwrap() = value;
        changed.push(body);
    }
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("stream", json!(true)),
        ("seed", json!(1)),
        ("max_tokens", json!(5)),
        ("response_format", json!({"type": "json_object"})),
    ] {
        let mut body = chat("a");
        body[name] = value;
        changed.push(body);
    }
    for body in changed {
        let lookup = look(&body).unwrap();
        assert_ne!(lookup.partition, base.partition, "{body}");
        assert_ne!(lookup.exact, base.exact, "{body}");
    }
}

#[test]
fn partitions_never_meet() {
    let keys = [
        PartitionKey { target: "ab", tenant: b"c", ..PartitionKey::default() },
        PartitionKey { target: "a", tenant: b"bc", ..PartitionKey::default() },
        PartitionKey { target: "a", tenant: b"b", path: "c", ..PartitionKey::default() },
        PartitionKey { target: "a", tenant: b"b", headers: b"c", ..PartitionKey::default() },
        PartitionKey { target: "a", tenant: b"b", embeddings: "c", ..PartitionKey::default() },
        PartitionKey::default(),
    ];
    let found: Vec<Lookup> = keys.iter().map(|key| look_with(&chat("a"), key).unwrap()).collect();
    for (i, a) in found.iter().enumerate() {
        for b in &found[..i] {
            assert_ne!(a.partition, b.partition);
            assert_ne!(a.exact, b.exact);
        }
    }
}

#[test]
fn what_must_not_be_cached_is_bypassed_with_its_reason() {
    let with = |name: &str, value: Value| {
        let mut body = chat("a");
        body[name] = value;
        look(&body).map(|_| ())
    };
    assert_eq!(with("temperature", json!(0.9)), Err(NoCacheReason::Temperature));
    assert_eq!(with("temperature", json!(0.7)), Ok(()));
    assert_eq!(with("tools", json!([{"type": "function"}])), Err(NoCacheReason::Tools));
    assert_eq!(with("tools", json!([])), Ok(()));
    assert_eq!(with("previous_response_id", json!("r")), Err(NoCacheReason::Stateful));
    assert_eq!(with("background", json!(false)), Ok(()));
    let tool = json!({"messages": [{"role": "user", "content": "a"},
        {"role": "tool", "content": "x"}]});
    assert_eq!(look(&tool), Err(NoCacheReason::Tools));
    let key = PartitionKey::default();
    for body in [
        "",
        "{",
        "[]",
        "{\"messages\": []}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"n\":1,\"n\":2}",
    ] {
        let format = ApiFormat::ChatCompletions;
        let found = lookup(format, body.as_bytes(), &key, &Limits::default());
        assert_eq!(found, Err(NoCacheReason::Malformed), "{body}");
    }
}

#[test]
fn only_plain_text_of_the_user_is_a_question() {
    let question = |content: Value| {
        look(&json!({"messages": [{"role": "user", "content": content}]})).unwrap().question
    };
    assert_eq!(question(json!("a")).as_deref(), Some("a"));
    assert_eq!(question(json!([{"type": "text", "text": "a"}])).as_deref(), Some("a"));
    let image = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]);
    assert_eq!(question(image), None);
    assert_eq!(question(json!("a".repeat(MAX_TEXT_BYTES + 1))), None);
    let assistant = json!({"messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}]});
    assert_eq!(look(&assistant).unwrap().question, None);
}

#[test]
fn every_format_has_its_question() {
    for (format, body) in [
        (ApiFormat::Completions, json!({"prompt": "a"})),
        (ApiFormat::Responses, json!({"input": "a", "store": false})),
        (
            ApiFormat::Responses,
            json!({"input": [{"role": "user", "content": [
            {"type": "input_text", "text": "a"}]}], "store": false}),
        ),
        (
            ApiFormat::Messages,
            json!({"system": "s", "messages": [
            {"role": "user", "content": "a"}]}),
        ),
    ] {
        let limits = Limits::default();
        let found = lookup(format, body.to_string().as_bytes(), &PartitionKey::default(), &limits);
        assert_eq!(found.unwrap().question.as_deref(), Some("a"), "{body}");
    }
}

/// The key of a body as it is written.
fn exact_of(format: ApiFormat, body: &str) -> Result<ExactKey, NoCacheReason> {
    let limits = Limits { tools: true, ..Limits::default() };
    lookup(format, body.as_bytes(), &PartitionKey::default(), &limits).map(|found| found.exact)
}

/// A request of this format with these fields before its text.
fn asking(format: ApiFormat, fields: &str) -> String {
    match format {
        ApiFormat::Completions => format!("{{{fields}\"prompt\": \"a\"}}"),
        ApiFormat::Responses => format!("{{{fields}\"store\": false, \"input\": \"a\"}}"),
        ApiFormat::ChatCompletions | ApiFormat::Messages => {
            format!("{{{fields}\"messages\": [{{\"role\": \"user\", \"content\": \"a\"}}]}}")
        }
    }
}

#[test]
fn what_does_not_change_an_answer_does_not_change_the_key() {
    for format in ApiFormat::ALL {
        let plain = exact_of(format, &asking(format, "")).unwrap();
        for fields in [
            r#""metadata": {"user_id": "u"}, "#,
            r#""user": "u", "#,
            r#""safety_identifier": "s", "#,
            r#""prompt_cache_key": "k", "prompt_cache_retention": "24h", "#,
            r#""client_metadata": {"session": "1"}, "#,
            r#""service_tier": "flex", "#,
            r#""cache_control": {"type": "ephemeral"}, "#,
            r#""stream": false, "stop": null, "temperature": null, "#,
        ] {
            assert_eq!(exact_of(format, &asking(format, fields)), Ok(plain), "{fields}");
        }
        for (one, other) in [
            (r#""temperature": 0, "#, r#""temperature": 0.0, "#),
            (r#""temperature": 0, "#, r#""temperature": -0.0, "#),
            (r#""top_p": 1, "#, r#""top_p": 1.0, "#),
            (r#""max_tokens": 100, "#, r#""max_tokens": 1e2, "#),
        ] {
            let [one, other] = [one, other].map(|fields| exact_of(format, &asking(format, fields)));
            assert_eq!(one, other);
            assert_ne!(one, Ok(plain));
        }
    }
}

#[test]
fn a_text_is_the_same_as_one_part_with_it() {
    let [chat, messages] = [ApiFormat::ChatCompletions, ApiFormat::Messages];
    for (format, one, other) in [
        (
            chat,
            json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}),
            json!({"messages": [{"role": "system", "content": [{"type": "text", "text": "s"}]},
                {"role": "user", "name": null, "content": [{"text": "a", "type": "text"}]}]}),
        ),
        (
            messages,
            json!({"system": "s", "messages": [{"role": "user", "content": "a"}]}),
            json!({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
                "messages": [{"role": "user", "content": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]}),
        ),
        (
            messages,
            json!({"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "r"}]}]}),
            json!({"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "r"}]}]}]}),
        ),
        (
            ApiFormat::Responses,
            json!({"store": false, "input": "a"}),
            json!({"store": false, "input": [{"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "a"}]}]}),
        ),
        (ApiFormat::Completions, json!({"prompt": "a"}), json!({"prompt": ["a"]})),
    ] {
        let [one, other] = [one, other].map(|body| exact_of(format, &body.to_string()).unwrap());
        assert_eq!(one, other, "{format:?}");
    }
    let tools = |breakpoint: &str| {
        let tool = format!("{{\"name\": \"f\", \"input_schema\": {{}}{breakpoint}}}");
        exact_of(messages, &asking(messages, &format!("\"tools\": [{tool}], ")))
    };
    assert_eq!(tools(""), tools(r#", "cache_control": {"type": "ephemeral"}"#));
}

#[test]
fn what_a_model_may_see_stays_in_the_key() {
    let chat = ApiFormat::ChatCompletions;
    let schema = |properties: &str| {
        format!(
            r#""response_format": {{"type": "json_schema", "json_schema": {{"name": "s", "schema":
                {{"type": "object", "properties": {properties}}}}}}}, "#
        )
    };
    let tool = |parameters: &str| {
        format!(
            r#""tools": [{{"type": "function", "function": {{"name": "f", "parameters": {parameters}}}}}], "#
        )
    };
    let unknown = |value: &str| format!(r#""x": [{value}], "#);
    for (one, other) in [
        // Answers come in the order of the properties.
        (schema(r#"{"why": {}, "answer": {}}"#), schema(r#"{"answer": {}, "why": {}}"#)),
        (tool(r#"{"a": {}, "b": {}}"#), tool(r#"{"b": {}, "a": {}}"#)),
        (schema(r#"{"a": {"default": null}}"#), schema(r#"{"a": {}}"#)),
        (schema(r#"{"a": {"const": 1}}"#), schema(r#"{"a": {"const": 1.0}}"#)),
        (schema(r#"{"metadata": {}}"#), schema("{}")),
        (schema(r#"{"user": {}}"#), schema("{}")),
        (unknown("1"), unknown("\"1\"")),
        (unknown("1"), unknown("1.0")),
        (unknown("[]"), unknown("{}")),
        (unknown("null"), unknown("")),
        (r#""seed": 18446744073709551615, "#.into(), r#""seed": 18446744073709551614, "#.into()),
        (r#""store": false, "#.into(), String::new()),
        (r#""stream": true, "#.into(), String::new()),
        (r#""stop": [], "#.into(), String::new()),
    ] {
        let [first, second] = [&one, &other].map(|fields| exact_of(chat, &asking(chat, fields)));
        assert!(first.is_ok() && second.is_ok(), "{one}: {first:?} {second:?}");
        assert_ne!(first, second, "{one}");
    }
    let seed = r#""seed": 18446744073709551617, "#;
    assert_eq!(exact_of(chat, &asking(chat, seed)), Err(NoCacheReason::Malformed));
}

#[test]
fn what_the_provider_keeps_is_not_cached() {
    let responses = ApiFormat::Responses;
    for body in [
        json!({"input": "a"}),
        json!({"input": "a", "store": null}),
        json!({"input": "a", "store": true}),
        json!({"input": "a", "store": false, "conversation": {"id": "c"}}),
        json!({"input": "a", "store": false, "background": true}),
        json!({"input": "a", "store": false, "prompt": {"id": "p"}}),
        json!({"input": [{"type": "item_reference", "id": "i"}, {"role": "user", "content": "a"}],
            "store": false}),
        json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"},
            {"type": "input_text", "text": "a"}]}], "store": false}),
    ] {
        let found = exact_of(responses, &body.to_string());
        assert_eq!(found, Err(NoCacheReason::Stateful), "{body}");
    }
    let text = json!({"type": "text", "text": "a"});
    let document = json!({"type": "document", "source": {"type": "file", "file_id": "f"}});
    let inside = json!({"type": "tool_result", "tool_use_id": "t", "content": [document]});
    let file = json!({"type": "file", "file": {"file_id": "f"}});
    for (format, fields, content) in [
        (ApiFormat::Messages, "\"thread\": {\"type\": \"create\"}, ", json!("a")),
        (ApiFormat::Messages, "\"container\": \"c\", ", json!("a")),
        (ApiFormat::Messages, "", json!([document, text])),
        (ApiFormat::Messages, "", json!([inside, text])),
        (ApiFormat::ChatCompletions, "\"store\": true, ", json!("a")),
        (ApiFormat::ChatCompletions, "", json!([file, text])),
    ] {
        let turn = json!({"role": "user", "content": content});
        let body = format!("{{{fields}\"messages\": [{turn}]}}");
        assert_eq!(exact_of(format, &body), Err(NoCacheReason::Stateful), "{body}");
    }
    let spoken = r#"{"messages": [{"role": "assistant", "audio": {"id": "audio_1"}},
        {"role": "user", "content": "a"}]}"#;
    assert_eq!(exact_of(ApiFormat::ChatCompletions, spoken), Err(NoCacheReason::Stateful));
    let held = json!({"input": [{"role": "user", "content": [{"type": "input_file",
        "filename": "f", "file_data": "data:application/pdf;base64,JVBE"}]}], "store": false});
    assert!(exact_of(responses, &held.to_string()).is_ok(), "all of it is in the body");
}

#[test]
fn what_changes_by_itself_is_not_cached() {
    let chat = ApiFormat::ChatCompletions;
    for fields in [
        r#""web_search_options": {}, "#,
        r#""search_parameters": {"mode": "auto"}, "#,
        r#""plugins": [{"id": "web"}], "#,
        r#""mcp_servers": [{"url": "https://x"}], "#,
        r#""tools": [{"type": "web_search"}], "#,
        r#""tools": [{"type": "function", "function": {"name": "f"}}, {"type": "mcp"}], "#,
        r#""tools": [{"type": "web_search_20250305", "name": "web_search"}], "#,
        r#""tools": [{"type": "code_execution_20250825", "name": "code_execution"}], "#,
        r#""tools": [{"google_search": {}}], "#,
        r#""tools": [{"type": null, "url_context": {}}], "#,
        r#""tools": [{"name": "web_search"}], "#,
        r#""tools": [{"function": {"name": "f"}}, {"googleSearch": {}}], "#,
        r#""tools": [{"function": "web_search"}], "#,
        r#""model": "gpt-4o-search-preview", "#,
        r#""model": "perplexity/sonar-pro", "#,
        r#""model": "openai/gpt-4o:online", "#,
    ] {
        let found = exact_of(chat, &asking(chat, fields));
        assert_eq!(found, Err(NoCacheReason::Live), "{fields}");
    }
    let image = |url: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let text = json!({"type": "text", "text": "What is it?"});
        exact_of(
            chat,
            &json!({"messages": [{"role": "user", "content": [part, text]}]}).to_string(),
        )
    };
    assert_eq!(image("https://example.com/now.png"), Err(NoCacheReason::Live));
    assert!(image("data:image/png;base64,iVBO").is_ok());
    for fields in [
        r#""web_search_options": null, "mcp_servers": [], "enable_search": false, "#,
        r#""tools": [{"type": "function", "function": {"name": "web_search"}}], "#,
        r#""tools": [{"name": "f", "input_schema": {}}], "#,
        r#""tools": [{"name": "f", "parameters": {}}], "#,
        r#""tools": [{"function": {"name": "google_search"}}], "#,
        r#""tools": [{"type": "bash_20250124", "name": "bash"}], "#,
        r#""model": "researcher", "#,
    ] {
        assert!(exact_of(chat, &asking(chat, fields)).is_ok(), "{fields}");
    }
}

/// JSON of a few kinds, nested a little.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Two values of a field that is not known have one key only if they are one value.
    #[test]
    fn different_values_never_have_one_key(one in any_json(), other in any_json()) {
        let body = |value: &Value| {
            let mut body = chat("a");
            body["response_format"] = json!({"x": value});
            look(&body).unwrap().exact
        };
        prop_assert_eq!(body(&one) == body(&other), one == other);
    }
}
