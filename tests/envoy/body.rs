//! Bodies in every shape that HTTP knows, byte for byte, and answers that are not held back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::body::Frame;
use serde_json::json;

use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, chat_body, cut, noise, post};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::recorder::{events, large_reply};

pub const CASES: &[Case] = &[
    ("a_chunked_body_is_decided_on_and_arrives_whole", chunked),
    ("a_request_with_trailers_is_decided_on", trailers),
    ("a_body_of_3_mib_arrives_byte_exact", three_mebibytes),
    ("a_burst_behind_a_paused_body_is_not_refused_as_too_large", burst),
    ("a_streamed_answer_is_not_held_back_and_is_byte_exact", streamed_answer),
    ("a_large_answer_is_byte_exact", large_answer),
];

fn chat_bytes(text: &str) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&chat_body(text))?)
}

fn chunked(stage: &Stage) -> Result<()> {
    let body =
        chat_bytes("¿Cuál es el río más largo de España? Antworte auf Deutsch, bitte: größer.")?;
    for protocol in PROTOCOLS {
        for size in [1, 7, 1000] {
            let path = stage.path();
            let request = post(&path).body(client::pieces(cut(&body, size), None))?;
            let response = stage.send(protocol, request)?;
            assert_eq!(stage.landing(&path)?.1.body, body, "{protocol:?}, pieces of {size}");
            stage.assert_routed_by_the_classifier(&Sent { path, response })?;
        }
    }
    Ok(())
}

fn trailers(stage: &Stage) -> Result<()> {
    let body = chat_bytes("What is the capital of France?")?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("abc123"));
    for protocol in PROTOCOLS {
        let path = stage.path();
        let content = client::pieces(cut(&body, 20), Some(trailers.clone()));
        let request = post(&path).header("trailer", "x-checksum").body(content)?;
        let response = stage.send(protocol, request)?;
        assert_eq!(stage.landing(&path)?.1.body, body, "{protocol:?}");
        stage.assert_routed_by_the_classifier(&Sent { path, response })?;

        // Trailers behind a body that has nothing in it.
        let path = stage.path();
        let content = client::pieces(vec![], Some(trailers.clone()));
        let request = post(&path).header("trailer", "x-checksum").body(content)?;
        let response = stage.send(protocol, request)?;
        stage.assert_defaulted(&Sent { path, response }, "empty_body")?;
    }
    Ok(())
}

fn three_mebibytes(stage: &Stage) -> Result<()> {
    // The question stands first, so a decision on the body's beginning is a decision on it.
    let filler = noise(3 * 1024 * 1024);
    let body = serde_json::to_vec(&json!({
        "messages": [{"role": "user", "content": format!("Summarise this. {filler}")}]
    }))?;
    for protocol in PROTOCOLS {
        for content in [client::whole(body.clone()), client::pieces(cut(&body, 50_000), None)] {
            let path = stage.path();
            let response = stage.send(protocol, post(&path).body(content)?)?;
            assert_eq!(response.status, 200, "{protocol:?}");
            let record = stage.landing(&path)?.1;
            assert_eq!(record.body.len(), body.len(), "{protocol:?}");
            assert!(record.body == body, "{protocol:?}: the body has other bytes");
            stage.assert_routed_by_the_classifier(&Sent { path, response })?;
        }
    }
    Ok(())
}

/// While the filter waits for more, one read of a fast sender's backlog may bring much at once.
fn burst(stage: &Stage) -> Result<()> {
    let filler = "a bit of everything, again and again; ".repeat(3 * 1024 * 1024 / 38);
    let body = Bytes::from(serde_json::to_vec(&chat_body(&filler))?);
    for first in [1_000, 100_000, 500_000, 500_000, 500_000] {
        let path = stage.path();
        let (mut sender, content) = client::open_ended();
        let request = post(&path).body(content)?;
        let (listener, whole) = (stage.envoy.listener, body.clone());
        let writer = std::thread::spawn(move || {
            ensure!(sender.try_send(Frame::data(whole.slice(..first))).is_ok());
            // Long enough for Envoy to have read it and to wait for more.
            std::thread::sleep(Duration::from_millis(100));
            ensure!(sender.try_send(Frame::data(whole.slice(first..))).is_ok());
            Ok(())
        });
        let response = client::exchange(listener, Protocol::Http1, request)?;
        writer.join().expect("the writer does not panic")?;
        assert_eq!(response.status, 200, "after {first} bytes");
        assert!(stage.landing(&path)?.1.body == body, "the body has other bytes");
        stage.assert_routed_by_the_classifier(&Sent { path, response })?;
    }
    Ok(())
}

fn streamed_answer(stage: &Stage) -> Result<()> {
    let body = chat_bytes("Write a haiku about a lighthouse in fog.")?;
    for protocol in PROTOCOLS {
        let path = stage.path();
        let request = post(&path).header("x-reply", "sse").body(client::whole(body.clone()))?;
        let mut answer = client::begin(stage.envoy.listener, protocol, request)?;
        assert_eq!(answer.status, 200);
        // The upstream sends the rest only after we have seen the first event: an Envoy that
        // holds the answer back would wait forever.
        let first = answer.next_piece()?.context("the answer is empty")?;
        assert_eq!(first, events()[0], "{protocol:?}");
        stage.go_on(&path)?;
        let mut received = first.to_vec();
        while let Some(piece) = answer.next_piece()? {
            received.extend_from_slice(&piece);
        }
        assert_eq!(received, events().concat(), "{protocol:?}");
        assert_eq!(
            answer.headers.get("x-pointsman-source").map(HeaderValue::as_bytes),
            Some(&b"classifier"[..])
        );
    }
    Ok(())
}

fn large_answer(stage: &Stage) -> Result<()> {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let path = stage.path();
        let request = post(&path)
            .header("x-reply", "large")
            .body(client::whole(chat_bytes("What is the capital of France?")?))?;
        let response = stage.send(protocol, request)?;
        assert!(response.body == large_reply(), "{protocol:?}: {} bytes", response.body.len());
    }
    Ok(())
}
