//! Load on `pointsman serve`: decisions and rewards at a fixed rate, and the latency of answers.
//!
//! Latency counts from the moment at which a post was due, so that a stall is seen by every post
//! that it held up. The load runs on the same machine. docs/performance.md has the method.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and stops at the first surprise"
)]

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use pointsman_core::control_plane::{Signer, paths};
use pointsman_core::features;
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::Context;
use serde_json::Value;

use pointsman_testkit::RUNTIME;
use pointsman_testkit::load::Connection;
use pointsman_testkit::process::Process;

/// Post decisions and rewards to a `pointsman serve` at a fixed rate.
#[derive(Parser)]
struct Arguments {
    /// Seconds of load
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Decisions per second
    #[arg(long, default_value_t = 20_000)]
    decisions: u32,
    /// Decisions per post: what a worker collects between two ticks
    #[arg(long, default_value_t = 200)]
    decision_batch: u32,
    /// Rewards per second, each for an earlier decision
    #[arg(long, default_value_t = 5000)]
    rewards: u32,
    /// Rewards per post
    #[arg(long, default_value_t = 10)]
    reward_batch: u32,
    /// Connections of each kind
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Redis or Valkey that holds the state instead of a file
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

const KEY: &str = "the-key-of-a-measurement";
const DECIDE_TOKEN: &str = "the-token-of-a-measurement";
const REWARD_TOKEN: &str = "the-other-token-of-a-measurement";

/// Posts of one kind.
#[derive(Clone, Copy)]
struct Kind {
    path: &'static str,
    batch: u32,
    /// Posts per second over all connections.
    rate: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::tempdir()?;
    let (_plane, address) = start(&arguments, directory.path())?;
    let per_second = |lines: u32, batch: u32| f64::from(lines) / f64::from(batch);
    let decisions = Kind {
        path: paths::DECISIONS,
        batch: arguments.decision_batch,
        rate: per_second(arguments.decisions, arguments.decision_batch),
    };
    let rewards = Kind {
        path: paths::FEEDBACK,
        batch: arguments.reward_batch,
        rate: per_second(arguments.rewards, arguments.reward_batch),
    };
    let signer = Arc::new(Signer::new(KEY).context("a key")?);
    // Rewards lag behind, so that their decisions are there.
    let lag = Duration::from_secs(1);
    let begun = Instant::now();
    let lasts = Duration::from_secs(arguments.seconds);
    let tasks: Vec<_> = [(decisions, begun), (rewards, begun + lag)]
        .into_iter()
        .flat_map(|(kind, begin)| {
            let (signer, connections) = (Arc::clone(&signer), arguments.connections);
            (0..connections).map(move |connection| {
                let signer = Arc::clone(&signer);
                let posts = Posts { kind, begin, over: begin + lasts, connection, connections };
                RUNTIME.spawn(async move {
                    let sent = posts.send(address, &signer).await;
                    (kind.path, begin.elapsed(), sent)
                })
            })
        })
        .collect();
    let mut latencies: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    let mut lasted = [lasts; 2];
    for task in tasks {
        let (path, took, sent) = RUNTIME.block_on(task)?;
        let kind = usize::from(path == rewards.path);
        latencies[kind].extend(sent?);
        lasted[kind] = lasted[kind].max(took);
    }
    let sent = latencies[1].len() as u64 * u64::from(rewards.batch);
    let learnt_after = wait_until_learnt(address, sent, Instant::now())?;
    println!(
        "{:<14} {:>9} {:>11} {:>9} {:>9} {:>9}",
        "", "posts", "lines/s", "p50 ms", "p99 ms", "max ms"
    );
    for ((kind, latencies), lasted) in
        [decisions, rewards].into_iter().zip(&mut latencies).zip(lasted)
    {
        latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (latencies.len() as f64 * share).ceil() as usize;
            latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
        };
        println!(
            "{:<14} {:>9} {:>11.0} {:>9.2} {:>9.2} {:>9.2}",
            kind.path,
            latencies.len(),
            latencies.len() as f64 * f64::from(kind.batch) / lasted.as_secs_f64(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    println!(
        "all {sent} rewards learnt, and the snapshot evaluated, {:.2} s after the last one",
        learnt_after.as_secs_f64()
    );
    Ok(())
}

fn start(arguments: &Arguments, directory: &Path) -> Result<(Process, SocketAddr)> {
    let program = pointsman_testkit::root().join("target/release/pointsman");
    ensure!(program.is_file(), "target/release/pointsman is missing\nhint: run `make cli`");
    let state = directory.join("state").display().to_string();
    let place = match &arguments.store {
        Some(url) => ["--store", url],
        None => ["--store", &state],
    };
    let more = ["--rate", "1000000", "--pending", "10000000", "--attribution", "600"];
    let tokens = ["--decide-token", DECIDE_TOKEN, "--reward-token", REWARD_TOKEN];
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--key", KEY];
    let all = [&fixed[..], &tokens, &place, &more].concat();
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let mut process =
        Process::start(&program, &all, &pointsman_testkit::root(), directory, "serve")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = std::fs::read_to_string(&process.stderr)?;
        let address = said.lines().find_map(|line| {
            line.strip_prefix("listening on http://")?.trim_end_matches('/').parse().ok()
        });
        if let Some(address) = address {
            return Ok((process, address));
        }
        if process.ended()?.is_some() || Instant::now() > deadline {
            bail!("pointsman serve did not start\n{said}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Posts {
    kind: Kind,
    begin: Instant,
    over: Instant,
    connection: u32,
    connections: u32,
}

impl Posts {
    /// Sends every post when it is due, or as soon as the one before is answered; gives the time
    /// from due to answered of each.
    async fn send(self, address: SocketAddr, signer: &Signer) -> Result<Vec<Duration>> {
        let mut connection = Connection::open(address).await?;
        let mut latencies = Vec::new();
        let mut number = self.connection;
        loop {
            let due = self.begin + Duration::from_secs_f64(f64::from(number) / self.kind.rate);
            if due >= self.over {
                return Ok(latencies);
            }
            let request = self.request(number, signer);
            tokio::time::sleep_until(due.into()).await;
            let status = connection.exchange(&request).await?;
            ensure!(status == 200, "{}: status {status}", self.kind.path);
            latencies.push(due.elapsed());
            number += self.connections;
        }
    }

    fn request(&self, number: u32, signer: &Signer) -> Vec<u8> {
        let first = u64::from(number) * u64::from(self.kind.batch);
        let mut body = String::new();
        for line in first..first + u64::from(self.kind.batch) {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&line.to_le_bytes());
            let id = signer.sign(&id);
            // Writing into a string cannot fail.
            let _ = if self.kind.path == paths::FEEDBACK {
                writeln!(body, r#"{{"decision_id":"{id}","reward":{}}}"#, (line % 4) as f32 / 3.0)
            } else {
                writeln!(body, "{}", decision(line, &id))
            };
        }
        let is_reward = self.kind.path == paths::FEEDBACK;
        let token = if is_reward { REWARD_TOKEN } else { DECIDE_TOKEN };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: load\r\nauthorization: Bearer {token}\r\n\
             content-type: {}\r\ncontent-length: {}\r\n\r\n",
            self.kind.path,
            paths::NDJSON,
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }
}

/// A record as long as the filter's.
fn decision(number: u64, id: &str) -> String {
    let values: Vec<f32> =
        (0..features::ENGINEERED).map(|k| ((number + k as u64) % 7) as f32 / 7.0).collect();
    let score = (number % 100) as f32 / 100.0;
    let context = pack(&Context::new(2).of_engineered(&values, &[score]));
    let target = if number.is_multiple_of(3) { "strong" } else { "cheap" };
    format!(
        r#"{{"ts":1795487950000,"decision_id":"{id}","policy_version":"0123456789abcdef","model_version":"2026-11-20.1","schema_hash":"0123456789abcdef","target":"{target}","cluster":"{target}","source":"bandit","reason":"bandit_best","policy":"","score":{score},"threshold":0.6,"propensity":0.9,"features":"{}","context":"{context}","snapshot":"3","body_bytes":2048,"prompt_tokens_estimate":512,"latency_us":180}}"#,
        pack(&values)
    )
}

/// Time until every reward is in an evaluated model: a snapshot that it changes is out then.
fn wait_until_learnt(address: SocketAddr, rewards: u64, since: Instant) -> Result<Duration> {
    loop {
        let text = ureq::get(format!("http://{address}{}", paths::STATUS))
            .call()?
            .body_mut()
            .read_to_string()?;
        let status: Value = serde_json::from_str(&text)?;
        if status["samples"].as_u64() >= Some(rewards) {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < Duration::from_secs(60), "not learnt: {}", status["samples"]);
        std::thread::sleep(Duration::from_millis(10));
    }
}
