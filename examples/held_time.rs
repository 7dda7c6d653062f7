//! What `hold: head` adds to the time to the first byte of a stream, beyond the time in which the
//! held bytes themselves come.
//!
//! The same stream is asked for twice in turns: of a target whose heads are held, and of one whose
//! answers are not. The first byte of the one is compared with the moment at which the client had as
//! many bytes of the other as were held.
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use http::Request;
use serde_json::json;

use pointsman_core::api::ApiFormat;
use pointsman_testkit::client::{self, Body, Protocol};
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::gateway::rendered;
use pointsman_testkit::said::{self, says};
use pointsman_testkit::scripted::{Script, Scripted};

/// Compare the first byte of a stream whose head is held with one whose head is not.
#[derive(Parser)]
struct Arguments {
    /// Pairs of requests
    #[arg(long, default_value_t = 400)]
    pairs: usize,
    /// Milliseconds between two events of the stream
    #[arg(long, default_value_t = 2)]
    pause_ms: u64,
    /// Tokens that are held
    #[arg(long, default_value_t = 64)]
    hold_tokens: usize,
}

const CHAT: ApiFormat = ApiFormat::ChatCompletions;

/// When how many bytes were here.
type Arrivals = Vec<(Duration, usize)>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let logs = pointsman_testkit::root().join("target/held-time");
    std::fs::create_dir_all(&logs)?;
    let text = "It is four, as two and two are always four. ".repeat(20);
    let script = Script::of(&says(text), CHAT, true);
    let lengths: Vec<usize> = events(&script.bytes());
    let script = script.in_pieces(&lengths, Duration::from_millis(arguments.pause_ms));
    let model = Scripted::start(move |_| script.clone())?;
    let envoy = start(&model, &logs, arguments.hold_tokens)?;
    let ask = |target: &str| ask(&envoy, target);
    for target in ["held", "free"] {
        ask(target)?;
    }
    let mut added = Vec::with_capacity(arguments.pairs);
    let mut waited = Vec::with_capacity(arguments.pairs);
    for pair in 0..arguments.pairs {
        let (held, free) = if pair.is_multiple_of(2) {
            let held = ask("held")?;
            (held, ask("free")?)
        } else {
            let free = ask("free")?;
            (ask("held")?, free)
        };
        let (at, bytes) = *held.first().context("an empty stream")?;
        let same = free.iter().find(|(_, here)| *here >= bytes).context("a shorter stream")?.0;
        added.push(at.as_secs_f64() * 1e3 - same.as_secs_f64() * 1e3);
        waited.push(same.as_secs_f64() * 1e3);
    }
    for (name, values) in [("held bytes come within", &mut waited), ("added to that", &mut added)] {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (values.len().saturating_sub(1) as f64 * share) as usize;
            values.get(place).copied().unwrap_or(f64::NAN)
        };
        println!("{name:24} p50 {:8.3} ms   p99 {:8.3} ms", at(0.5), at(0.99));
    }
    Ok(())
}

/// The lengths of a stream's events.
fn events(stream: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(stream);
    text.split_inclusive("\n\n").map(str::len).collect()
}

fn start(model: &Scripted, directory: &Path, hold_tokens: usize) -> Result<Envoy> {
    let versions = pointsman_testkit::supported_versions()?;
    let binary =
        pointsman_testkit::installed_envoy(versions.first().context("envoy/versions is empty")?)?;
    let file = json!({
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "providers": {"one": model.provider()},
        "targets": [
            {"name": "held", "model": "one/held",
                "escalate": {"hold": "head", "hold_tokens": hold_tokens, "max_share": 0}},
            {"name": "free", "model": "one/free"},
        ],
        "override": {"targets": ["held", "free"]},
    });
    let (_, mut deployment) = rendered(&file.to_string(), directory, "envoy.yaml")?;
    deployment.remove_access_logs()?;
    Envoy::start_with(&binary, &deployment, directory, 1)
}

fn ask(envoy: &Envoy, target: &str) -> Result<Arrivals> {
    let body = said::question(CHAT, "What is 2 + 2?", true);
    let request: Request<Body> = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("x-pointsman-target", target)
        .body(client::whole(body.to_string()))?;
    let begun = Instant::now();
    let mut answer = client::begin(envoy.listener, Protocol::Http1, request)?;
    ensure!(answer.status == 200, "{target} answers {}", answer.status);
    let (mut arrivals, mut bytes) = (Vec::new(), 0);
    while let Some(piece) = answer.next_piece()? {
        bytes += piece.len();
        arrivals.push((begun.elapsed(), bytes));
    }
    Ok(arrivals)
}
