//! `make demo-bandit`: rules, the classifier and the bandit side by side on one stream of prompts,
//! through a real Envoy and a real control plane, on loopback only.
//!
//! The prompts and both models' recorded answers are those of `examples/log/log.jsonl`. In the
//! middle the cheap model is replaced by one that gets nine of ten answers wrong. Only the bandit
//! gets rewards, and so only it can notice.

#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a demonstration prints, and holds no request open"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use http::Request;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use pointsman_core::control_plane::paths;
use pointsman_testkit::client::{self, Connection, Protocol};
use pointsman_testkit::deployment::Deployment;
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::process::Process;
use pointsman_testkit::{RUNTIME, load};

/// Play three routing strategies on the same prompts, with a drift in the middle.
#[derive(Parser)]
struct Arguments {
    /// The Envoy binary [default: what scripts/get-envoy.sh installed]
    #[arg(long)]
    envoy: Option<PathBuf>,
    /// Seconds of traffic, half of them after the drift
    #[arg(long, default_value_t = 100)]
    seconds: u64,
    /// Maximum prompts per second; each goes through all three strategies
    #[arg(long, default_value_t = 150)]
    rate: u32,
}

const STRATEGIES: [&str; 3] = ["rules", "classifier", "bandit"];
const BANDIT: usize = 2;
const TARGETS: [&str; 2] = ["cheap", "strong"];
/// Cost of an answer of each target, and what a unit of cost must buy: `serve`'s defaults.
const COSTS: [f64; 2] = [0.04, 1.0];
const LAMBDA: f64 = 0.2;
/// Prompts under way at once.
const CLIENTS: usize = 6;
/// Seconds that a line of progress stands for.
const STRETCH: u64 = 10;

/// Secrets of one run on loopback.
const KEY: &str = "the-key-of-the-demo-known-to-all";
const TOKEN: &str = "the-token-of-the-demo-known-to-all";
const REWARD_TOKEN: &str = "the-token-of-the-demos-raters";

/// A prompt with what both targets' answers are worth, before the drift.
struct Prompt {
    body: Vec<u8>,
    quality: [f64; 2],
}

/// The result of one strategy on one prompt.
#[derive(Clone, Copy)]
struct PromptResult {
    at: Duration,
    strategy: usize,
    target: usize,
    quality: f64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let wasm = pointsman_testkit::wasm_module()?;
    let versions = pointsman_testkit::supported_versions()?;
    let binary = match &arguments.envoy {
        Some(path) => path.clone(),
        None => pointsman_testkit::installed_envoy(
            versions.first().context("envoy/versions is empty")?,
        )?,
    };
    let files = pointsman_testkit::root().join("target/demo-bandit");
    // What an earlier run learnt is not this run's.
    let _ = std::fs::remove_dir_all(&files);
    std::fs::create_dir_all(&files)?;
    let prompts = prompts()?;

    let (_plane, control) = start_plane(&files)?;
    eprintln!("starting {} with dist/pointsman.wasm ...", binary.display());
    let envoy = Envoy::start(&binary, &deployment(&wasm, control)?, &files)?;
    let listeners = STRATEGIES.map(|name| envoy.listener_named(name));
    let listeners = listeners.into_iter().collect::<Result<Vec<_>>>()?;

    println!("watch it: http://{control}/");
    println!(
        "{} prompts in turn, each through {}; after {} s the cheap model gets much worse\n",
        prompts.len(),
        STRATEGIES.join(", "),
        arguments.seconds / 2
    );
    let stream = Arc::new(Stream {
        prompts,
        listeners,
        begun: Instant::now(),
        lasts: Duration::from_secs(arguments.seconds),
        rate: f64::from(arguments.rate),
        next: AtomicUsize::new(0),
        outcomes: Mutex::default(),
        rewards: Mutex::default(),
    });
    let clients: Vec<_> = (0..CLIENTS).map(|_| RUNTIME.spawn(Arc::clone(&stream).send())).collect();
    let missed = report(&stream, control)?;
    for client in clients {
        RUNTIME.block_on(client)??;
    }
    let missed = missed + post_rewards(&stream, control)?;
    print_table(&stream);
    print_events(control)?;
    ensure!(missed == 0, "{missed} rewards were not taken");
    Ok(())
}

/// The prompts of the sample log. An answer is right when its last line is the strong model's.
fn prompts() -> Result<Vec<Prompt>> {
    let path = pointsman_testkit::root().join("examples/log/log.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    text.lines()
        .map(|line| {
            let mut row: Value = serde_json::from_str(line)?;
            let strong = row["response"]["choices"][0]["message"]["content"].as_str();
            let strong = last(strong.context("no answer")?);
            let cheap = last(row["cheap_response"].as_str().context("no cheap answer")?);
            let mut body = row["request"].take();
            body["model"] = json!("auto");
            let quality = [f64::from(u8::from(cheap == strong)), 1.0];
            Ok(Prompt { body: serde_json::to_vec(&body)?, quality })
        })
        .collect()
}

/// One listener per strategy, all in front of the same upstreams.
fn deployment(wasm: &Path, control: SocketAddr) -> Result<Deployment> {
    let mut deployment = Deployment::documented(wasm)?;
    for name in TARGETS {
        deployment.set_upstream(&format!("{name}-cache"), load::upstream()?)?;
    }
    deployment.add_cluster("pointsman_control", control)?;
    let documented = deployment.filter_configuration()?;
    for name in STRATEGIES {
        let mut configuration = documented.clone();
        // The model's own threshold, for every strategy that scores.
        configuration["targets"][0].as_object_mut().context("a target")?.remove("threshold");
        match name {
            "rules" => {
                configuration["policy"] = json!({"order": "rules_only", "rules": "default"});
            }
            "bandit" => {
                configuration["policy"]["bandit"] = json!({});
                configuration["control"] = json!({"cluster": "pointsman_control", "key": KEY,
                    "token": TOKEN, "interval_ms": 250});
            }
            _ => {}
        }
        deployment.add_listener(name, &configuration.to_string())?;
    }
    deployment.remove_access_logs()?;
    Ok(deployment)
}

/// Starts `pointsman serve` and reads the address that it picked.
fn start_plane(files: &Path) -> Result<(Process, SocketAddr)> {
    let program = pointsman_testkit::root().join("target/release/pointsman");
    ensure!(program.is_file(), "target/release/pointsman is missing\nhint: run `make cli`");
    let state = files.join("state").display().to_string();
    let secrets = format!("--key {KEY} --decide-token {TOKEN} --reward-token {REWARD_TOKEN}");
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--store", &state];
    let arguments: Vec<String> =
        fixed.into_iter().chain(secrets.split(' ')).map(str::to_owned).collect();
    let mut process =
        Process::start(&program, &arguments, &pointsman_testkit::root(), files, "serve")?;
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

/// The stream of prompts, and its results.
struct Stream {
    prompts: Vec<Prompt>,
    listeners: Vec<SocketAddr>,
    begun: Instant,
    lasts: Duration,
    rate: f64,
    next: AtomicUsize,
    outcomes: Mutex<Vec<PromptResult>>,
    /// Decision ids of the bandit with their rewards, to be posted.
    rewards: Mutex<Vec<(String, f64)>>,
}

impl Stream {
    /// Sends prompts until the time is over.
    async fn send(self: Arc<Self>) -> Result<()> {
        let connect = |to: &SocketAddr| Connection::new(*to, Protocol::Http1);
        let mut connections: Vec<_> = self.listeners.iter().map(connect).collect();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = self.begun + Duration::from_secs_f64(number as f64 / self.rate);
            tokio::time::sleep_until(due.into()).await;
            let at = self.begun.elapsed();
            if at >= self.lasts {
                return Ok(());
            }
            let prompt = &self.prompts
                [SmallRng::seed_from_u64(number as u64).random_range(0..self.prompts.len())];
            let mut quality = prompt.quality;
            if at >= self.lasts / 2 && !number.is_multiple_of(10) {
                quality[0] = 0.0;
            }
            for (strategy, connection) in connections.iter_mut().enumerate() {
                let request = Request::post("/v1/chat/completions")
                    .header("content-type", "application/json")
                    .body(client::whole(prompt.body.clone()))?;
                let response = connection.exchange(request).await?;
                ensure!(response.status == 200, "status {}", response.status);
                let name = response.header("x-pointsman-target").context("not decided")?;
                let target = TARGETS.iter().position(|it| *it == name).context("no target")?;
                let quality = quality[target];
                let outcome = PromptResult { at, strategy, target, quality };
                lock(&self.outcomes).push(outcome);
                if strategy == BANDIT {
                    let id = response.header("x-pointsman-decision-id").context("no id")?;
                    lock(&self.rewards).push((id.to_owned(), quality));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Posts rewards and prints a line per stretch, until the time is over; returns the number of
/// rewards that were not taken.
fn report(stream: &Stream, control: SocketAddr) -> Result<usize> {
    println!("{:>6}   net reward, and share of calls to the strong target", "");
    let names: String = STRATEGIES.iter().map(|name| format!("{name:>18}")).collect();
    println!("{:>6} {names}   policy", "s");
    let mut missed = 0;
    for end in (1..=stream.lasts.as_secs()).map(Duration::from_secs) {
        std::thread::sleep((stream.begun + end).saturating_duration_since(Instant::now()));
        missed += post_rewards(stream, control)?;
        if !end.as_secs().is_multiple_of(STRETCH) {
            continue;
        }
        let from = end - Duration::from_secs(STRETCH);
        let cells: String = (0..STRATEGIES.len())
            .map(|strategy| {
                let earned = Earned::of(stream, strategy, from, end);
                format!("{:>11.3} {:>4.0} %", earned.net(), 100.0 * earned.strong_share())
            })
            .collect();
        let version = get(control, paths::STATUS)?["snapshot"].as_str().unwrap_or("?").to_owned();
        let drift =
            if end == stream.lasts / 2 { "   <- the cheap model gets much worse" } else { "" };
        println!("{:>6} {cells}   {version}{drift}", end.as_secs());
    }
    Ok(missed)
}

fn post_rewards(stream: &Stream, control: SocketAddr) -> Result<usize> {
    let rewards = std::mem::take(&mut *lock(&stream.rewards));
    if rewards.is_empty() {
        return Ok(0);
    }
    let line =
        |(id, reward): &(String, f64)| json!({"decision_id": id, "reward": reward}).to_string();
    let lines: Vec<String> = rewards.iter().map(line).collect();
    let mut answer = ureq::post(format!("http://{control}{}", paths::FEEDBACK))
        .header("authorization", format!("Bearer {REWARD_TOKEN}"))
        .content_type(paths::NDJSON)
        .send(lines.join("\n"))?;
    let counts: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    // A reward may be faster than its decision, which the filter posts in batches.
    let taken = ["accepted", "early"].iter().filter_map(|name| counts[*name].as_u64()).sum::<u64>();
    Ok(rewards.len() - taken as usize)
}

fn get(control: SocketAddr, path: &str) -> Result<Value> {
    let text = ureq::get(format!("http://{control}{path}")).call()?.body_mut().read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}

/// Sums over one strategy's outcomes.
#[derive(Default)]
struct Earned {
    requests: f64,
    quality: f64,
    strong: f64,
}

impl Earned {
    fn of(stream: &Stream, strategy: usize, from: Duration, to: Duration) -> Self {
        let mut earned = Earned::default();
        let within = |it: &&PromptResult| it.strategy == strategy && it.at >= from && it.at < to;
        for outcome in lock(&stream.outcomes).iter().filter(within) {
            earned.requests += 1.0;
            earned.quality += outcome.quality;
            earned.strong += outcome.target as f64;
        }
        earned
    }

    fn strong_share(&self) -> f64 {
        self.strong / self.requests.max(1.0)
    }

    fn mean_quality(&self) -> f64 {
        self.quality / self.requests.max(1.0)
    }

    fn cost(&self) -> f64 {
        COSTS[0] + (COSTS[1] - COSTS[0]) * self.strong_share()
    }

    fn net(&self) -> f64 {
        self.mean_quality() - LAMBDA * self.cost()
    }
}

fn print_table(stream: &Stream) {
    let half = stream.lasts / 2;
    let parts = [
        ("before the drift", Duration::ZERO, half),
        ("after the drift", half, stream.lasts),
        ("last tenth", stream.lasts * 9 / 10, stream.lasts),
    ];
    println!("\nnet reward = quality - {LAMBDA} x cost; cost 1 is always the strong target\n");
    println!(
        "{:<17} {:<11} {:>8} {:>9} {:>7} {:>8} {:>11}",
        "", "strategy", "requests", "quality", "cost", "strong", "net reward"
    );
    for (part, from, to) in parts {
        for (strategy, name) in STRATEGIES.iter().enumerate() {
            let earned = Earned::of(stream, strategy, from, to);
            println!(
                "{:<17} {name:<11} {:>8} {:>9.3} {:>7.3} {:>6.1} % {:>11.3}",
                if strategy == 0 { part } else { "" },
                earned.requests,
                earned.mean_quality(),
                earned.cost(),
                100.0 * earned.strong_share(),
                earned.net()
            );
        }
    }
}

fn print_events(control: SocketAddr) -> Result<()> {
    let status = get(control, paths::STATUS)?;
    println!("\nwhat the control plane did, by number of rewards:");
    for event in status["events"].as_array().context("no events")? {
        let gain = match (event["gain"][0].as_f64(), event["gain"][1].as_f64()) {
            (Some(mean), Some(error)) => format!("gain {mean:+.3} ± {error:.3}"),
            _ => String::new(),
        };
        let text = |name: &str| event[name].as_str().unwrap_or_default().replace('_', " ");
        println!(
            "{:>8}  version {:>3} {:<16} {:<7} {gain} {}",
            event["samples"],
            text("version"),
            text("outcome"),
            text("stage"),
            text("note")
        );
    }
    Ok(())
}
