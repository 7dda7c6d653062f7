//! Millions of requests of mixed sizes through one worker: memory stays level, nothing is lost.
//!
//! An hour of a busy worker in some minutes. It is no test, because it takes long and its load
//! disturbs what else runs; `make soak` runs it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a measurement prints, and stops at the first surprise"
)]

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::load;

/// Send many requests of mixed sizes through one worker of Envoy.
#[derive(Parser)]
struct Arguments {
    /// How many requests
    #[arg(long, default_value_t = 2_000_000)]
    requests: usize,
    /// Of them, how many only warm up
    #[arg(long, default_value_t = 100_000)]
    warm_up: usize,
    /// Connections that always have a request under way
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How much Envoy's memory may grow after the warm-up, in MiB
    #[arg(long, default_value_t = 16)]
    growth: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let versions = pointsman_testkit::supported_versions()?;
    let binary =
        pointsman_testkit::installed_envoy(versions.first().context("envoy/versions is empty")?)?;
    let logs = pointsman_testkit::root().join("target/soak");
    std::fs::create_dir_all(&logs)?;
    let mut deployment = Deployment::documented(&pointsman_testkit::wasm_module()?)?;
    deployment.remove_access_logs()?;
    let upstream = load::upstream()?;
    for cluster in ["cheap-cache", "strong-cache"] {
        deployment.set_upstream(cluster, upstream)?;
    }
    let envoy = Envoy::start_with(&binary, &deployment, &logs, 1)?;
    let requests = Arc::new(mixed_requests()?);
    let bytes: usize = requests.iter().map(Vec::len).sum();
    println!(
        "{} requests in turn, {} bytes each on average",
        requests.len(),
        bytes / requests.len()
    );

    let mut level = None;
    let steps = 20;
    let mut sent = 0;
    println!("{:>10} {:>12} {:>10} {:>10}", "requests", "requests/s", "refused", "RSS MiB");
    for step in 0..=steps {
        let count = match step {
            0 => arguments.warm_up,
            _ => (arguments.requests - arguments.warm_up) / steps,
        };
        let over = move |number| number >= count;
        let flood = load::flood(envoy.listener, &requests, arguments.connections, over)?;
        sent += flood.answered + flood.refused;
        let memory = envoy.resident()?;
        println!(
            "{sent:>10} {:>12.0} {:>10} {memory:>10}",
            count as f64 / flood.lasted.as_secs_f64(),
            flood.refused
        );
        ensure!(flood.refused == 0, "{} answers were not the upstream's", flood.refused);
        let level = *level.get_or_insert(memory);
        ensure!(memory <= level + arguments.growth, "memory grew from {level} MiB to {memory} MiB");
    }
    let counted = decisions(&envoy.admin_get("/stats?filter=pointsman_decisions")?)?;
    ensure!(counted == sent, "Envoy counted {counted} decisions of {sent} requests");
    for word in ["panicked", "wasm trap", "VM failed", "Uncaught"] {
        ensure!(!envoy.log_since(0).contains(word), "{word:?} is in Envoy's log");
    }
    let vms = envoy.admin_get("/stats?filter=wasm.envoy.wasm.runtime.v8")?;
    println!("{}", vms.trim());
    println!("{sent} requests, all answered by the upstream and decided once; no crash in the log");
    Ok(())
}

/// Bodies from 100 bytes to 256 KiB, small ones far more often, some of them broken.
fn mixed_requests() -> Result<Vec<Vec<u8>>> {
    let mut random = SmallRng::seed_from_u64(7);
    (0..997)
        .map(|number| {
            // Every factor of two is half as frequent as the one before.
            let doublings = (0..11).take_while(|_| random.random_bool(0.5)).count();
            let size = 100 + random.random_range(0..128_usize << doublings);
            let mut body = load::body(size)?;
            if number % 50 == 0 {
                body.truncate(body.len() / 2);
            }
            Ok(load::request(&body))
        })
        .collect()
}

/// All decisions, from Envoy's text statistics.
fn decisions(stats: &str) -> Result<usize> {
    let value = |line: &str| -> Result<usize> {
        let (_, value) = line.split_once(": ").with_context(|| line.to_owned())?;
        Ok(value.parse()?)
    };
    stats.lines().map(value).sum()
}
