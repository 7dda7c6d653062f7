//! Which requests are answered from the cache, and which must not be.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cache::redis::wait_for;
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::{Model, SLOW, completion, events};
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};

const QUESTION: &str = "How can I learn to play the guitar?";

#[test]
fn the_same_request_is_answered_with_the_same_bytes_and_the_model_is_asked_once() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let first = proxy.ask(QUESTION)?;
    assert_eq!((first.status, outcome(&first)), (200, "miss"));
    assert_eq!(first.body, completion(0).as_bytes());
    // Another order of fields and other whitespace are the same request.
    let body = format!(
        "{{ \"messages\": [{{\"content\":\"Be brief.\",\"role\":\"system\"}},\n\
         {{\"content\":{QUESTION:?},\"role\":\"user\"}}], \"model\":\"small-model\" }}"
    );
    let again = proxy.send(
        http::Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .body(client::whole(body))?,
    )?;
    assert_eq!((again.status, outcome(&again)), (200, "hit-exact"));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("application/json"));
    assert_eq!(again.header("x-pointsman-cache-similarity"), Some("1.0000"));
    assert_eq!(model.asked(), 1);
    assert_eq!(
        proxy
            .metric("pointsman_cache_saved_tokens_total{target=\"cheap\",direction=\"output\"}")?,
        5
    );
    assert_eq!(
        proxy.metric("pointsman_cache_requests_total{target=\"cheap\",result=\"hit-exact\"}")?,
        1
    );
    Ok(())
}

#[test]
fn a_paraphrase_hits_and_what_differs_in_anything_that_matters_does_not() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let tenant = [("authorization", "Bearer one")];
    let ask = |body: &Value, headers: &[(&str, &str)]| proxy.post(body, headers);
    let question = "How do I convert 10 miles to kilometers?";
    let original = ask(&chat(question), &tenant)?;
    assert_eq!(outcome(&original), "miss");
    let near = ask(&chat("How can I convert 10 miles to kilometers?"), &tenant)?;
    assert_eq!(outcome(&near), "hit-semantic", "{:?}", near.headers);
    assert_eq!(near.body, original.body);
    let similarity: f32 = near.header("x-pointsman-cache-similarity").unwrap_or("").parse()?;
    assert!((0.5..1.0).contains(&similarity), "{similarity}");
    let with = |name: &str, value: Value| {
        let mut body = chat(question);
        body[name] = value;
        body
    };
    let mut system = chat(question);
    system["messages"][0]["content"] = json!("Be polite.");
    let mut turns = chat(question);
    turns["messages"] = json!([{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": question}]);
    for (what, body, headers) in [
        ("another user", with("user", json!("u")), &tenant[..]),
        ("a session in the metadata", with("metadata", json!({"session": "1"})), &tenant),
        ("no stop", with("stop", Value::Null), &tenant),
        ("another trace", chat(question), &[tenant[0], ("x-request-id", "7")]),
    ] {
        let response = ask(&body, headers)?;
        assert_eq!((outcome(&response), &response.body), ("hit-exact", &original.body), "{what}");
    }
    for (what, body, headers) in [
        ("another number", chat("How do I convert 20 miles to kilometers?"), &tenant[..]),
        ("another unit", chat("How do I convert 10 yards to kilometers?"), &tenant),
        ("the other way", chat("How do I convert 10 kilometers to miles?"), &tenant),
        ("a negation", chat("How do I not convert 10 miles to kilometers?"), &tenant),
        ("another system prompt", system, &tenant),
        ("earlier turns", turns, &tenant),
        ("another model", with("model", json!("large-model")), &tenant),
        ("a parameter", with("max_tokens", json!(7)), &tenant),
        ("another tenant", chat(question), &[("authorization", "Bearer two")]),
        ("nobody in particular", chat(question), &[]),
        ("a cookie", chat(question), &[tenant[0], ("cookie", "session=a")]),
        ("another key", chat(question), &[("x-api-key", "Bearer one")]),
        ("another version", chat(question), &[tenant[0], ("openai-beta", "x")]),
    ] {
        let response = ask(&body, headers)?;
        assert_eq!((response.status, outcome(&response)), (200, "miss"), "{what}");
        assert_ne!(response.body, original.body, "{what}");
    }
    Ok(())
}

#[test]
fn a_named_tenant_is_told_apart_by_its_header_alone_and_nobody_is_not_cached() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--tenant-header", "x-tenant"])?;
    let ask = |headers: &[(&str, &str)]| proxy.post(&chat(QUESTION), headers);
    assert_eq!(outcome(&ask(&[("x-tenant", "a"), ("authorization", "1")])?), "miss");
    assert_eq!(outcome(&ask(&[("x-tenant", "a"), ("authorization", "2")])?), "hit-exact");
    assert_eq!(outcome(&ask(&[("x-tenant", "b"), ("authorization", "1")])?), "miss");
    assert_eq!(outcome(&ask(&[("authorization", "1")])?), "bypass");
    Ok(())
}

#[test]
fn targets_of_one_process_do_not_share_answers() -> Result<()> {
    let (cheap, strong) = (Model::start()?, Model::start()?);
    let upstream = format!("http://{}", strong.address);
    let more = ["--target", "strong", "--upstream", &upstream, "--listen", "127.0.0.1:0"];
    let proxy = Proxy::start(cheap.address, &more)?;
    let said = std::fs::read_to_string(&proxy.process.stderr)?;
    let line = said.lines().find_map(|line| line.strip_prefix("strong: listening on http://"));
    let other = line.unwrap_or_default().trim_end_matches('/').parse()?;
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    let ask = || client::exchange(other, Protocol::Http1, post(&chat(QUESTION), &[])?);
    assert_eq!(outcome(&ask()?), "miss");
    assert_eq!(outcome(&ask()?), "hit-exact");
    assert_eq!((cheap.asked(), strong.asked()), (1, 1));
    Ok(())
}

#[test]
fn a_stream_is_replayed_as_the_events_that_it_was() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let mut body = chat(QUESTION);
    body["stream"] = json!(true);
    let first = proxy.post(&body, &[("x-reply", "sse")])?;
    assert_eq!(outcome(&first), "miss");
    assert_eq!(first.body, events(0).concat().as_bytes());
    let again = proxy.post(&body, &[("x-reply", "sse")])?;
    assert_eq!(outcome(&again), "hit-exact");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert_eq!(again.header("content-length"), None);
    // Whoever does not want a stream does not get one.
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    assert_eq!(
        proxy.metric("pointsman_cache_saved_tokens_total{target=\"cheap\",direction=\"input\"}")?,
        10
    );
    Ok(())
}

#[test]
fn many_who_ask_the_same_at_once_wait_for_one_answer() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let outcomes: Vec<String> = std::thread::scope(|scope| {
        let ask = || proxy.post(&chat(QUESTION), &[("x-reply", "slow")]);
        let asked: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        asked
            .into_iter()
            .map(|thread| outcome(&thread.join().unwrap().unwrap()).to_owned())
            .collect()
    });
    assert_eq!(model.asked(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "miss").count(), 1);
    assert!(proxy.metric("pointsman_cache_coalesced_total{target=\"cheap\"}")? > 0);
    Ok(())
}

#[test]
fn who_waits_for_an_answer_that_fails_asks_itself() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    std::thread::scope(|scope| -> Result<()> {
        // It leaves long before the model has answered.
        let leaving = scope.spawn(|| {
            let stream = std::net::TcpStream::connect(proxy.address).unwrap();
            let body = chat(QUESTION).to_string();
            let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-reply: slow";
            std::io::Write::write_all(
                &mut &stream,
                format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes(),
            )
            .unwrap();
            std::thread::sleep(SLOW / 2);
        });
        std::thread::sleep(SLOW / 4);
        let response = proxy.ask(QUESTION)?;
        assert_eq!((response.status, outcome(&response)), (200, "miss"));
        leaving.join().unwrap();
        Ok(())
    })?;
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "hit-exact");
    Ok(())
}

#[test]
fn who_wants_a_new_answer_and_waits_for_one_that_fails_never_gets_the_old_one() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let old = proxy.ask(QUESTION)?;
    let anew = ("cache-control", "no-cache");
    let waiting =
        || -> Result<u64> { proxy.metric("pointsman_cache_coalesced_total{target=\"cheap\"}") };
    std::thread::scope(|scope| -> Result<()> {
        let (address, body) = (proxy.address, chat(QUESTION).to_string());
        let mut leading = std::net::TcpStream::connect(address)?;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncache-control: no-cache\r\nx-reply: never";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        std::io::Write::write_all(&mut leading, request.as_bytes())?;
        wait_for("the leader asks", || Ok(model.asked() == 2))?;
        let following = scope.spawn(|| proxy.post(&chat(QUESTION), &[anew]));
        wait_for("the follower waits", || Ok(waiting()? == 1))?;
        // It leaves, and there is no answer.
        drop(leading);
        let response = following.join().unwrap()?;
        assert_eq!((response.status, outcome(&response)), (200, "miss"));
        assert_ne!(response.body, old.body);
        Ok(())
    })?;
    assert_eq!(model.asked(), 3);
    Ok(())
}

#[test]
fn an_answer_serves_as_long_as_it_is_told_to() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &["--ttl", "1"])?;
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "hit-exact");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    Ok(())
}

#[test]
fn feedback_and_purge_take_entries_out() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    proxy.ask("How do I convert 10 miles to kilometers?")?;
    let near = proxy.ask("How can I convert 10 miles to kilometers?")?;
    let id = near.header("x-pointsman-cache-id").unwrap_or_default();
    let good = proxy.operate("/pointsman/v1/feedback", &json!({"id": id, "reward": 0.9}))?;
    assert_eq!(good["suspected_false_hit"], false);
    let bad = proxy.operate("/pointsman/v1/feedback", &json!({"id": id, "reward": 0.1}))?;
    assert_eq!(bad["suspected_false_hit"], true);
    assert_eq!(proxy.metric("pointsman_cache_suspected_false_hits_total{target=\"cheap\"}")?, 1);
    assert_eq!(outcome(&proxy.ask("How can I convert 10 miles to kilometers?")?), "miss");
    proxy.ask(QUESTION)?;
    let purged = proxy.operate("/pointsman/v1/purge", &json!({"target": "cheap"}))?;
    assert_eq!(purged["purged"], 2);
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "miss");
    for (path, body) in [
        ("/pointsman/v1/purge", json!({"target": "other"})),
        ("/pointsman/v1/purge", json!({"id": "xyz"})),
        ("/pointsman/v1/purge", json!({"all": true})),
        ("/pointsman/v1/feedback", json!({"id": id, "reward": 2})),
    ] {
        assert!(proxy.operate(path, &body)?["error"].is_string(), "{path} {body}");
    }
    // The paths of the version before say where they went, and do nothing.
    proxy.ask(QUESTION)?;
    for path in ["/v1/purge", "/v1/feedback"] {
        let moved = proxy.operate(path, &json!({}))?;
        let hint = moved["hint"].as_str().unwrap_or_default();
        assert!(hint.contains(&format!("ask for /pointsman{path}")), "{moved}");
    }
    assert_eq!(outcome(&proxy.ask(QUESTION)?), "hit-exact");
    Ok(())
}
