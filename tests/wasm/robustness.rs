//! Hostile and endless traffic. A panic would kill the VM and every request paused on it.

use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use pointsman_testkit::wasm::plugin::{Plugin, Request};
use pointsman_testkit::{cases, mutate};

const CONFIGURATION: &[u8] = br#"{"targets":[{"name":"cheap","cluster":"cheap"},
    {"name":"strong","cluster":"strong"}],"default":"strong"}"#;

#[test]
fn mutated_bodies_never_kill_the_vm() {
    let seeds: Vec<Vec<u8>> = cases::all().iter().filter_map(|(_, _, case)| case.body()).collect();
    let mut random = SmallRng::seed_from_u64(7);
    let mut plugin = Plugin::start(CONFIGURATION).unwrap();
    let mut scored = 0;
    for round in 0..6_000 {
        let mut body = seeds[random.random_range(0..seeds.len())].clone();
        mutate::body(&mut body, &seeds, &mut random);
        if round % 2 == 0 {
            // Valid JSON with a damaged text, so that scoring is exercised as much as parsing.
            let text = String::from_utf8_lossy(&body);
            let chat = serde_json::json!({"messages": [{"role": "user", "content": text}]});
            body = chat.to_string().into_bytes();
        }
        let mut request = Request::chat(body.clone());
        if round % 3 == 0 && !body.is_empty() {
            request = request.in_chunks(random.random_range(1..=body.len()));
            request.trailers = random.random();
        }
        let exchange = plugin.exchange(&request).unwrap_or_else(|failure| {
            panic!("round {round}: {failure:?}\nbody: {:?}", String::from_utf8_lossy(&body))
        });
        assert!(exchange.record.is_some(), "no decision: {:?}", String::from_utf8_lossy(&body));
        scored += usize::from(exchange.recorded("source") == "classifier");
    }
    // Otherwise the mutations would only have exercised the error paths.
    assert!(scored > 2_500, "only {scored} bodies were scored");
}

#[test]
fn random_bytes_never_kill_the_vm() {
    let mut random = SmallRng::seed_from_u64(11);
    let mut plugin = Plugin::start(CONFIGURATION).unwrap();
    for _ in 0..1_000 {
        let mut body = vec![0; random.random_range(1..4096)];
        random.fill(&mut body[..]);
        let exchange = plugin.exchange(&Request::chat(body)).unwrap();
        assert_eq!(exchange.recorded("source"), "default");
        // The same bytes as text: a prompt nobody would write, but a valid one.
        let text: String = (0..500).map(|_| random.random::<char>()).collect();
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]});
        let exchange = plugin.exchange(&Request::chat(body.to_string())).unwrap();
        assert_eq!(exchange.recorded("source"), "classifier");
    }
}

#[test]
fn cut_anywhere_a_body_is_still_decided_on() {
    let configuration = |limit: usize| {
        format!(
            r#"{{"targets":[{{"name":"cheap","cluster":"cheap"}},{{"name":"strong","cluster":
            "strong"}}],"default":"strong","body":{{"max_bytes":{limit}}}}}"#
        )
    };
    let text = "é\\n\\ud83d\\ude00中\\\"".repeat(200);
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"S"}},{{"role":"user","content":[{{"type":"text","text":"{text}"}}]}}],"temperature":0.5}}"#
    );
    for limit in 1024..1100 {
        let mut plugin = Plugin::start(configuration(limit).as_bytes()).unwrap();
        let exchange = plugin.exchange(&Request::chat(body.clone()).in_chunks(100)).unwrap();
        assert_eq!(exchange.recorded("source"), "classifier", "limit {limit}: {exchange:?}");
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_followed() {
    let mut plugin = Plugin::start(CONFIGURATION).unwrap();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"messages\":", "}]")] {
        for depth in [100, 10_000, 60_000] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let exchange = plugin.exchange(&Request::chat(body)).unwrap();
            assert_eq!(exchange.recorded("reason"), "too_deep", "{open} {depth}");
        }
    }
}

#[test]
fn memory_stays_level_over_twenty_thousand_requests() {
    let mut random = SmallRng::seed_from_u64(3);
    let mut plugin = Plugin::start(CONFIGURATION).unwrap();
    let started = Instant::now();
    let body = |random: &mut SmallRng| {
        let words = "signal box lever frame ".repeat(random.random_range(1..200));
        format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#)
    };
    // The largest body there can be, so that every buffer has reached its final size.
    let largest = "word ".repeat((512 << 10) / 5);
    let largest = format!(r#"{{"messages":[{{"role":"user","content":"{largest}"}}]}}"#);
    plugin.exchange(&Request::chat(largest.clone()).in_chunks(16 << 10)).unwrap();
    for _ in 0..500 {
        plugin.exchange(&Request::chat(body(&mut random))).unwrap();
    }
    let warm = plugin.memory();
    for number in 0..20_000 {
        match number % 100 {
            0 => drop(plugin.exchange(&Request::chat("{"))),
            1 => {
                // A client that leaves before its body is there.
                let (id, _) = plugin.open(&Request::chat("{}")).unwrap();
                plugin.close(id).unwrap();
            }
            _ => drop(plugin.exchange(&Request::chat(body(&mut random))).unwrap()),
        }
    }
    plugin.exchange(&Request::chat(largest).in_chunks(16 << 10)).unwrap();
    assert_eq!(plugin.memory(), warm, "grown after {:?}", started.elapsed());
    assert!(plugin.printed().is_empty());
}
