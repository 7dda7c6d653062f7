//! What the filter costs a request, in the same Envoy with and without it.
//!
//! One Envoy with one worker has two listeners that differ only in the filter. Both are measured in
//! turns, so that whatever else the machine does meets both. docs/performance.md has the method.
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

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use pointsman_testkit::RUNTIME;
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::load::{self, Connection};

/// Compare Envoy with and without the filter.
#[derive(Parser)]
struct Arguments {
    /// Bytes of body for the added latency
    #[arg(long, default_value_t = 2048)]
    latency_body: usize,
    /// Pairs of requests for the added latency
    #[arg(long, default_value_t = 4000)]
    pairs: usize,
    /// Bytes of body for the throughput
    #[arg(long, default_value_t = 1024)]
    throughput_body: usize,
    /// Turns of each listener for the throughput
    #[arg(long, default_value_t = 7)]
    turns: usize,
    /// Seconds of a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections that always have a request under way
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Keep the access log, which writes a line a request on both sides
    #[arg(long)]
    access_log: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let versions = pointsman_testkit::supported_versions()?;
    let binary =
        pointsman_testkit::installed_envoy(versions.first().context("envoy/versions is empty")?)?;
    let logs = pointsman_testkit::root().join("target/throughput");
    std::fs::create_dir_all(&logs)?;
    let mut deployment = Deployment::documented(&pointsman_testkit::wasm_module()?)?;
    deployment.add_plain_listener()?;
    if !arguments.access_log {
        deployment.remove_access_logs()?;
    }
    let upstream = load::upstream()?;
    for cluster in ["cheap-cache", "strong-cache"] {
        deployment.set_upstream(cluster, upstream)?;
    }
    let envoy = Envoy::start_with(&binary, &deployment, &logs, 1)?;
    let sides = Sides { plain: envoy.listener_named("plain")?, filter: envoy.listener };
    let worker = Worker::find(&logs.join("envoy.json").display().to_string())?;
    latency(&sides, &arguments)?;
    throughput(&sides, &worker, &arguments)
}

struct Sides {
    plain: SocketAddr,
    filter: SocketAddr,
}

/// Different ones, more than a processor remembers the branches of.
fn requests(body: usize) -> Result<Vec<Vec<u8>>> {
    const COUNT: usize = 499;
    Ok(load::bodies(body, COUNT)?.iter().map(|body| load::request(body)).collect())
}

/// One connection each, one request after another, plain and filter in turns.
fn latency(sides: &Sides, arguments: &Arguments) -> Result<()> {
    const WARM_UP: usize = 200;
    let requests = requests(arguments.latency_body)?;
    let mut plain = RUNTIME.block_on(Connection::open(sides.plain))?;
    let mut filter = RUNTIME.block_on(Connection::open(sides.filter))?;
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for pair in 0..arguments.pairs + WARM_UP {
        let request = &requests[pair % requests.len()];
        for (connection, times) in [&mut plain, &mut filter].into_iter().zip(&mut times) {
            let begun = Instant::now();
            let status = RUNTIME.block_on(connection.exchange(request))?;
            let micros = begun.elapsed().as_secs_f64() * 1e6;
            ensure!(status == 200, "status {status}");
            if pair >= WARM_UP {
                times.push(micros);
            }
        }
    }
    let mut differences: Vec<f64> =
        times[1].iter().zip(&times[0]).map(|(filter, plain)| filter - plain).collect();
    println!(
        "latency, {} bytes of body, {} pairs, in µs:",
        arguments.latency_body, arguments.pairs
    );
    println!("{:>10} {:>9} {:>9} {:>9}", "", "p50", "p90", "p99");
    let [plain, filter] = &mut times;
    for (name, values) in [("plain", &mut *plain), ("filter", &mut *filter)] {
        println!(
            "{name:>10} {:>9.1} {:>9.1} {:>9.1}",
            percentile(values, 50),
            percentile(values, 90),
            percentile(values, 99)
        );
    }
    let (added, paired) =
        (percentile(filter, 50) - percentile(plain, 50), percentile(&mut differences, 50));
    println!(
        "added at the median: {added:.1} µs; median of the pairs' differences: {paired:.1} µs\n"
    );
    Ok(())
}

/// As many requests as one worker can take, plain and filter in turns.
fn throughput(sides: &Sides, worker: &Worker, arguments: &Arguments) -> Result<()> {
    let requests = Arc::new(requests(arguments.throughput_body)?);
    println!(
        "throughput, {} bytes of body, {} connections, turns of {} s:",
        arguments.throughput_body, arguments.connections, arguments.seconds
    );
    println!("{:>10} {:>12} {:>18} {:>12}", "", "requests/s", "worker µs/request", "worker busy");
    let mut turns: [Vec<Turn>; 2] = [Vec::new(), Vec::new()];
    for turn in 0..=arguments.turns {
        for (side, (name, to)) in
            [("plain", sides.plain), ("filter", sides.filter)].into_iter().enumerate()
        {
            let deadline = Instant::now() + Duration::from_secs_f64(arguments.seconds);
            let before = worker.cpu()?;
            let over = move |_| Instant::now() > deadline;
            let flood = load::flood(to, &requests, arguments.connections, over)?;
            let cpu = (worker.cpu()? - before).as_secs_f64();
            ensure!(flood.refused == 0, "{} requests were refused", flood.refused);
            // The first turn warms up.
            if turn == 0 {
                continue;
            }
            let lasted = flood.lasted.as_secs_f64();
            let done = Turn {
                rate: flood.answered as f64 / lasted,
                micros: cpu * 1e6 / flood.answered as f64,
            };
            println!(
                "{name:>10} {:>12.0} {:>18.1} {:>11.0}%",
                done.rate,
                done.micros,
                100.0 * cpu / lasted
            );
            turns[side].push(done);
        }
    }
    let median = |of: fn(&Turn) -> f64, side: usize| {
        percentile(&mut turns[side].iter().map(of).collect::<Vec<_>>(), 50)
    };
    let rate = median(|turn| turn.rate, 1) / median(|turn| turn.rate, 0);
    let (plain, filter) = (median(|turn| turn.micros, 0), median(|turn| turn.micros, 1));
    println!("throughput with the filter: {rate:.3} of plain, by medians");
    println!(
        "worker time a request: {plain:.1} µs plain, {filter:.1} µs with the filter: {:.3} of plain's \
         capacity",
        plain / filter
    );
    Ok(())
}

struct Turn {
    /// Requests a second.
    rate: f64,
    /// Processor time of the worker a request.
    micros: f64,
}

/// Nearest rank: a value that was really measured.
fn percentile(values: &mut [f64], p: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() * p).div_ceil(100).saturating_sub(1)]
}

/// Envoy's worker thread, whose processor time Linux counts.
struct Worker {
    stat: PathBuf,
}

impl Worker {
    /// The worker of the Envoy that was started with this configuration file.
    fn find(configuration: &str) -> Result<Self> {
        for process in std::fs::read_dir("/proc")?.flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let comm = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let is_ours = comm.trim() == "envoy"
                && String::from_utf8_lossy(&command).split('\0').any(|part| part == configuration);
            if !is_ours {
                continue;
            }
            for thread in std::fs::read_dir(process.path().join("task"))?.flatten() {
                let name = std::fs::read_to_string(thread.path().join("comm"))?;
                if name.starts_with("wrk:worker") {
                    return Ok(Self { stat: thread.path().join("schedstat") });
                }
            }
        }
        anyhow::bail!("no worker thread of Envoy is in /proc")
    }

    fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(&self.stat)?;
        let nanos = text.split(' ').next().context("schedstat is empty")?;
        Ok(Duration::from_nanos(nanos.parse()?))
    }
}
