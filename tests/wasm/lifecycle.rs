//! The states of a request: what is held back, what is changed, what is recorded, what is not.

use pointsman_testkit::wasm::plugin::{Plugin, Request};

const CONFIGURATION: &[u8] = br#"{"targets":[{"name":"cheap","cluster":"east","threshold":0.0},
    {"name":"strong","cluster":"west"}],"default":"strong"}"#;

const BODY: &str = r#"{"messages":[{"role":"user","content":"What is 2 + 2?"}]}"#;

fn plugin() -> Plugin {
    Plugin::start(CONFIGURATION).unwrap()
}

/// A chat body of about `size` bytes.
fn body_of(size: usize) -> String {
    let words = "Tell me more about the history of signal boxes. ".repeat(size / 48);
    format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#)
}

#[test]
fn the_cluster_header_is_set_and_the_route_chosen_again() {
    let exchange = plugin().exchange(&Request::chat(BODY)).unwrap();
    assert_eq!(exchange.request_header("x-pointsman-cluster"), Some("east"));
    assert_eq!(exchange.response_header("x-pointsman-target"), Some("cheap"));
    assert_eq!(exchange.foreign_calls, ["clear_route_cache"]);
}

#[test]
fn a_forged_cluster_header_is_replaced() {
    let forged = Request::chat(BODY).with_header("x-pointsman-cluster", b"admin");
    let exchange = plugin().exchange(&forged).unwrap();
    let clusters: Vec<_> = exchange
        .request_headers
        .iter()
        .filter(|(name, _)| name == "x-pointsman-cluster")
        .map(|(_, value)| value.as_slice())
        .collect();
    assert_eq!(clusters, [b"east"]);
}

#[test]
fn header_bytes_above_ascii_harm_nobody() {
    let mut plugin = plugin();
    for name in [":path", ":method", "content-type", "content-encoding", "x-request-id", "x-other"]
    {
        let request = Request::chat(BODY).with_header(name, b"\xff\xfe/chat/completions\xc3(");
        plugin.exchange(&request).unwrap();
    }
    let exchange = plugin.exchange(&Request::chat(BODY)).unwrap();
    assert_eq!(exchange.response_header("x-pointsman-target"), Some("cheap"));
}

#[test]
fn requests_on_one_vm_do_not_mix() {
    let mut plugin = plugin();
    let malformed = Request::chat("{");
    let (first, held_first) = plugin.open(&Request::chat(BODY)).unwrap();
    let (second, held_second) = plugin.open(&malformed).unwrap();
    plugin.send(second, &malformed, held_second).unwrap();
    plugin.send(first, &Request::chat(BODY), held_first).unwrap();
    let second = plugin.finish(second).unwrap();
    let first = plugin.finish(first).unwrap();
    assert_eq!(first.response_header("x-pointsman-reason"), Some("score_reached_threshold"));
    assert_eq!(second.response_header("x-pointsman-reason"), Some("malformed_json"));
    assert_ne!(first.recorded("decision_id"), second.recorded("decision_id"));
}

#[test]
fn a_client_that_leaves_early_leaves_nothing_behind() {
    let mut plugin = plugin();
    let (id, held) = plugin.open(&Request::chat(BODY)).unwrap();
    assert!(held);
    let exchange = plugin.close(id).unwrap();
    assert_eq!(exchange.record, None);
    plugin.exchange(&Request::chat(BODY)).unwrap();
}

#[test]
fn a_long_body_is_decided_on_its_beginning() {
    let mut plugin = plugin();
    let request = Request::chat(body_of(3 << 20)).in_chunks(16 << 10);
    let exchange = plugin.exchange(&request).unwrap();
    assert_eq!(exchange.recorded("source"), "classifier");
    assert!(exchange.held < (512 << 10), "{} bytes held back", exchange.held);
}

#[test]
fn the_limit_on_what_is_held_back_is_configurable() {
    let configuration = br#"{"targets":[{"name":"cheap","cluster":"east","threshold":0.0},
        {"name":"strong","cluster":"west"}],"default":"strong","body":{"max_bytes":4096}}"#;
    let mut plugin = Plugin::start(configuration).unwrap();
    let exchange = plugin.exchange(&Request::chat(body_of(64 << 10)).in_chunks(1024)).unwrap();
    assert_eq!(exchange.recorded("source"), "classifier");
    assert!(exchange.held < 4096, "{} bytes held back", exchange.held);
}

#[test]
fn every_field_of_the_record_is_there() {
    let exchange = plugin().exchange(&Request::chat(BODY)).unwrap();
    let record = exchange.record.as_ref().unwrap();
    for field in ["ts", "decision_id", "policy_version", "model_version", "schema_hash"] {
        assert!(!record[field].is_null(), "{field}: {record}");
    }
    assert_eq!(record["target"], "cheap");
    assert_eq!(record["cluster"], "east");
    assert_eq!(record["threshold"], 0.0);
    assert_eq!(record["propensity"], 1.0);
    assert_eq!(record["mode"], "route");
    assert_eq!(record["body_bytes"], BODY.len());
    assert!(record["score"].is_f64(), "{record}");
    assert!(record["features"].is_string(), "{record}");
    assert!(record["latency_us"].is_u64(), "{record}");
    assert!(record["prompt_tokens_estimate"].as_u64().is_some_and(|n| n > 0), "{record}");
    let id = exchange.response_header("x-pointsman-decision-id");
    assert_eq!(id, Some(exchange.recorded("decision_id")));
}

#[test]
fn counters_say_what_was_decided_and_what_passed() {
    let mut plugin = plugin();
    for _ in 0..3 {
        plugin.exchange(&Request::chat(BODY)).unwrap();
    }
    plugin.exchange(&Request::chat("{")).unwrap();
    plugin.exchange(&Request::chat("").with_header(":method", b"GET")).unwrap();
    let decisions = "pointsman_decisions.target";
    let reached = ".cheap.source.classifier.reason.score_reached_threshold";
    assert_eq!(plugin.counter(&format!("{decisions}{reached}")), 3);
    let malformed = ".strong.source.default.reason.malformed_json";
    assert_eq!(plugin.counter(&format!("{decisions}{malformed}")), 1);
    assert_eq!(plugin.counter("pointsman_passed.reason.out_of_scope"), 1);
    let recorded = |name| {
        let histogram = plugin.metrics().iter().find(|metric| metric.name == name);
        histogram.unwrap().recorded.len()
    };
    assert_eq!(recorded("pointsman_decision_us"), 4);
    assert_eq!(recorded("pointsman_body_bytes"), 4);
}

#[test]
fn tokens_and_spending_are_counted_from_the_answer_in_passing() {
    let configuration = br#"{"targets":[
        {"name":"cheap","cluster":"east","threshold":0.0,"price":{"input":0.15,"output":0.6}},
        {"name":"strong","cluster":"west","price":{"input":2.5,"output":10}}]}"#;
    let mut plugin = Plugin::start(configuration).unwrap();
    let mut answer = |content_type, pieces: &[&[u8]]| {
        let request = Request::chat(BODY);
        let (id, held) = plugin.open(&request).unwrap();
        plugin.send(id, &request, held).unwrap();
        plugin.answer(id, content_type, pieces).unwrap();
    };
    answer(
        "application/json",
        &[br#"{"usage":{"prompt_tokens":1000,"compl"#, b"etion_tokens\":200}}"],
    );
    answer(
        "text/event-stream",
        &[
            b"data: {\"usage\":null}\n\nda",
            b"ta: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        ],
    );
    answer("application/json", &[b"{}"]);
    answer("text/html", &[b"<p>"]);
    for (name, value) in [
        ("pointsman_answers.target.cheap.usage.reported", 2),
        ("pointsman_answers.target.cheap.usage.missing", 2),
        ("pointsman_tokens.target.cheap.direction.input", 1010),
        ("pointsman_tokens.target.cheap.direction.output", 202),
        ("pointsman_spend_nano.target.cheap", 1010 * 150 + 202 * 600),
        ("pointsman_spend_always_strongest_nano.target.cheap", 1010 * 2500 + 202 * 10_000),
        ("pointsman_spend_nano.target.strong", 0),
    ] {
        assert_eq!(plugin.counter(name), value, "{name}");
    }
}

#[test]
fn an_observed_answer_of_an_unknown_target_is_not_booked_on_the_one_decided_on() {
    let configuration = br#"{"mode":"observe","targets":[
        {"name":"cheap","cluster":"east","threshold":0.0,"price":{"input":0.15,"output":0.6}},
        {"name":"strong","cluster":"west","price":{"input":2.5,"output":10}}]}"#;
    let mut plugin = Plugin::start(configuration).unwrap();
    let request = Request::chat(BODY);
    let (id, held) = plugin.open(&request).unwrap();
    plugin.send(id, &request, held).unwrap();
    let answer = br#"{"usage":{"prompt_tokens":1000,"completion_tokens":200}}"#;
    plugin.answer(id, "application/json", &[answer]).unwrap();
    for target in ["cheap", "strong"] {
        for usage in ["reported", "missing"] {
            let name = format!("pointsman_answers.target.{target}.usage.{usage}");
            assert_eq!(plugin.counter(&name), 0, "{name}");
        }
    }
}

#[test]
fn without_prices_answers_are_not_read() {
    let mut plugin = plugin();
    plugin.exchange(&Request::chat(BODY)).unwrap();
    assert!(!plugin.metrics().iter().any(|metric| metric.name.starts_with("pointsman_answers")));
}

#[test]
fn response_headers_can_be_switched_off() {
    let configuration = br#"{"targets":[{"name":"cheap","cluster":"east","threshold":0.0},
        {"name":"strong","cluster":"west"}],"default":"strong","response_headers":
        {"target":false,"source":false,"reason":false,"score":false,"decision_id":false}}"#;
    let mut plugin = Plugin::start(configuration).unwrap();
    let exchange = plugin.exchange(&Request::chat(BODY)).unwrap();
    assert!(exchange.record.is_some());
    let left: Vec<_> =
        exchange.response_headers.iter().filter(|(name, _)| name.starts_with("x-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn prompt_text_leaves_the_filter_nowhere() {
    const CANARY: &str = "xylographic-canary-7431";
    let mut plugin = plugin();
    let mut seen = String::new();
    for body in [
        format!(r#"{{"messages":[{{"role":"user","content":"{CANARY}"}}]}}"#),
        format!(r#"{{"messages":[{{"role":"{CANARY}","content":"{CANARY}"}}"#),
        format!(r#"{{"model":"{CANARY}","{CANARY}":[{{}}],"messages":"{CANARY}"}}"#),
        CANARY.into(),
    ] {
        let exchange = plugin.exchange(&Request::chat(body)).unwrap();
        let added: Vec<_> = exchange
            .request_headers
            .iter()
            .chain(&exchange.response_headers)
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
            .collect();
        seen += &format!("{added:?} {:?}", exchange.record);
    }
    seen += &format!("{:?} {:?}", plugin.log(), plugin.metrics());
    seen += &String::from_utf8_lossy(plugin.printed());
    assert!(!seen.contains(CANARY), "{seen}");
}
