//! What cannot be decided goes to the default target, with a named reason, and is never lost.

use std::io::Write;

use anyhow::Result;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;

use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, chat_body, post};
use pointsman_testkit::client;

pub const CASES: &[Case] = &[
    ("malformed_json_goes_to_the_default_target", malformed_json),
    ("an_empty_body_goes_to_the_default_target", empty_body),
    ("a_body_that_is_not_json_goes_to_the_default_target", not_json),
    ("a_compressed_body_goes_to_the_default_target_untouched", content_encoded),
    ("a_body_without_a_prompt_goes_to_the_default_target", no_prompt),
    ("json_ten_thousand_deep_goes_to_the_default_target_and_the_filter_lives_on", too_deep),
];

/// Posts `body` over both protocols and asserts the default, the reason and the bytes.
fn assert_default(
    stage: &Stage,
    reason: &str,
    body: &[u8],
    request: impl Fn(&str) -> http::request::Builder,
) -> Result<()> {
    for protocol in PROTOCOLS {
        let path = stage.path();
        let content = Bytes::copy_from_slice(body);
        let response = stage.send(protocol, request(&path).body(client::whole(content))?)?;
        assert_eq!(stage.landing(&path)?.1.body, body, "{reason} over {protocol:?}");
        stage.assert_defaulted(&Sent { path, response }, reason)?;
    }
    Ok(())
}

fn malformed_json(stage: &Stage) -> Result<()> {
    for body in [
        &br#"{"messages": [{"role": "user", "content": "cut off"#[..],
        br#"{"messages": nonsense}"#,
        b"this is not JSON",
        b"\xff\xfe{}",
    ] {
        assert_default(stage, "malformed_json", body, post)?;
    }
    Ok(())
}

fn empty_body(stage: &Stage) -> Result<()> {
    assert_default(stage, "empty_body", b"", post)?;
    for protocol in PROTOCOLS {
        let path = stage.path();
        // The end comes behind the headers, as a frame or chunk of its own.
        let request = post(&path).body(client::pieces(vec![], None))?;
        let response = stage.send(protocol, request)?;
        stage.assert_defaulted(&Sent { path, response }, "empty_body")?;
    }
    Ok(())
}

fn not_json(stage: &Stage) -> Result<()> {
    let body = serde_json::to_vec(&chat_body("What is the capital of France?"))?;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_default(stage, "not_json", &body, |path| {
            Request::post(path).header("content-type", content_type)
        })?;
    }
    Ok(())
}

fn content_encoded(stage: &Stage) -> Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&serde_json::to_vec(&chat_body("What is the capital of France?"))?)?;
    let body = encoder.finish()?;
    assert_default(stage, "content_encoded", &body, |path| {
        post(path).header("content-encoding", "gzip")
    })
}

fn no_prompt(stage: &Stage) -> Result<()> {
    for body in ["{}", r#"{"messages": []}"#, r#"{"model": "auto", "input": 7}"#] {
        assert_default(stage, "no_prompt", body.as_bytes(), post)?;
    }
    Ok(())
}

fn too_deep(stage: &Stage) -> Result<()> {
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    let body = format!(r#"{{"deep": {open}{close}, "messages": []}}"#);
    assert_default(stage, "too_deep", body.as_bytes(), post)?;
    let objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    assert_default(stage, "too_deep", objects.as_bytes(), post)?;
    // A trap would have killed the VM of a worker: ask often enough to meet every worker.
    for _ in 0..8 {
        let sent = stage.chat(&chat_body("What is the capital of France?"))?;
        stage.assert_routed_by_the_classifier(&sent)?;
    }
    Ok(())
}
