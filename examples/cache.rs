//! `make bench-cache`: the time of a lookup, with a million entries in one partition.
//!
//! Prints the time of an exact and of a semantic hit, memory per entry, and the exact hits per
//! second that the server answers over HTTP on loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark: no client's request is open here"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use http::Request;
use pointsman_cache::entry::Entry;
use pointsman_cache::key::Digest128;
use pointsman_cache::tiers::Tiers;
use pointsman_cache::{
    Calibration, Embedder, Event, Limits, Matcher, Options, TargetOptions, Trust, serve,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use pointsman_testkit::RUNTIME;
use pointsman_testkit::client::{Connection, Protocol, whole};
use pointsman_testkit::model::Model;

/// Measure the cache.
#[derive(Parser)]
struct Arguments {
    /// Number of entries in the one partition
    #[arg(long, default_value_t = 1_000_000)]
    entries: usize,
    /// Number of lookups to time
    #[arg(long, default_value_t = 20_000)]
    looks: usize,
    /// Duration of the load over HTTP, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of that load
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

const PARTITION: Digest128 = Digest128([7; 16]);
const BODY_BYTES: usize = 200;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let matcher = Matcher::new(Embedder::built_in()?, Calibration::built_in()?);
    looks(&arguments, &matcher)?;
    load(&arguments, matcher)
}

/// Questions of eight to ten words, no two alike but by chance.
fn question(number: usize) -> String {
    const VERBS: &[&str] = &[
        "repair", "paint", "sell", "find", "clean", "store", "draw", "name", "measure", "import",
        "grow", "replace",
    ];
    const PLACES: &[&str] = &[
        "kitchen", "garden", "office", "forest", "village", "museum", "harbor", "station",
        "library", "workshop",
    ];
    let mut random = SmallRng::seed_from_u64(number as u64);
    let syllables = ["ba", "ker", "lo", "min", "ta", "ru", "sel", "vo", "dan", "pi", "gor", "tem"];
    let mut word = || -> String {
        let count = random.random_range(2..4);
        (0..count).filter_map(|_| syllables.choose(&mut random).copied()).collect()
    };
    let (one, two) = (word(), word());
    let verb = VERBS[number % VERBS.len()];
    let place = PLACES[number / VERBS.len() % PLACES.len()];
    format!("How do I {verb} the {one} {two} in a {place}")
}

fn key(number: usize) -> Digest128 {
    let hash = Sha256::digest(number.to_le_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    Digest128(key)
}

fn looks(arguments: &Arguments, matcher: &Matcher) -> Result<()> {
    let tiers = Tiers::new(matcher.clone(), u64::MAX, |_| {});
    let before = resident()?;
    let begun = Instant::now();
    (0..arguments.entries).into_par_iter().for_each(|number| {
        tiers.insert(Arc::new(Entry {
            exact: key(number),
            partition: PARTITION,
            question: Some(question(number).into()),
            vector: None,
            content_type: "application/json".into(),
            body: Bytes::from(vec![b'x'; BODY_BYTES]),
            usage: None,
            created_ms: 0,
            expires_ms: u64::MAX,
        }));
    });
    let per_entry = (resident()? - before) as f64 / arguments.entries as f64;
    let payload = BODY_BYTES + question(0).len();
    println!(
        "{} entries in {:.0} s; {per_entry:.0} bytes of memory each, {:.0} beyond question and body",
        arguments.entries,
        begun.elapsed().as_secs_f64(),
        per_entry - payload as f64
    );
    let mut random = SmallRng::seed_from_u64(1);
    let chosen: Vec<usize> =
        (0..arguments.looks).map(|_| random.random_range(0..arguments.entries)).collect();
    let mut found = 0;
    let exact = chosen.iter().map(|number| {
        let key = key(*number);
        let begun = Instant::now();
        found += usize::from(tiers.exact(key).is_some());
        begun.elapsed()
    });
    report("exact lookup", exact.collect());
    ensure!(found == chosen.len(), "{found} of {} were found", chosen.len());
    let mut hits = 0;
    let near = chosen.iter().map(|number| {
        let text = question(*number).replacen("How do I", "How can I", 1);
        let begun = Instant::now();
        let near = tiers.near(PARTITION, &tiers.question(&text, None));
        let time = begun.elapsed();
        hits += usize::from(near.hit.is_some());
        time
    });
    report("semantic lookup", near.collect());
    println!("{hits} of {} paraphrases hit", chosen.len());
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!("{what}: p50 {:.1} µs, p99 {:.1} µs", at(0.5), at(0.99));
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kib.parse::<usize>()? * 1024)
}

/// Exact hits over HTTP, from a server in this process.
fn load(arguments: &Arguments, matcher: Matcher) -> Result<()> {
    let model = Model::start()?;
    let target = TargetOptions {
        name: "cheap".to_owned(),
        upstream: format!("http://{}", model.address),
        semantic: true,
        limits: Limits::default(),
        ttl: Duration::from_secs(3600),
        max_bytes: 1 << 30,
        max_body_bytes: 1 << 20,
        max_answer_bytes: 1 << 20,
        tenant_header: None,
        anonymous: true,
        ignored_headers: Vec::new(),
        store: None,
        index: None,
    };
    let any: SocketAddr = "127.0.0.1:0".parse()?;
    let trust = Trust::new(None)?;
    let (sender, addresses) = channel();
    std::thread::spawn(move || {
        let targets = vec![(any, target)];
        let options = Options { targets, admin: None, matcher, embeddings: None, trust };
        let report = move |event: Event| {
            if let Event::Listening(_, address) = event {
                let _ = sender.send(address);
            }
        };
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(serve(options, report, std::future::pending()))
    });
    let address = addresses.recv()?;
    let body = Bytes::from(
        json!({"model": "m", "messages": [{"role": "user", "content": "What is love?"}]})
            .to_string(),
    );
    let request = || {
        Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .body(whole(body.clone()))
    };
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let times = RUNTIME.block_on(async {
        Connection::new(address, Protocol::Http1).exchange(request()?).await?;
        let mut loads = tokio::task::JoinSet::new();
        for _ in 0..arguments.connections {
            let body = body.clone();
            loads.spawn(async move {
                let mut connection = Connection::new(address, Protocol::Http1);
                let mut times = Vec::new();
                while Instant::now() < end {
                    let request = Request::post("/v1/chat/completions")
                        .header("content-type", "application/json")
                        .body(whole(body.clone()))?;
                    let begun = Instant::now();
                    let response = connection.exchange(request).await?;
                    ensure!(response.header("x-pointsman-cache") == Some("hit-exact"), "no hit");
                    times.push(begun.elapsed());
                }
                Ok(times)
            });
        }
        let mut all = Vec::new();
        while let Some(times) = loads.join_next().await {
            all.extend(times??);
        }
        anyhow::Ok(all)
    })?;
    let rate = times.len() as f64 / arguments.seconds as f64;
    println!("exact hits over HTTP: {rate:.0} per second, {} connections", arguments.connections);
    report("exact hit over HTTP, under that load", times);
    // One connection: what a single client waits.
    let single = RUNTIME.block_on(async {
        let mut connection = Connection::new(address, Protocol::Http1);
        let mut times = Vec::new();
        for _ in 0..5000 {
            let begun = Instant::now();
            connection.exchange(request()?).await?;
            times.push(begun.elapsed());
        }
        anyhow::Ok(times)
    })?;
    report("exact hit over HTTP, one connection", single);
    Ok(())
}
