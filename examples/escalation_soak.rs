//! Millions of requests, one in five of which has a bad answer, through one worker: every client
//! gets the answer that it should, each model is asked as often as it should, and memory stays
//! level.
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use anyhow::{Context, Result, ensure};
use clap::Parser;

use pointsman_testkit::mixed::Mixed;

/// Send many requests through a target that escalates, and reconcile what everybody has counted.
#[derive(Parser)]
struct Arguments {
    /// How many requests
    #[arg(long, default_value_t = 2_000_000)]
    requests: u64,
    /// Connections that always have a request under way
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How much Envoy's memory may grow after the first twentieth, in MiB
    #[arg(long, default_value_t = 64)]
    growth: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let versions = pointsman_testkit::supported_versions()?;
    let binary =
        pointsman_testkit::installed_envoy(versions.first().context("envoy/versions is empty")?)?;
    let logs = pointsman_testkit::root().join("target/escalation-soak");
    std::fs::create_dir_all(&logs)?;
    let mixed = Mixed::start(&binary, &logs)?;
    let mut level = None;
    let steps = arguments.requests.clamp(1, 20);
    let mut sent = 0;
    println!("{:>10} {:>12} {:>10} {:>12}", "requests", "requests/s", "escalated", "heap MiB");
    for step in 0..steps {
        let count = arguments.requests / steps + u64::from(step < arguments.requests % steps);
        let counts = mixed.send(count, arguments.connections)?;
        sent += counts.requests;
        let memory = mixed.envoy.heap()?;
        println!(
            "{sent:>10} {:>12.0} {:>10} {memory:>12}",
            count as f64 / counts.lasted.as_secs_f64(),
            counts.escalated,
        );
        let level = *level.get_or_insert(memory);
        ensure!(memory <= level + arguments.growth, "memory grew from {level} MiB to {memory} MiB");
    }
    mixed.reconcile()?;
    for word in ["panicked", "wasm trap", "VM failed", "Uncaught"] {
        ensure!(!mixed.envoy.log_since(0).contains(word), "{word:?} is in Envoy's log");
    }
    println!("{sent} requests: all answered right, and each model was asked once at most");
    Ok(())
}
