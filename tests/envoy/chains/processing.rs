//! `ext_proc`: in streams both ways, as gateways to a pool of inference servers have it, and with
//! the request's body as a whole.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::json;

use super::grpc::{MODE, PROCESSED};
use super::{Chain, EASY, ask, assert_whole, chained, filter, long_body, short_body, text};
use crate::Case;
use crate::stage::{PROTOCOLS, Stage, cut, noise, post};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::recorder::{Record, events, large_reply};

pub const CASES: &[Case] = &[
    ("in_front_of_a_processor_of_streams_long_bodies_and_answers_pass_byte_exact", in_front),
    ("behind_a_processor_of_streams_long_bodies_and_answers_pass_byte_exact", behind),
    ("a_message_to_a_processor_is_no_larger_than_what_is_held_and_a_read", backlog),
    ("a_processor_of_whole_bodies_behind_sees_what_is_rewritten", rewritten),
    ("through_a_processor_of_streams_an_event_is_not_held_back", streamed_answer),
];

/// What a server of gRPC takes of one message unless it is told otherwise.
const USUAL_MESSAGE: usize = 4 << 20;
/// `body.max_bytes` and one read of the documented deployment.
const MOST_HELD: usize = (512 << 10) + (4 << 20);

pub(super) fn chains() -> Vec<Chain> {
    let processor = |mode: &str, processing| {
        filter(
            "envoy.filters.http.ext_proc",
            "filters.http.ext_proc.v3.ExternalProcessor",
            json!({
                "grpc_service": {
                    "envoy_grpc": {"cluster_name": "grpc"},
                    "initial_metadata": [{"key": MODE, "value": mode}],
                },
                "processing_mode": processing,
                "message_timeout": "10s",
            }),
        )
    };
    let streams = json!({
        "request_header_mode": "SEND", "response_header_mode": "SEND",
        "request_body_mode": "FULL_DUPLEX_STREAMED", "response_body_mode": "FULL_DUPLEX_STREAMED",
        "request_trailer_mode": "SEND", "response_trailer_mode": "SEND",
    });
    let whole = json!({
        "request_header_mode": "SEND", "response_header_mode": "SKIP",
        "request_body_mode": "BUFFERED", "response_body_mode": "NONE",
    });
    let streams = processor("streams", streams);
    let rewriting = json!({
        "targets": [
            {"name": "cheap", "cluster": "cheap", "model": "small-1",
             "price": {"input": 0.15, "output": 0.6}},
            {"name": "strong", "cluster": "strong", "model": "a-larger-2",
             "price": {"input": 2.5, "output": 10.0}},
        ],
        "body": {"max_bytes": 524_288, "hold_bytes": 2_097_152, "rewrite_model": true},
    });
    vec![
        Chain { name: "streams-behind", behind: vec![streams.clone()], ..Chain::default() },
        Chain { name: "streams-before", before: vec![streams], ..Chain::default() },
        Chain {
            name: "whole-behind",
            behind: vec![processor("buffered", whole)],
            fields: Some(rewriting),
            ..Chain::default()
        },
    ]
}

/// How many bytes of a request the processor has seen, and the largest message.
fn processed(record: &Record) -> Result<(usize, usize)> {
    let told = record.headers.get(PROCESSED).context("the processor was not asked")?.to_str()?;
    let (bytes, largest) = told.split_once('/').context("two numbers")?;
    Ok((bytes.parse()?, largest.parse()?))
}

fn in_front(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    let largest = bodies_pass(stage, "streams-behind", &long_body()?)?;
    // What we hold back goes on as one message.
    ensure!((1_600_000..USUAL_MESSAGE).contains(&largest), "{largest}");
    Ok(())
}

fn behind(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    // 1.36.4 and 1.37.0 lose what comes behind the bytes on which we decide: no more may come.
    let body = match stage.minor()? {
        ..39 => short_body(&noise(400_000))?,
        _ => long_body()?,
    };
    let largest = bodies_pass(stage, "streams-before", &body)?;
    ensure!(largest < USUAL_MESSAGE, "{largest}");
    Ok(())
}

/// What a fast sender has on its way comes on top of what we hold back, in the same message.
fn backlog(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    if stage.minor()? < 37 {
        // It may refuse as much: docs/runbook.md, 413.
        return Ok(());
    }
    let body = short_body(&noise(7_000_000))?;
    let content = client::pieces(vec![Bytes::copy_from_slice(&body)], None);
    let asked = ask(stage, "streams-behind", Protocol::Http1, content, &[])?;
    let (_, record) = stage.landing(&asked.path)?;
    assert!(record.body == body, "other bytes");
    let (_, largest) = processed(&record)?;
    ensure!(largest <= MOST_HELD, "{largest}");
    Ok(())
}

/// Sends a short and this body in each shape; the largest message that the processor has seen.
fn bodies_pass(stage: &Stage, chain: &str, body: &[u8]) -> Result<usize> {
    let mut most = 0;
    for body in [short_body(EASY)?, body.to_vec()] {
        for protocol in PROTOCOLS {
            for content in [client::whole(body.clone()), client::pieces(cut(&body, 50_000), None)] {
                let (_, _, record) = assert_whole(stage, chain, protocol, (content, &body), &[])?;
                let (bytes, largest) = processed(&record)?;
                assert_eq!(bytes, body.len(), "{chain} over {protocol:?}");
                most = most.max(largest);
            }
        }
    }
    for protocol in PROTOCOLS {
        let content = client::whole(short_body(EASY)?);
        let asked = ask(stage, chain, protocol, content, &[("x-reply", "large")])?;
        assert!(asked.response.body == large_reply(), "{chain}: the answer has other bytes");
    }
    Ok(most)
}

fn rewritten(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for body in [short_body(EASY)?, long_body()?] {
        for protocol in PROTOCOLS {
            let content = client::whole(body.clone());
            // The model's name stands behind the text.
            let asked = ask(stage, "whole-behind", protocol, content, &[])?;
            assert_eq!(asked.response.status, 200, "{}", text(&asked.response.body));
            let (cluster, record) = stage.landing(&asked.path)?;
            let model = if cluster == "cheap" { "small-1" } else { "a-larger-2" };
            let expected =
                text(&body).replace(r#""model":"auto""#, &format!(r#""model":"{model}""#));
            assert!(record.body == expected.as_bytes(), "{protocol:?}: other bytes");
            assert_eq!(processed(&record)?.0, expected.len(), "it saw the rewritten body");
            let content = (client::whole(body.clone()), expected.as_bytes());
            assert_whole(stage, "whole-behind", protocol, content, &[])?;
        }
    }
    Ok(())
}

fn streamed_answer(stage: &Stage) -> Result<()> {
    let stage = &*chained(stage)?;
    for chain in ["streams-behind", "streams-before"] {
        for protocol in PROTOCOLS {
            let path = stage.path();
            let content = client::whole(short_body(EASY)?);
            let request = post(&path).header("x-reply", "sse").body(content)?;
            let listener = stage.envoy.listener_named(chain)?;
            let mut answer = client::begin(listener, protocol, request)?;
            // The upstream sends the rest when the first event is here.
            let first = answer.next_piece()?.context("the answer is empty")?;
            assert_eq!(first, events()[0], "{chain} over {protocol:?}");
            stage.go_on(&path)?;
            let mut received = first.to_vec();
            while let Some(piece) = answer.next_piece()? {
                received.extend_from_slice(&piece);
            }
            assert_eq!(received, events().concat(), "{chain} over {protocol:?}");
        }
    }
    Ok(())
}
