//! Escalated requests that are kept with both their answers, by the process that does so.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{CHAT, REFUSAL, usual};
use crate::Case;
use crate::stage::{Stage, post};
use pointsman_gateway::arguments;
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::gateway::rendered;
use pointsman_testkit::process::{Process, log_since};
use pointsman_testkit::said::{self, says};
use pointsman_testkit::scripted::{Script, Scripted, marked};
use pointsman_testkit::{program, root};

pub const CASES: &[Case] =
    &[("escalated_requests_are_captured_with_both_answers_and_nothing_else_is", captured)];

/// What stands in the questions, and must not be kept.
const SECRET: &str = "sk-1234567890";

fn rows(file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn captured(stage: &Stage) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (cheap, strong) = (Scripted::start(usual("cheap"))?, Scripted::start(usual("strong"))?);
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let out = directory.path().join("pairs.jsonl");
    let file = json!({
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "providers": {"one": cheap.provider(), "two": strong.provider()},
        "targets": [
            {"name": "cheap", "model": "one/cheap", "escalate": {"max_share": 1}},
            {"name": "strong", "model": "two/strong"},
        ],
        "override": {"targets": ["cheap", "strong"]},
        "capture": {"listen": listen.to_string(), "out": out, "redact": ["sk-[0-9]+"],
            "max_bytes": 4096},
    });
    let (gateway, deployment) = rendered(&file.to_string(), directory.path(), "envoy.yaml")?;
    let arguments = arguments::capture(gateway.capture.as_ref().context("there is a capture")?);
    let sink = Process::start(&program()?, &arguments, &root(), directory.path(), "capture")?;
    sink.wait_for("listening on")?;
    let envoy = Envoy::start(&stage.binary, &deployment, directory.path())?;
    let send = |body: &Value| -> Result<Response> {
        let request: Request<client::Body> = post("/v1/chat/completions")
            .header("x-pointsman-target", "cheap")
            .body(client::whole(Bytes::from(body.to_string())))?;
        client::exchange(envoy.listener, Protocol::Http1, request)
    };
    let question = |id: u64, streamed| {
        said::question(CHAT, &marked(id, &format!("What is 2 + 2? {SECRET}")), streamed)
    };
    // Sound, bad, bad and long, bad where the other target fails, bad as a stream.
    send(&question(1, false))?;
    cheap.choose(2, Script::of(&says(REFUSAL), CHAT, false));
    assert_eq!(send(&question(2, false))?.header("x-pointsman-escalated"), Some("refusal"));
    cheap.choose(3, Script::of(&says(REFUSAL), CHAT, false));
    strong.choose(3, Script::of(&says("a long answer ".repeat(400)), CHAT, false));
    assert_eq!(send(&question(3, false))?.header("x-pointsman-escalated"), Some("refusal"));
    cheap.choose(4, Script::of(&says(REFUSAL), CHAT, false));
    strong.choose(4, Script::nothing(503));
    assert_eq!(send(&question(4, false))?.header("x-pointsman-kept"), Some("refusal; unavailable"));
    cheap.choose(5, Script::of(&says(REFUSAL), CHAT, true));
    assert_eq!(send(&question(5, true))?.header("x-pointsman-escalated"), Some("refusal"));

    let deadline = Instant::now() + Duration::from_secs(20);
    while rows(&out)?.len() < 2 {
        ensure!(Instant::now() < deadline, "captured: {:?}", rows(&out));
        std::thread::sleep(Duration::from_millis(20));
    }
    // What must not come would have come by now: pairs are sent every few milliseconds.
    std::thread::sleep(Duration::from_millis(300));
    let rows = rows(&out)?;
    assert_eq!(rows.len(), 2, "{rows:?}");
    // Two workers send them, in no order.
    for id in [2, 5] {
        let question = marked(id, "What is 2 + 2? [redacted]");
        let asks = |row: &&Value| row["request"]["messages"].to_string().contains(&question);
        let row = rows.iter().find(asks).with_context(|| format!("{question}: {rows:?}"))?;
        assert_eq!(
            (&row["sign"], &row["path"]),
            (&json!("refusal"), &json!("/v1/chat/completions"))
        );
        ensure!(row["cheap_response"].to_string().contains("can't help"), "{row}");
        ensure!(row["response"].to_string().contains("says the strong model"), "{row}");
    }
    let text = std::fs::read_to_string(&out)?;
    ensure!(!text.contains(SECRET) && text.contains("[redacted]"), "{text}");
    for log in [&sink.stderr, &sink.stdout] {
        ensure!(!log_since(log, 0).contains("2 + 2"), "{}", log.display());
    }
    Ok(())
}
