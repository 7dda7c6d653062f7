//! The classifier's decision is where the request goes.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, chat_body, demo_prompts, post};
use pointsman_testkit::client;
use pointsman_testkit::root;

pub const CASES: &[Case] = &[
    ("every_prompt_lands_on_the_cluster_of_its_decision", every_prompt_lands),
    ("golden_vectors_hold_inside_envoy", golden_vectors),
    ("requests_out_of_scope_pass_untouched_to_the_default_route", out_of_scope),
    ("a_query_string_does_not_hide_the_path", query_string),
    ("the_body_reaches_the_upstream_as_it_was_sent", body_unchanged),
];

fn every_prompt_lands(stage: &Stage) -> Result<()> {
    let mut reached = [0, 0];
    for body in demo_prompts()? {
        let sent = stage.chat(&body)?;
        stage.assert_routed_by_the_classifier(&sent)?;
        let decision = stage.decision(&sent.path)?;
        let score = decision["score"].as_f64().context("no score")?;
        let threshold = decision["threshold"].as_f64().context("no threshold")?;
        let (target, reason) = if score >= threshold {
            ("cheap", "score_reached_threshold")
        } else {
            ("strong", "score_below_threshold")
        };
        assert_eq!(decision["target"], target, "score {score}, threshold {threshold}");
        assert_eq!(decision["cluster"], target);
        assert_eq!(decision["reason"], reason);
        assert_eq!(decision["source"], "classifier");
        assert_eq!(sent.response.header("x-pointsman-target"), Some(target));
        assert_eq!(sent.response.header("x-pointsman-reason"), Some(reason));
        assert_eq!(
            sent.response.header("x-pointsman-decision-id"),
            decision["decision_id"].as_str()
        );
        assert_eq!(sent.response.header("x-pointsman-score"), None, "no client is told the score");
        assert_eq!(stage.logged(&sent.path)?["upstream_cluster"], target);
        reached[usize::from(target == "strong")] += 1;
    }
    assert!(reached.iter().all(|count| *count > 0), "cheap and strong got {reached:?}");
    Ok(())
}

fn golden_vectors(stage: &Stage) -> Result<()> {
    let path = root().join("model/golden.jsonl");
    let golden = std::fs::read_to_string(&path)
        .context("model/golden.jsonl is missing\nhint: run `make model`")?;
    let mut checked = 0;
    for line in golden.lines() {
        let vector: Value = serde_json::from_str(line)?;
        let id = &vector["id"];
        let sent = stage.chat(&vector["request"])?;
        stage.assert_routed_by_the_classifier(&sent)?;
        let decision = stage.decision(&sent.path)?;
        let score = decision["score"].as_f64().context("no score")?;
        let expected = vector["scores"][0].as_f64().context("no golden score")?;
        assert!((score - expected).abs() <= 1e-5, "{id}: score {score}, golden {expected}");
        assert_eq!(floats(&decision["features"])?, floats(&vector["engineered"])?, "{id}");
        checked += 1;
    }
    assert!(checked > 0, "model/golden.jsonl is empty");
    Ok(())
}

/// The bit patterns of packed little-endian f32 values.
fn floats(packed: &Value) -> Result<Vec<u32>> {
    let text = packed.as_str().context("features are not text")?;
    let bytes = BASE64_STANDARD.decode(text)?;
    let (words, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty() && !words.is_empty(), "{} bytes of features", bytes.len());
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn out_of_scope(stage: &Stage) -> Result<()> {
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        for (method, path) in [
            ("GET", format!("/scope{number}-a/v1/models?scope{number}-a")),
            ("PUT", format!("/scope{number}-b/v1/files/x?scope{number}-b")),
            ("POST", format!("/scope{number}-c/v1/embeddings?scope{number}-c")),
            ("POST", format!("/scope{number}-d/v1/chat/completions/other?scope{number}-d")),
        ] {
            let content =
                if method == "GET" { client::empty() } else { client::whole(body.clone()) };
            let request = Request::builder()
                .method(method)
                .uri(&path)
                .header("content-type", "application/json")
                .body(content)?;
            let response = stage.send(protocol, request)?;
            assert_eq!(response.status, 200, "{method} {path}");
            let decision_headers: Vec<_> = response
                .headers
                .keys()
                .filter(|name| name.as_str().starts_with("x-pointsman"))
                .collect();
            assert!(decision_headers.is_empty(), "{method} {path}: {decision_headers:?}");
            let (cluster, record) = stage.landing(&path)?;
            assert_eq!(cluster, "strong", "{method} {path}");
            assert_eq!(record.method, method);
            assert_eq!(record.body, if method == "GET" { vec![] } else { body.clone() });
            assert_eq!(
                stage.decision(&path)?,
                json!({"passed": "out_of_scope"}),
                "{method} {path}"
            );
        }
    }
    Ok(())
}

fn query_string(stage: &Stage) -> Result<()> {
    let path = stage.path();
    let target = format!("{path}?api-version=2024-10-21&x=/other");
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for protocol in PROTOCOLS {
        let response = stage.send(protocol, post(&target).body(client::whole(body.clone()))?)?;
        let sent = Sent { path: target.clone(), response };
        stage.assert_routed_by_the_classifier(&sent)?;
    }
    // Query strings carry keys at some providers: the log leaves them out.
    assert!(!stage.logged(&path)?.to_string().contains("api-version"));
    Ok(())
}

fn body_unchanged(stage: &Stage) -> Result<()> {
    // Spaces, escapes, order and duplicates that a parse and a print would not keep.
    let body =
        b"{ \"messages\":[ {\"content\":\"caf\\u00e9 \xf0\x9f\x98\x80\",\"role\":\"user\"}],\n \
                 \"n\":1e0, \"n\": 1 }\n\n";
    for protocol in PROTOCOLS {
        let path = stage.path();
        let response = stage.send(protocol, post(&path).body(client::whole(&body[..]))?)?;
        let (_, record) = stage.landing(&path)?;
        assert_eq!(record.body, &body[..]);
        stage.assert_routed_by_the_classifier(&Sent { path, response })?;
    }
    Ok(())
}
