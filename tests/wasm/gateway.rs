//! Conversations in shared data, the body's rewriting, what a route says: the host's side of it.

use serde_json::json;

use pointsman_testkit::wasm::plugin::{Exchange, Plugin, Request};

/// The classifier says cheap, the rule says strong; both are remembered.
fn plugin(more: &str) -> Plugin {
    let configuration = format!(
        r#"{{"targets":[{{"name":"cheap","cluster":"cheap","threshold":0.0,"model":"small"}},
            {{"name":"strong","cluster":"strong","model":"large"}}],
            "policy":{{"rules":[{{"name":"hard","target":"strong","when":{{"user":{{"contains":"prove"}}}}}}]}},
            "policies":{{"strict":{{"thresholds":{{"cheap":1.0}},"rules":[]}}}}{more}}}"#
    );
    Plugin::start(configuration.as_bytes()).unwrap()
}

const STICKY: &str = r#","sticky":{"header":"x-talk","max_conversations":64}"#;

fn ask(plugin: &mut Plugin, text: &str, talk: &str) -> (String, String) {
    let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
    let request = Request::chat(body).with_header("x-talk", talk.as_bytes());
    let exchange = plugin.exchange(&request).unwrap();
    (exchange.recorded("target").into(), exchange.recorded("reason").into())
}

#[test]
fn a_conversation_is_remembered_for_all_workers() {
    let mut first = plugin(STICKY);
    assert_eq!(ask(&mut first, "Prove it.", "a").0, "strong");
    // Another VM, the same shared data.
    let mut second = plugin(STICKY);
    assert_eq!(ask(&mut second, "Thanks.", "a").0, "cheap", "nothing is shared yet");
    second = plugin(STICKY);
    second.host().shared = first.host().shared.clone();
    assert_eq!(ask(&mut second, "Thanks.", "a"), ("strong".into(), "conversation".into()));
    assert_eq!(ask(&mut second, "Thanks.", "b").0, "cheap");
}

#[test]
fn however_many_conversations_the_shared_data_is_bounded() {
    let mut plugin = plugin(STICKY);
    for number in 0..2000 {
        ask(&mut plugin, "Hello", &format!("talk-{number}"));
    }
    let shared = &plugin.host().shared;
    assert_eq!(shared.len(), 16, "64 conversations by four");
    assert!(shared.values().all(|(value, _)| value.len() <= 64));
}

#[test]
fn a_worker_that_is_overtaken_tries_again_and_then_gives_up() {
    let mut plugin = plugin(STICKY);
    ask(&mut plugin, "Hello", "a");
    plugin.host().forestalled = 2;
    ask(&mut plugin, "Prove it.", "a");
    assert_eq!(ask(&mut plugin, "Thanks.", "a").1, "conversation");
    plugin.host().forestalled = 1000;
    assert_eq!(ask(&mut plugin, "Prove it.", "b").0, "strong", "no request is lost");
}

#[test]
fn without_stickiness_nothing_is_shared() {
    let mut plugin = plugin("");
    ask(&mut plugin, "Hello", "a");
    assert!(plugin.host().shared.is_empty());
}

#[test]
fn shared_data_of_another_kind_is_no_harm() {
    let mut plugin = plugin(STICKY);
    ask(&mut plugin, "Hello", "a");
    for (value, _) in plugin.host().shared.values_mut() {
        *value = vec![0xff; 37];
    }
    assert_eq!(ask(&mut plugin, "Hello", "a").1, "score_reached_threshold");
}

#[test]
fn a_target_whose_answers_fail_is_left_out() {
    let mut plugin = plugin(r#","health":{"consecutive_failures":1}"#);
    assert_eq!(ask(&mut plugin, "Hello", "a").0, "cheap");
    plugin.host().status = "503".into();
    assert_eq!(ask(&mut plugin, "Hello", "b").0, "cheap");
    plugin.host().status = "200".into();
    assert_eq!(ask(&mut plugin, "Hello", "c"), ("strong".into(), "health".into()));
}

#[test]
fn a_conversation_returns_when_its_target_is_up_again() {
    let more = format!(r#"{STICKY},"health":{{"consecutive_failures":1}}"#);
    let mut first = plugin(&more);
    ask(&mut first, "Hello", "a");
    first.host().status = "503".into();
    ask(&mut first, "Hello", "b");
    assert_eq!(ask(&mut first, "And?", "a"), ("strong".into(), "health".into()));
    // A worker that knows of no failure.
    let mut second = plugin(&more);
    second.host().shared = first.host().shared.clone();
    assert_eq!(ask(&mut second, "And?", "a"), ("cheap".into(), "conversation".into()));
}

fn rewritten(body: &str, size: usize, length: Option<&str>) -> Exchange {
    let mut plugin = plugin(r#","body":{"rewrite_model":true,"max_bytes":1024}"#);
    let mut request = Request::chat(body).in_chunks(size);
    if let Some(length) = length {
        request = request.with_header("content-length", length.as_bytes());
    }
    plugin.exchange(&request).unwrap()
}

#[test]
fn the_length_follows_the_body_and_a_chunked_one_gets_none() {
    let body = r#"{"model":"auto","messages":[{"content":"Hello"}]}"#;
    let whole = body.replace("auto", "small");
    let exchange = rewritten(body, 4096, Some(&body.len().to_string()));
    assert_eq!(exchange.body, whole.as_bytes());
    assert_eq!(exchange.request_header("content-length"), Some(&*whole.len().to_string()));
    let exchange = rewritten(body, 10, None);
    assert_eq!(exchange.body, whole.as_bytes());
    assert_eq!(exchange.request_header("content-length"), None);
}

#[test]
fn a_length_that_cannot_be_is_left_alone() {
    let body = r#"{"model":"auto","messages":[{"content":"Hello"}]}"#;
    for length in ["12", "many", "-1"] {
        let exchange = rewritten(body, 4096, Some(length));
        assert_eq!(exchange.request_header("content-length"), Some(length));
    }
}

#[test]
fn the_model_of_a_long_body_is_named_wherever_it_stands() {
    let tail = "x".repeat(5000);
    let body = format!(r#"{{"model":"auto","messages":[{{"content":"{tail}"}}]}}"#);
    let exchange = rewritten(&body, 1 << 20, Some(&body.len().to_string()));
    assert_eq!(exchange.body, body.replace("auto", "small").as_bytes());
    assert_eq!(exchange.request_header("content-length"), Some(&*(body.len() + 1).to_string()));
    let late = format!(r#"{{"messages":[{{"content":"{tail}"}}],"model":"auto"}}"#);
    let exchange = rewritten(&late, 1 << 20, Some(&late.len().to_string()));
    assert_eq!(exchange.body, late.replace("auto", "small").as_bytes(), "behind what is read");
    // In pieces, the last of which the filter sees when the first is on its way.
    let exchange = rewritten(&late, 2048, Some(&late.len().to_string()));
    let added = r#""model":"small","#.len();
    let length = (late.len() + added).to_string();
    assert_eq!(exchange.request_header("content-length"), Some(&*length));
    let last = late.as_bytes().chunks(2048).last().unwrap();
    let last = String::from_utf8(last.to_vec()).unwrap();
    let blank = last.replace(r#","model":"auto""#, &" ".repeat(15));
    assert_eq!(String::from_utf8_lossy(&exchange.body), blank);
}

#[test]
fn a_route_chooses_policy_and_mode() {
    let mut plugin = plugin("");
    let mut with = |name: &str, value: &str| {
        plugin.host().route_metadata = [(name.to_owned(), value.to_owned())].into();
        let body = r#"{"messages":[{"content":"Hello"}]}"#;
        let forged = Request::chat(body).with_header("x-pointsman-cluster", b"admin");
        plugin.exchange(&forged).unwrap()
    };
    let strict = with("policy", "strict");
    assert_eq!((strict.recorded("target"), strict.recorded("policy")), ("strong", "strict"));
    assert_eq!(with("policy", "unknown").recorded("target"), "cheap");
    let observed = with("mode", "observe");
    assert_eq!(observed.recorded("target"), "cheap");
    assert_eq!(observed.request_header("x-pointsman-cluster"), None, "decided, not routed");
    let off = with("mode", "off");
    assert_eq!(off.record, Some(json!({"passed": "mode_off"})));
    assert_eq!(off.request_header("x-pointsman-cluster"), None, "forged, and removed");
    assert_eq!(with("mode", "sideways").recorded("target"), "cheap");
}
