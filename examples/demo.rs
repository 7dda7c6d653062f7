//! `make demo`: real prompts through a real Envoy with the filter, on loopback only.
//!
//! Two stand-in upstreams answer with their own model names, so the table shows where each
//! request really went, next to what the filter decided. Exits with 1 when the two differ. Each
//! stands behind a cache of its own; in the end the same prompts are asked again, and the hits
//! are counted by target.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_in_result,
    reason = "a program that shows something, and holds no request of anybody open"
)]

#[allow(dead_code, reason = "the real-Envoy tests use the rest of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use http::Request;
use serde_json::Value;

use pointsman::cache::{
    Calibration, Embedder, Event, Limits, Matcher, Options, TargetOptions, serve,
};
use support::client::{self, Protocol, Response};
use support::deployment::Deployment;
use support::envoy::{Envoy, decision_of};
use support::process::Process;

/// Route the prompts of envoy/prompts.jsonl through Envoy and print where they went.
#[derive(Parser)]
struct Arguments {
    /// The Envoy binary [default: what scripts/get-envoy.sh installed]
    #[arg(long)]
    envoy: Option<PathBuf>,
}

/// The targets of envoy.yaml and the model names their stand-ins answer with.
const UPSTREAMS: [(&str, &str); 2] = [("cheap", "small-model"), ("strong", "large-model")];

/// One row of the table.
struct Row {
    prompt: String,
    target: String,
    reached: String,
    source: String,
    score: Option<f64>,
    threshold: Option<f64>,
    micros: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(lost) => {
            eprintln!("error: {lost} requests did not land where the filter decided");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo; returns how many requests landed elsewhere than decided.
fn run(arguments: &Arguments) -> Result<usize> {
    let wasm = support::wasm_module()?;
    let versions = support::supported_versions()?;
    let default = versions.first().context("envoy/versions is empty")?;
    let binary = match &arguments.envoy {
        Some(path) => path.clone(),
        None => support::installed_envoy(default)?,
    };
    let logs = support::root().join("target/demo");
    std::fs::create_dir_all(&logs)?;

    let mut deployment = Deployment::documented(&wasm)?;
    let mut upstreams = Vec::new();
    let mut models = Vec::new();
    for (name, model) in UPSTREAMS {
        let (process, address) = start_upstream(name, model, &logs)?;
        deployment.set_upstream(&format!("{name}-model"), address)?;
        upstreams.push(process);
        models.push((name, address));
    }
    for (name, address) in start_caches(&models)? {
        deployment.set_upstream(&format!("{name}-cache"), address)?;
    }
    eprintln!("starting {} with dist/pointsman.wasm ...", binary.display());
    let envoy = Envoy::start(&binary, &deployment, &logs)?;
    println!(
        "Envoy is ready after {:.1} s; the filter is {:.2} MB, model included\n",
        envoy.ready_after.as_secs_f64(),
        std::fs::metadata(&wasm)?.len() as f64 / 1e6
    );

    println!(
        "{:>3}  {:<7} {:<21} {:>6} {:>10} {:>9}  prompt",
        "#", "target", "reached", "score", "threshold", "decision"
    );
    let mut rows = Vec::new();
    for prompt in prompts()? {
        let row = route(&envoy, &prompt)?;
        print_row(rows.len() + 1, &row);
        rows.push(row);
    }
    print_summary(&envoy, &rows)?;
    print_hits(&envoy)?;
    Ok(rows.iter().filter(|row| row.target != row.reached).count())
}

fn prompts() -> Result<Vec<Value>> {
    let path = support::root().join("envoy/prompts.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            let mut row: Value = serde_json::from_str(line)
                .with_context(|| format!("{}:{}", path.display(), number + 1))?;
            Ok(row["request"].take())
        })
        .collect()
}

/// Starts a stand-in and reads the address that it picked from its first line.
fn start_upstream(name: &str, model: &str, logs: &Path) -> Result<(Process, SocketAddr)> {
    let arguments =
        ["envoy/upstream.py", "--name", name, "--model", model, "--port", "0"].map(str::to_owned);
    let python = Path::new("python3");
    let mut process = Process::start(python, &arguments, &support::root(), logs, name)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = std::fs::read_to_string(&process.stdout)?;
        if let Some(address) = said.strip_suffix('\n').and_then(|line| line.parse().ok()) {
            return Ok((process, address));
        }
        if process.ended()?.is_some() || Instant::now() > deadline {
            let errors = std::fs::read_to_string(&process.stderr)?;
            bail!("the stand-in upstream {name} did not start\n{errors}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Serves a cache for each target from this process, in front of these models.
fn start_caches(models: &[(&'static str, SocketAddr)]) -> Result<Vec<(String, SocketAddr)>> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let target = |name: &str, model: &SocketAddr| TargetOptions {
        name: name.to_owned(),
        upstream: format!("http://{model}"),
        semantic: true,
        limits: Limits::default(),
        ttl: Duration::from_secs(3600),
        max_bytes: 64 << 20,
        max_body_bytes: 1 << 20,
        max_answer_bytes: 1 << 20,
        tenant_header: None,
        store: None,
    };
    let options = Options {
        targets: models.iter().map(|(name, model)| (any, target(name, model))).collect(),
        admin: None,
        matcher: Matcher::new(Embedder::built_in()?, Calibration::built_in()?),
        embeddings: None,
    };
    let (sender, listening) = std::sync::mpsc::channel();
    // Ends with this process.
    std::thread::spawn(move || {
        serve(options, |event| {
            if let Event::Listening(name, address) = event {
                let _ = sender.send((name.to_owned(), address));
            }
        })
    });
    models.iter().map(|_| listening.recv().context("the caches did not start")).collect()
}

/// Asks every prompt once more and counts by target what came from the cache.
fn print_hits(envoy: &Envoy) -> Result<()> {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for body in prompts()? {
        let response = send(envoy, &body)?;
        let header = |name: &str| response.header(name).unwrap_or("-").to_owned();
        let of_target = counts.entry(header("x-pointsman-target")).or_default();
        *of_target.entry(header("x-pointsman-cache")).or_default() += 1;
    }
    println!("\nThe same prompts again, by target:");
    for (target, outcomes) in counts {
        let outcomes: Vec<String> =
            outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        println!("{target:<7} {}", outcomes.join(", "));
    }
    Ok(())
}

fn send(envoy: &Envoy, body: &Value) -> Result<Response> {
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .body(client::whole(serde_json::to_vec(body)?))?;
    client::exchange(envoy.listener, Protocol::Http1, request)
}

/// Sends one prompt and collects what the filter said and who answered.
fn route(envoy: &Envoy, body: &Value) -> Result<Row> {
    let response = send(envoy, body)?;
    if response.status != 200 {
        let text = String::from_utf8_lossy(&response.body);
        bail!("status {} for {}: {text}", response.status, prompt_start(body));
    }
    let id = response.header("x-pointsman-decision-id").context("the filter did not decide")?;
    let decision = envoy
        .access_log_line(|line| decision_of(line).is_ok_and(|made| made["decision_id"] == id))
        .and_then(|line| decision_of(&line))?;
    let model = answering_model(&response, body["stream"] == true)?;
    let reached = UPSTREAMS
        .iter()
        .find(|(_, name)| *name == model)
        .with_context(|| format!("the model {model} answered, which is none of ours"))?;
    Ok(Row {
        prompt: prompt_start(body),
        target: response.header("x-pointsman-target").unwrap_or_default().to_owned(),
        reached: reached.0.to_owned(),
        source: response.header("x-pointsman-source").unwrap_or_default().to_owned(),
        score: decision["score"].as_f64(),
        threshold: decision["threshold"].as_f64(),
        micros: decision["latency_us"].as_u64().context("the record has no latency_us")?,
    })
}

/// The model name in the answer; a streamed answer must also have come to its end.
fn answering_model(response: &Response, stream: bool) -> Result<String> {
    let text = std::str::from_utf8(&response.body).context("the answer is not UTF-8")?;
    let object = if stream {
        let events = text.strip_suffix("data: [DONE]\n\n").context("the stream has no end")?;
        let first = events.split("\n\n").next().and_then(|event| event.strip_prefix("data: "));
        first.context("the stream has no event")?
    } else {
        text
    };
    let answer: Value = serde_json::from_str(object)?;
    Ok(answer["model"].as_str().context("the answer names no model")?.to_owned())
}

/// The beginning of the last user message, on one line.
fn prompt_start(body: &Value) -> String {
    let content = body["messages"]
        .as_array()
        .and_then(|messages| messages.iter().rfind(|message| message["role"] == "user"))
        .map_or(&Value::Null, |message| &message["content"]);
    let text = content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 60 {
        return line;
    }
    line.chars().take(59).chain(['…']).collect()
}

fn print_row(number: usize, row: &Row) {
    let model = UPSTREAMS.iter().find(|(name, _)| *name == row.reached).map_or("", |(_, m)| m);
    let number_or_dash = |value: Option<f64>| match value {
        Some(value) => format!("{value:.3}"),
        None => "-".to_owned(),
    };
    println!(
        "{number:>3}  {:<7} {:<21} {:>6} {:>10} {:>6} µs  {}{}",
        row.target,
        format!("{} ({model})", row.reached),
        number_or_dash(row.score),
        number_or_dash(row.threshold),
        row.micros,
        row.prompt,
        if row.target == row.reached { "" } else { "   <-- NOT WHERE IT SHOULD BE" }
    );
}

fn print_summary(envoy: &Envoy, rows: &[Row]) -> Result<()> {
    println!();
    for (name, model) in UPSTREAMS {
        let count = rows.iter().filter(|row| row.reached == name).count();
        let share = 100.0 * count as f64 / rows.len().max(1) as f64;
        println!("{name:<7} {count:>3} of {} requests ({share:.0} %), by {model}", rows.len());
    }
    let mut micros: Vec<u64> = rows.iter().map(|row| row.micros).collect();
    micros.sort_unstable();
    // Nearest rank: a value that was really measured.
    let percentile = |p: usize| micros.get((micros.len() * p).div_ceil(100).saturating_sub(1));
    if let (Some(p50), Some(p90), Some(p99)) = (percentile(50), percentile(90), percentile(99)) {
        println!("decision time in the filter: p50 {p50} µs, p90 {p90} µs, p99 {p99} µs");
    }
    let (classified, all) = coverage(&envoy.admin_get("/stats?filter=pointsman_decisions")?)?;
    println!(
        "Envoy's counters: {all} decisions, {classified} of them by the classifier ({:.0} %)",
        100.0 * classified as f64 / all.max(1) as f64
    );
    let asked = rows.iter().filter(|row| row.source == "classifier").count() as u64;
    if (classified, all) != (asked, rows.len() as u64) {
        bail!("Envoy counted {classified} of {all}, the answers say {asked} of {}", rows.len());
    }
    Ok(())
}

/// Decisions by the classifier, and all of them, from Envoy's text statistics.
fn coverage(stats: &str) -> Result<(u64, u64)> {
    let (mut classified, mut all) = (0, 0);
    for line in stats.lines() {
        let (name, value) = line.split_once(": ").with_context(|| line.to_owned())?;
        let value: u64 = value.parse().with_context(|| line.to_owned())?;
        all += value;
        if name.contains(".source.classifier.") {
            classified += value;
        }
    }
    Ok((classified, all))
}
