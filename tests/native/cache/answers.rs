//! What is passed on as it is and never kept.

use anyhow::Result;
use http::Request;
use serde_json::{Value, json};

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::{Model, completion, events};
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};

#[test]
fn failed_and_forbidden_answers_are_passed_on_and_never_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    for (reply, status, reason) in [
        ("error", 500, "status"),
        ("overloaded", 429, "status"),
        ("error-200", 200, "failed"),
        ("not-json", 200, "incomplete"),
        ("sse-unfinished", 200, "incomplete"),
        ("sse-error", 200, "failed"),
        ("no-store", 200, "forbidden"),
        ("gzip", 200, "type"),
        ("large", 200, "too_large"),
    ] {
        let metric =
            format!("pointsman_cache_not_stored_total{{target=\"cheap\",reason=\"{reason}\"}}");
        let before = proxy.metric(&metric)?;
        let body = chat(&format!("What does {reply} mean?"));
        for _ in 0..2 {
            let asked = model.asked();
            let response = proxy.post(&body, &[("x-reply", reply)])?;
            assert_eq!((response.status, outcome(&response)), (status, "miss"), "{reply}");
            assert_eq!(model.asked(), asked + 1, "{reply}");
            if reply == "sse-unfinished" {
                assert_eq!(response.body, events(asked)[..2].concat().as_bytes());
            }
            if reply == "no-store" {
                assert_eq!(response.body, completion(asked).as_bytes());
            }
        }
        assert_eq!(proxy.metric(&metric)?, before + 2, "{reply}");
    }
    assert_eq!(proxy.metric("pointsman_cache_entries{target=\"cheap\"}")?, 0);
    Ok(())
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too_and_is_never_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    for reply in ["sse-cut", "short"] {
        let body = chat(&format!("What does {reply} mean?"));
        for _ in 0..2 {
            let request = post(&body, &[("x-reply", reply)])?;
            let mut answer = client::begin(proxy.address, Protocol::Http1, request)?;
            assert_eq!(answer.status, 200, "{reply}");
            let mut read = Vec::new();
            let end = loop {
                match answer.next_piece() {
                    Ok(Some(piece)) => read.extend_from_slice(&piece),
                    end => break end,
                }
            };
            assert!(end.is_err(), "{reply} looks whole: {:?}", String::from_utf8_lossy(&read));
            assert!(!read.is_empty(), "{reply}: what came was held back");
        }
    }
    assert_eq!(model.asked(), 4);
    assert_eq!(proxy.metric("pointsman_cache_entries{target=\"cheap\"}")?, 0);
    Ok(())
}

#[test]
fn what_should_not_be_cached_is_passed_through_with_its_reason() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let with = |name: &str, value: Value| {
        let mut body = chat("What is love?");
        body[name] = value;
        body
    };
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (reason, body, headers) in [
        ("asked", chat("What is love?"), &[("x-pointsman-cache", "bypass")][..]),
        ("asked", chat("What is love?"), &[("cache-control", "no-store")]),
        ("temperature", with("temperature", json!(1.5)), &[]),
        ("tools", with("tools", tools), &[]),
        ("stateful", with("previous_response_id", json!("r")), &[]),
        ("malformed", json!({"messages": []}), &[]),
        ("malformed", json!([1, 2, 3]), &[]),
        ("encoded", chat("What is love?"), &[("content-encoding", "gzip")]),
    ] {
        let metric =
            format!("pointsman_cache_bypasses_total{{target=\"cheap\",reason=\"{reason}\"}}");
        let before = proxy.metric(&metric)?;
        for _ in 0..2 {
            let mut headers = headers.to_vec();
            headers.push(("x-reply", "echo"));
            let response = proxy.post(&body, &headers)?;
            assert_eq!((response.status, outcome(&response)), (200, "bypass"), "{reason}");
            assert_eq!(response.body, body.to_string().as_bytes(), "{reason}");
        }
        assert_eq!(proxy.metric(&metric)?, before + 2, "{reason} {body}");
    }
    let get = Request::get("/v1/models").body(client::empty())?;
    assert_eq!(outcome(&proxy.send(get)?), "bypass");
    Ok(())
}

#[test]
fn a_body_beyond_the_limit_passes_through_byte_for_byte() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--max-body", "16"])?;
    let body = chat(&"Why? ".repeat(50_000)).to_string();
    let whole = || {
        Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-reply", "echo")
    };
    let announced = proxy.send(whole().body(client::whole(body.clone()))?)?;
    assert_eq!(outcome(&announced), "bypass");
    assert_eq!(announced.body, body.as_bytes());
    // Its length is not announced: the limit is met half way.
    let pieces = body.as_bytes().chunks(7000).map(bytes::Bytes::copy_from_slice).collect();
    let chunked = proxy.send(whole().body(client::pieces(pieces, None))?)?;
    assert_eq!(outcome(&chunked), "bypass");
    assert_eq!(chunked.body, body.as_bytes());
    Ok(())
}

#[test]
fn cache_control_is_honoured() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let ask = |control: &str| proxy.post(&chat("What is love?"), &[("cache-control", control)]);
    let missing = ask("only-if-cached")?;
    assert_eq!((missing.status, model.asked()), (504, 0));
    assert_eq!(outcome(&ask("max-age=60")?), "miss");
    assert_eq!(outcome(&ask("max-age=60")?), "hit-exact");
    assert_eq!(outcome(&ask("only-if-cached")?), "hit-exact");
    assert_eq!(outcome(&ask("max-age=0")?), "miss");
    let refreshed = ask("no-cache")?;
    assert_eq!((outcome(&refreshed), model.asked()), ("miss", 3));
    let kept = ask("max-age=60")?;
    assert_eq!(outcome(&kept), "hit-exact");
    assert_eq!(kept.body, refreshed.body, "what no-cache brought is what is kept");
    let old = proxy.post(&chat("What is love?"), &[("pragma", "no-cache")])?;
    assert_eq!((outcome(&old), model.asked()), ("miss", 4));
    let aged = || proxy.post(&chat("What is age?"), &[("x-reply", "with age: 100")]);
    assert_eq!(outcome(&aged()?), "miss");
    let aged = aged()?;
    assert_eq!(outcome(&aged), "hit-exact");
    let age: u64 = aged.header("age").unwrap_or_default().parse()?;
    assert!((100..200).contains(&age), "{age}");
    Ok(())
}

#[test]
fn limits_that_were_lifted_are_lifted() -> Result<()> {
    let model = Model::start()?;
    let proxy =
        Proxy::start(model.address, &["--tools", "--max-temperature", "2", "--exact-only"])?;
    let mut body = chat("What is love?");
    body["temperature"] = json!(1.5);
    body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(outcome(&proxy.post(&body, &[])?), "miss");
    assert_eq!(outcome(&proxy.post(&body, &[])?), "hit-exact");
    proxy.ask("How do I convert 10 miles to kilometers?")?;
    assert_eq!(outcome(&proxy.ask("How can I convert 10 miles to kilometers?")?), "miss");
    Ok(())
}

#[test]
fn only_what_is_an_answer_by_its_own_words_is_kept() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tools"])?;
    let choice = |message: Value, finish: &str| json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    let text = json!({"content": "Oslo."});
    let call = json!({"content": null, "tool_calls": [{"id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{}"}}]});
    let message = |content: Value, stop: &str| json!({"content": content, "stop_reason": stop});
    let said = json!([{"type": "text", "text": "Oslo."}]);
    let response = |status: &str, output: Value| json!({"status": status, "output": output});
    let item = json!([{"type": "message", "content": [{"type": "output_text", "text": "Oslo."}]}]);
    let [chat, messages, responses] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
    for (path, answer, again) in [
        (chat, choice(text.clone(), "stop"), "hit-exact"),
        (chat, choice(call, "tool_calls"), "hit-exact"),
        (messages, message(said.clone(), "end_turn"), "hit-exact"),
        (responses, response("completed", item.clone()), "hit-exact"),
        (chat, choice(text.clone(), "length"), "miss"),
        (chat, choice(text, "content_filter"), "miss"),
        (chat, choice(json!({"refusal": "No."}), "stop"), "miss"),
        (chat, choice(json!({"content": null}), "stop"), "miss"),
        (chat, json!({"choices": []}), "miss"),
        (chat, json!({"detail": "maintenance"}), "miss"),
        (chat, json!({"object": "error", "code": 503}), "miss"),
        (messages, message(said.clone(), "max_tokens"), "miss"),
        (messages, message(said, "pause_turn"), "miss"),
        (messages, message(json!([]), "end_turn"), "miss"),
        (responses, response("incomplete", item), "miss"),
        (responses, response("completed", json!([])), "miss"),
    ] {
        // The model answers with the request, so the request is both.
        let mut body = answer.clone();
        body["max_tokens"] = json!(9);
        match path {
            "/v1/responses" => {
                body["store"] = json!(false);
                body["input"] = json!("Which is the capital of Norway?");
            }
            _ => {
                let question = "Which is the capital of Norway?";
                body["messages"] = json!([{"role": "user", "content": question}]);
            }
        }
        let ask = || {
            let request = Request::post(path)
                .header("content-type", "application/json")
                .header("x-reply", "echo")
                .body(client::whole(body.to_string()))?;
            proxy.send(request)
        };
        let first = ask()?;
        assert_eq!((first.status, outcome(&first)), (200, "miss"), "{answer}");
        let second = ask()?;
        assert_eq!((outcome(&second), &second.body), (again, &first.body), "{answer}");
    }
    Ok(())
}
