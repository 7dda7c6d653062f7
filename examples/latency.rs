//! Decision time inside real Envoy by body size, from the records in its access log.
//!
//! The time runs from the whole body being there to the decision: copying the body into the
//! filter, parsing, features, model. It is the filter's own clock, so what client, network and
//! upstream take is not in it. One worker, one connection, one request after another.
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

// The real-Envoy tests use the rest of it.
use std::collections::BTreeMap;

use anyhow::{Context, Result};

use pointsman_testkit::RUNTIME;
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::{Envoy, decision_of};
use pointsman_testkit::load::{self, Connection};

/// Body sizes in bytes, and how many requests are sent of each.
const SIZES: [(usize, usize); 4] = [(512, 1500), (2048, 1500), (16_384, 800), (131_072, 200)];
/// Requests of each size that only warm up.
const WARM_UP: usize = 200;

fn main() -> Result<()> {
    let wasm = pointsman_testkit::wasm_module()?;
    let versions = pointsman_testkit::supported_versions()?;
    let binary =
        pointsman_testkit::installed_envoy(versions.first().context("envoy/versions is empty")?)?;
    let logs = pointsman_testkit::root().join("target/latency");
    std::fs::create_dir_all(&logs)?;
    // An upstream that answers at once: retries and their pauses would let the processor idle
    // between decisions, and each would then find cold caches.
    let upstream = load::upstream()?;
    let mut deployment = Deployment::documented(&wasm)?;
    deployment.set_upstream("cheap-cache", upstream)?;
    deployment.set_upstream("strong-cache", upstream)?;
    let envoy = Envoy::start_with(&binary, &deployment, &logs, 1)?;
    println!(
        "ready after {:.2} s with a filter of {:.2} MB",
        envoy.ready_after.as_secs_f64(),
        std::fs::metadata(&wasm)?.len() as f64 / 1e6
    );
    let mut sent = BTreeMap::new();
    for (size, count) in SIZES {
        let body = load::body(size)?;
        let request = load::request(&body);
        let mut connection = RUNTIME.block_on(Connection::open(envoy.listener))?;
        for _ in 0..count + WARM_UP {
            RUNTIME.block_on(connection.exchange(&request))?;
        }
        sent.insert(body.len(), count);
    }
    let all: usize = sent.values().map(|count| count + WARM_UP).sum();
    let mut times: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while times.values().map(Vec::len).sum::<usize>() < all {
        anyhow::ensure!(std::time::Instant::now() < deadline, "records are missing in the log");
        std::thread::sleep(std::time::Duration::from_millis(200));
        times.clear();
        for line in envoy.access_log().lines() {
            let Ok(line) = serde_json::from_str(line) else { continue };
            let decision = decision_of(&line)?;
            let size = decision["body_bytes"].as_u64().context("no body_bytes")? as usize;
            let micros = decision["latency_us"].as_u64().context("no latency_us")?;
            times.entry(size).or_default().push(micros);
        }
    }
    println!(
        "{:>10} {:>9} {:>8} {:>8} {:>8}",
        "body bytes", "requests", "p50 µs", "p90 µs", "p99 µs"
    );
    for (size, mut micros) in times {
        micros.drain(..WARM_UP.min(micros.len()));
        micros.sort_unstable();
        // Nearest rank: a value that was really measured.
        let percentile = |p: usize| micros[(micros.len() * p).div_ceil(100).saturating_sub(1)];
        let (p50, p90, p99) = (percentile(50), percentile(90), percentile(99));
        println!("{size:>10} {:>9} {p50:>8} {p90:>8} {p99:>8}", micros.len());
    }
    Ok(())
}
