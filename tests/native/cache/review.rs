//! Answers, headers and questions of many kinds that must not be kept, shared or mixed up.

use std::collections::BTreeMap;

use anyhow::Result;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use pointsman_testkit::client::{self, Response};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};
use pointsman_testkit::root;

/// A question and another one that its answer does not answer.
#[derive(Deserialize)]
struct Different {
    one: String,
    other: String,
}

/// Sends a body to a path; the model answers with the body itself.
fn echoed(proxy: &Proxy, path: &str, body: &Value) -> Result<Response> {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .header("x-reply", "echo")
        .body(client::whole(body.to_string()))?;
    proxy.send(request)
}

#[test]
fn the_answer_to_one_question_never_serves_a_different_one() -> Result<()> {
    let path = root().join("tests/cases/review_questions.jsonl");
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let mut wrong = Vec::new();
    let text = std::fs::read_to_string(path)?;
    for (number, line) in text.lines().enumerate() {
        let Different { one, other } = serde_json::from_str(line)?;
        for (turn, first, second) in [("there", &one, &other), ("back", &other, &one)] {
            let tenant = format!("Bearer {number} {turn}");
            let tenant = [("authorization", tenant.as_str())];
            proxy.post(&chat(first), &tenant)?;
            let response = proxy.post(&chat(second), &tenant)?;
            if outcome(&response) != "miss" {
                wrong.push(format!("{first:?} serves {second:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn answers_that_say_they_are_for_nobody_else_are_not_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    for (number, (header, kept)) in [
        ("Cache-Control: PRIVATE", false),
        ("cache-control: private=\"set-cookie\"", false),
        ("cache-control: max-age=60, private", false),
        ("cache-control: no-store, max-age=60", false),
        ("cache-control: no-cache=\"authorization\"", false),
        ("cache-control: max-age=0", false),
        ("cache-control: max-age=\"0\"", false),
        ("cache-control: max-age=-1", false),
        ("cache-control: max-age=abc", false),
        ("cache-control: max-age=60 no-store", false),
        ("cache-control: foo=\"a, no-store", false),
        ("vary: *", false),
        ("vary: user-agent", false),
        ("vary: X-Forwarded-For", false),
        ("vary: accept, x-session-id", false),
        ("vary: x-real-ip", false),
        ("vary: x-stainless-lang", false),
        ("vary: idempotency-key", false),
        ("content-encoding: br", false),
        ("content-encoding: gzip, identity", false),
        ("cache-control: public, max-age=60", true),
        ("cache-control: must-revalidate, max-age=60", true),
        ("cache-control: immutable", true),
        ("vary: Authorization", true),
        ("vary: cookie", true),
        ("vary: origin", true),
        ("vary: accept-encoding", true),
    ]
    .into_iter()
    .enumerate()
    {
        let body = chat(&format!("Please describe item {number} of the catalogue."));
        let reply = format!("with {header}");
        proxy.post(&body, &[("x-reply", &reply)])?;
        let again = proxy.post(&body, &[("x-reply", &reply)])?;
        assert_eq!(outcome(&again) == "hit-exact", kept, "{header}");
    }
    Ok(())
}

#[test]
fn what_only_looks_like_an_answer_is_not_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tools"])?;
    let said = |content: &str, finish: Value| json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}]});
    let with = |mut answer: Value, field: &str, value: Value| {
        answer[field] = value;
        answer
    };
    let called = |function: Value| json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "1", "type": "function", "function": function}]}, "finish_reason": "tool_calls"}]});
    let whole = || said("Oslo", json!("stop"));
    let chats = [
        json!({"errors": [{"message": "x"}]}),
        json!({"choices": {}}),
        json!({"choices": [{"message": null, "finish_reason": "stop"}]}),
        json!({"success": false, "message": "quota"}),
        json!({"status": 500, "title": "Internal"}),
        json!({"fault": {"faultstring": "x"}}),
        said("\u{a0}", json!("stop")),
        said("Oslo", json!("STOP")),
        said("Oslo", json!("MAX_TOKENS")),
        said("Oslo", json!("SAFETY")),
        said("Oslo", json!("abort")),
        said("Oslo", json!("cancelled")),
        said("Oslo", json!("insufficient_system_resource")),
        with(whole(), "error", json!({})),
        with(whole(), "error", json!("")),
        with(whole(), "error", json!(false)),
        called(json!({"name": "f", "arguments": "{\"a\": \"x"})),
        called(json!({"arguments": "{}"})),
        json!({"message": "Endpoint request timed out"}),
        json!({"result": "ok"}),
        json!({"type": "error", "error": {"type": "overloaded_error"}}),
        json!({"choices": null}),
        with(said("", json!("stop")), "reasoning_content", json!("hm")),
        json!({"choices": [whole()["choices"][0], said("Os", json!("length"))["choices"][0]]}),
        json!({"choices": [{"message": {"content": null, "function_call": {"arguments": "{}"}},
            "finish_reason": "function_call"}]}),
    ];
    let text = |stop: Value| json!({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Oslo"}], "stop_reason": stop});
    let messages = [
        text(Value::Null),
        text(json!("compaction")),
        with(text(json!("end_turn")), "content", json!([{"type": "thinking", "thinking": "x"}])),
        with(
            text(json!("end_turn")),
            "content",
            json!([{"type": "server_tool_use", "name": "web_search", "id": "1", "input": {}}]),
        ),
    ];
    let paths = BTreeMap::from([
        ("/v1/chat/completions", chats.to_vec()),
        ("/v1/messages", messages.to_vec()),
    ]);
    let mut number = 0;
    for (path, answers) in paths {
        for answer in answers {
            number += 1;
            let question = format!("Please describe item {number} of the catalogue.");
            let mut body = answer;
            body["model"] = json!("m");
            body["max_tokens"] = json!(9);
            body["messages"] = json!([{"role": "user", "content": question}]);
            echoed(&proxy, path, &body)?;
            assert_eq!(outcome(&echoed(&proxy, path, &body)?), "miss", "{body}");
        }
    }
    Ok(())
}

#[test]
fn what_refers_to_something_that_a_provider_keeps_is_not_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tools"])?;
    let [responses, messages, chats] = ["/v1/responses", "/v1/messages", "/v1/chat/completions"];
    let input = |more: Value| {
        let mut body = json!({"model": "m", "input": "Which is the capital of Norway?",
            "status": "completed", "output": [{"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": "Oslo"}]}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let message = |more: Value| {
        let mut body = json!({"model": "m", "max_tokens": 9, "type": "message", "role": "assistant",
            "messages": [{"role": "user", "content": "Which is the capital of Norway?"}],
            "content": [{"type": "text", "text": "Oslo"}], "stop_reason": "end_turn"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let chat = |more: Value| {
        let mut body = chat("Which is the capital of Norway?");
        body["choices"] = json!([{"message": {"content": "Oslo"}, "finish_reason": "stop"}]);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f-1"}]}]);
    let reference =
        json!([{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "And?"}]);
    for (path, body, kept) in [
        (responses, input(json!({"store": false})), true),
        (responses, input(json!({})), false),
        (responses, input(json!({"store": null})), false),
        (responses, input(json!({"store": false, "background": true})), false),
        (responses, input(json!({"store": false, "conversation": "conv_1"})), false),
        (responses, input(json!({"store": false, "input": file})), false),
        (responses, input(json!({"store": false, "input": reference})), false),
        (messages, message(json!({})), true),
        (messages, message(json!({"container": "cont_1"})), false),
        (messages, message(json!({"thread": {"type": "create"}})), false),
        (chats, chat(json!({})), true),
        (chats, chat(json!({"store": true})), false),
        (chats, chat(json!({"web_search_options": {}})), false),
    ] {
        echoed(&proxy, path, &body)?;
        assert_eq!(outcome(&echoed(&proxy, path, &body)?) == "hit-exact", kept, "{body}");
    }
    Ok(())
}

#[test]
fn headers_that_may_tell_callers_apart_split_the_cache() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let key = ("authorization", "Bearer k");
    for (number, (more, shared)) in [
        (vec![("authorization", "Bearer z")], false),
        (vec![("x-api-key", "z")], false),
        (vec![("proxy-authorization", "Basic z")], false),
        (vec![("x-goog-iap-jwt-assertion", "z")], false),
        (vec![("x-amzn-oidc-identity", "z")], false),
        (vec![("cf-aig-authorization", "z")], false),
        (vec![("helicone-user-id", "z")], false),
        (vec![("x-portkey-virtual-key", "z")], false),
        (vec![("remote-user", "z")], false),
        (vec![("dpop", "z")], false),
        (vec![("openai-project", "z")], false),
        (vec![("x-unknown", "")], false),
        (vec![("connection", "authorization")], false),
        (vec![("user-agent", "z")], true),
        (vec![("x-stainless-retry-count", "2")], true),
        (vec![("idempotency-key", "1")], true),
        (vec![("forwarded", "for=1")], true),
    ]
    .into_iter()
    .enumerate()
    {
        let body = chat(&format!("Please describe item {number} of the catalogue."));
        proxy.post(&body, &[key])?;
        let headers = [&[key][..], &more].concat();
        let response = proxy.send(post(&body, &headers)?)?;
        assert_eq!(outcome(&response) == "hit-exact", shared, "{more:?}");
    }
    Ok(())
}

#[test]
fn parameters_that_may_change_an_answer_split_the_cache() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tools"])?;
    let tool = |parameter: Value| json!([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": parameter}}}}]);
    for (number, (field, one, other, shared)) in [
        ("seed", json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_993_u64), false),
        ("seed", json!(1), json!("1"), false),
        ("stop", json!(["a", "b"]), json!(["b", "a"]), false),
        ("logit_bias", json!({"1": 5}), json!({"1": -5}), false),
        ("logprobs", json!(true), json!(1), false),
        ("x", json!({"a": null}), json!({}), false),
        ("tools", tool(json!({"enum": ["x", "y"]})), tool(json!({"enum": ["y", "x"]})), false),
        ("tools", tool(json!({"default": null})), tool(json!({})), false),
        ("tools", tool(json!({"default": 1})), tool(json!({"default": 1.0})), false),
        ("reasoning_effort", json!("low"), json!("high"), false),
        ("top_p", json!(1), json!(1.0), true),
        ("max_tokens", json!(10), json!(10.0), true),
        ("service_tier", json!("flex"), Value::Null, true),
        ("metadata", json!({"a": {"b": [1]}}), json!({}), true),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = |value: &Value| {
            let mut body = chat(&format!("Please describe item {number} of the catalogue."));
            body[field] = value.clone();
            proxy.post(&body, &[])
        };
        ask(&one)?;
        assert_eq!(outcome(&ask(&other)?) == "hit-exact", shared, "{field}: {one} and {other}");
    }
    Ok(())
}

#[test]
fn what_only_its_text_shows_splits_the_cache() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tools"])?;
    const ONE: &str = r#"{"reasoning": {"type": "string"}, "answer": {"type": "string"}}"#;
    const OTHER: &str = r#"{"answer": {"type": "string"}, "reasoning": {"type": "string"}}"#;
    let defined = |properties: &str| {
        format!(
            r#""response_format": {{"type": "json_schema", "json_schema": {{"name": "x",
            "schema": {{"$defs": {{"d": {{"type": "object", "properties": {properties}}}}}}}}}}}"#
        )
    };
    let called = |properties: &str| {
        format!(
            r#""tools": [{{"type": "function", "function": {{"name": "f", "parameters":
            {{"properties": {{"a": {{"items": {{"properties": {properties}}}}}}}}}}}}}]"#
        )
    };
    let guided = |properties: &str| format!(r#""guided_json": {{"properties": {properties}}}"#);
    let seed = |seed: &str| format!("\"seed\": {seed}");
    for (number, (one, other, shared)) in [
        (defined(ONE), defined(OTHER), false),
        (called(ONE), called(OTHER), false),
        (guided(ONE), guided(OTHER), false),
        (seed("18446744073709551617"), seed("18446744073709551618"), false),
        (seed("1234567890123456789012345"), seed("1234567890123456789012346"), false),
        (seed("1e400"), seed("1e401"), false),
        ("\"top_p\": 1, \"seed\": 3".into(), "\"seed\": 3, \"top_p\": 1".into(), true),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = |field: &str| {
            let question = format!("Please describe item {number} of the catalogue.");
            let messages = json!([{"role": "user", "content": question}]);
            let body = format!("{{\"model\": \"m\", \"messages\": {messages}, {field}}}");
            let request = Request::post("/v1/chat/completions")
                .header("content-type", "application/json")
                .body(client::whole(body))?;
            proxy.send(request)
        };
        ask(&one)?;
        assert_eq!(outcome(&ask(&other)?) == "hit-exact", shared, "{one} and {other}");
    }
    Ok(())
}
