//! What a decision costs in instructions: two built filters side by side on the golden requests.
//!
//!     cargo run --release --example fuel -- BEFORE.wasm dist/pointsman.wasm
//!
//! Unlike time, the count is the same in every run on every machine.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that shows something, and holds no request of anybody open"
)]

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Parser;
use pointsman_testkit::root;
use pointsman_testkit::wasm::plugin::{Plugin, Request};
use serde_json::Value;

/// Count the instructions of each golden request's exchange in two built filters.
#[derive(Parser)]
struct Arguments {
    before: PathBuf,
    after: PathBuf,
}

const CONFIGURATION: &[u8] = br#"{"targets":[{"name":"cheap","cluster":"cheap"},
    {"name":"strong","cluster":"strong"}]}"#;
const FUEL: u64 = 1 << 60;

/// What an exchange takes: for the request's headers, its body, and the answer.
type Fuel = [u64; 3];
const PARTS: [&str; 3] = ["headers", "body", "answer"];

/// Fuel that each exchange takes, after one that warms up.
fn measure(module: &Path, bodies: &[String]) -> Result<Vec<Fuel>> {
    let failed = |failure| anyhow!("{}: {failure:?}", module.display());
    let mut plugin = Plugin::metered(module, CONFIGURATION, FUEL).map_err(failed)?;
    let mut used = Vec::new();
    for body in bodies.iter().take(1).chain(bodies) {
        let request = Request::chat(body.as_str());
        let begun = plugin.fuel();
        let (id, held) = plugin.open(&request).map_err(failed)?;
        let opened = plugin.fuel();
        plugin.send(id, &request, held).map_err(failed)?;
        let sent = plugin.fuel();
        plugin.finish(id).map_err(failed)?;
        used.push([begun - opened, opened - sent, sent - plugin.fuel()]);
    }
    Ok(used.split_off(1))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let golden = std::fs::read_to_string(root().join("model/golden.jsonl"))?;
    let body = |line: &str| Ok(serde_json::from_str::<Value>(line)?["request"].to_string());
    let bodies = golden.lines().map(body).collect::<Result<Vec<_>>>()?;
    let before = measure(&arguments.before, &bodies)?;
    let after = measure(&arguments.after, &bodies)?;
    println!("{:>8} {:>12} {:>12} {:>7}", "bytes", "before", "after", "ratio");
    let line = |name: &str, before: u64, after: u64| {
        println!("{name:>8} {before:>12} {after:>12} {:>7.4}", after as f64 / before as f64);
    };
    for ((body, before), after) in bodies.iter().zip(&before).zip(&after) {
        line(&body.len().to_string(), before.iter().sum(), after.iter().sum());
    }
    let part = |used: &[Fuel], at: usize| used.iter().map(|fuel| fuel[at]).sum::<u64>();
    for (at, name) in PARTS.into_iter().enumerate() {
        line(name, part(&before, at), part(&after, at));
    }
    let all = |used: &[Fuel]| used.iter().flatten().sum::<u64>();
    line("all", all(&before), all(&after));
    Ok(())
}
