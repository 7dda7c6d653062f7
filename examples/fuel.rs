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

/// Fuel that each exchange takes, after one that warms up.
fn measure(module: &Path, bodies: &[String]) -> Result<Vec<u64>> {
    let failed = |failure| anyhow!("{}: {failure:?}", module.display());
    let mut plugin = Plugin::metered(module, CONFIGURATION, FUEL).map_err(failed)?;
    let mut used = Vec::new();
    for body in bodies.iter().take(1).chain(bodies) {
        let before = plugin.fuel();
        plugin.exchange(&Request::chat(body.as_str())).map_err(failed)?;
        used.push(before - plugin.fuel());
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
    for ((body, before), after) in bodies.iter().zip(&before).zip(&after) {
        let ratio = *after as f64 / *before as f64;
        println!("{:>8} {before:>12} {after:>12} {ratio:>7.4}", body.len());
    }
    let (before, after): (u64, u64) = (before.iter().sum(), after.iter().sum());
    println!("{:>8} {before:>12} {after:>12} {:>7.4}", "all", after as f64 / before as f64);
    Ok(())
}
