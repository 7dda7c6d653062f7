//! Compression: of answers to the client, and of requests from it.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{
    Chain, EASY, assert_passes, assert_whole, chained, counted, decisions, filter, long_body,
    short_body, usage,
};
use crate::Case;
use crate::stage::{PROTOCOLS, Sent, Stage, post};
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::recorder::events;

pub const CASES: &[Case] = &[
    ("behind_a_compressor_answers_are_read_and_reach_the_client_compressed", compressed),
    ("behind_a_compressor_an_event_is_not_held_back", compressed_stream),
    ("in_front_of_a_compressor_answers_cannot_be_read", compressed_too_early),
    ("behind_a_decompressor_compressed_requests_are_decided_on", decompressed),
    ("in_front_of_a_decompressor_compressed_requests_go_to_the_default", decompressed_too_late),
];

pub(super) fn chains() -> Vec<Chain> {
    let library = |kind: &str, fields| filter("gzip", &format!("compression.gzip.{kind}"), fields);
    let compressor = filter(
        "envoy.filters.http.compressor",
        "filters.http.compressor.v3.Compressor",
        json!({
            "response_direction_config": {"common_config": {
                "min_content_length": 30,
                "content_type": ["application/json", "text/event-stream"]}},
            "compressor_library": library("compressor.v3.Gzip", json!({})),
        }),
    );
    let decompressor = filter(
        "envoy.filters.http.decompressor",
        "filters.http.decompressor.v3.Decompressor",
        json!({
            "decompressor_library": library("decompressor.v3.Gzip", json!({})),
            "response_direction_config": {"common_config": {
                "enabled": {"default_value": false, "runtime_key": "pointsman.unused"}}},
        }),
    );
    let before = |name, it| Chain { name, before: vec![it], ..Chain::default() };
    let behind = |name, it| Chain { name, behind: vec![it], ..Chain::default() };
    vec![
        before("compressor-before", compressor.clone()),
        behind("compressor-behind", compressor),
        before("decompressor-before", decompressor.clone()),
        behind("decompressor-behind", decompressor),
    ]
}

/// An answer's body, decompressed where it is compressed.
pub(super) fn plain(response: &Response) -> Result<Vec<u8>> {
    if response.header("content-encoding") != Some("gzip") {
        return Ok(response.body.clone());
    }
    let mut plain = Vec::new();
    GzDecoder::new(&*response.body).read_to_end(&mut plain)?;
    Ok(plain)
}

const ACCEPTS: [(&str, &str); 1] = [("accept-encoding", "gzip")];

fn compressed(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let body = short_body(EASY)?;
    for protocol in PROTOCOLS {
        for reply in ["usage", "usage-sse"] {
            let content = client::whole(body.clone());
            let headers = [ACCEPTS[0], ("x-reply", reply)];
            let asked = super::ask(stage, "compressor-before", protocol, content, &headers)?;
            assert_eq!(asked.response.header("content-encoding"), Some("gzip"), "{reply}");
            let usage = usage(stage, &asked.path)?.context("the answer was not read")?;
            assert_eq!(usage["output"], 200, "{reply}");
        }
        let content = (client::whole(body.clone()), &body[..]);
        assert_whole(stage, "compressor-before", protocol, content, &ACCEPTS)?;
    }
    Ok(())
}

fn compressed_stream(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for protocol in PROTOCOLS {
        let path = stage.path();
        let request = post(&path)
            .header("accept-encoding", "gzip")
            .header("x-reply", "sse")
            .body(client::whole(short_body(EASY)?))?;
        let listener = stage.envoy.listener_named("compressor-before")?;
        let mut answer = client::begin(listener, protocol, request)?;
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        // The upstream sends the rest when the first event is here.
        while decoder.get_ref().len() < events()[0].len() {
            decoder.write_all(&answer.next_piece()?.context("it ended")?)?;
            decoder.flush()?;
        }
        assert_eq!(decoder.get_ref(), &events()[0], "{protocol:?}");
        stage.go_on(&path)?;
        while let Some(piece) = answer.next_piece()? {
            decoder.write_all(&piece)?;
        }
        assert_eq!(decoder.finish()?, events().concat(), "{protocol:?}");
    }
    Ok(())
}

fn compressed_too_early(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let body = short_body(EASY)?;
    for protocol in PROTOCOLS {
        let missing = || counted(stage, "pointsman_answers.target.cheap.usage.missing");
        let before = missing()?;
        let content = (client::whole(body.clone()), &body[..]);
        let passed = assert_passes(stage, "compressor-behind", protocol, content, &ACCEPTS)?;
        assert_eq!(passed.0.response.header("content-encoding"), Some("gzip"));
        ensure!(usage(stage, &passed.0.path)?.is_none(), "it was read");
        assert_eq!(missing()? - before, 1);
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

const ENCODED: [(&str, &str); 1] = [("content-encoding", "gzip")];

fn decompressed(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for body in [short_body(EASY)?, long_body()?] {
        for protocol in PROTOCOLS {
            let content = (client::whole(gzip(&body)?), &body[..]);
            let (asked, cluster, record) =
                assert_whole(stage, "decompressor-before", protocol, content, &ENCODED)?;
            assert!(!record.headers.contains_key("content-encoding"));
            let source = asked.response.header("x-pointsman-source");
            assert_eq!(source, Some("classifier"), "{cluster}");
        }
    }
    Ok(())
}

fn decompressed_too_late(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let body = short_body(EASY)?;
    let before = decisions(stage)?;
    let content = client::whole(gzip(&body)?);
    let asked = super::ask(stage, "decompressor-behind", Protocol::Http1, content, &ENCODED)?;
    assert_eq!(stage.landing(&asked.path)?.1.body, body);
    let super::Asked { path, response } = asked;
    stage.assert_defaulted(&Sent { path, response }, "content_encoded")?;
    assert_eq!(decisions(stage)? - before, 1);
    Ok(())
}
