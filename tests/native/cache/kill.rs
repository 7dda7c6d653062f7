//! `kill -9` in the middle of writes, over and over: whatever a cache serves afterwards is an answer
//! to the question that was asked, and whole.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};

/// Caches that are killed side by side, each with a store of its own.
const LANES: usize = 2;
/// Cycles on one store. All that it holds is checked at the end of them; then a new one begins,
/// because a start reads everything back.
const ROUND: usize = 50;
/// Clients of one cache, all of which write when it is killed.
const WRITERS: usize = 3;
/// Longest life of a cache that is written to.
const LIFE: Duration = Duration::from_millis(60);

/// `POINTSMAN_KILL_CYCLES` sets how often.
#[test]
fn a_killed_cache_never_serves_a_broken_or_mixed_answer() -> Result<()> {
    let cycles: usize = match std::env::var("POINTSMAN_KILL_CYCLES") {
        Ok(text) => text.parse()?,
        Err(_) => 200,
    };
    let (model, begun) = (Model::start()?, Instant::now());
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let own = cycles / LANES + usize::from(lane < cycles % LANES);
                let address = model.address;
                scope.spawn(move || run(address, own, lane as u64))
            })
            .collect();
        for lane in lanes {
            seen += lane.join().expect("a lane does not panic")?;
        }
        anyhow::Ok(())
    })?;
    eprintln!("{seen:?} in {:.0} s", begun.elapsed().as_secs_f64());
    assert_eq!(seen.kills, cycles);
    assert!(seen.cut_off > 0, "no request was under way when its cache was killed");
    assert!(seen.exact > 0 && seen.semantic > 0, "too little was read back");
    Ok(())
}

/// What was done and found.
#[derive(Debug, Default)]
struct Seen {
    kills: usize,
    /// Answers that were checked while a cache was written to.
    answers: usize,
    /// Requests that a kill cut off.
    cut_off: usize,
    /// Answers that were read back after a kill, by tier, all of them checked.
    exact: usize,
    semantic: usize,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.answers += other.answers;
        self.cut_off += other.cut_off;
        self.exact += other.exact;
        self.semantic += other.semantic;
    }
}

/// The cycles of one lane.
fn run(model: SocketAddr, cycles: usize, seed: u64) -> Result<Seen> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut seen = Seen::default();
    while seen.kills < cycles {
        let directory = tempfile::tempdir()?;
        let asked = AtomicUsize::new(0);
        let end = cycles.min(seen.kills + ROUND);
        let mut checked = 0;
        while seen.kills < end {
            let proxy = start(model, directory.path())?;
            // What was written last, and what was being written.
            let all = asked.load(Ordering::SeqCst);
            check(&proxy, checked..all, &mut seen)?;
            checked = all;
            write_until_killed(proxy, &asked, &mut random, &mut seen)?;
        }
        check(&start(model, directory.path())?, 0..asked.load(Ordering::SeqCst), &mut seen)?;
    }
    Ok(seen)
}

/// A cache on what the last one left. It has memory for some of it only, so that entries are
/// deleted too. A damaged entry would be counted, a damaged file be moved aside.
fn start(model: SocketAddr, store: &Path) -> Result<Proxy> {
    let path = store.to_str().context("no UTF-8")?;
    let proxy = Proxy::start(model, &["--store", path, "--memory", "1"])?;
    let said = std::fs::read_to_string(&proxy.process.stderr)?;
    ensure!(!said.contains("warning"), "{said}");
    ensure!(proxy.metric("pointsman_cache_store_errors_total{target=\"cheap\"}")? == 0);
    ensure!(!store.join("cheap.sqlite.damaged").exists());
    Ok(proxy)
}

/// Asks for what is kept, in both wordings, without writing anything.
fn check(proxy: &Proxy, questions: std::ops::Range<usize>, seen: &mut Seen) -> Result<()> {
    for number in questions {
        for wording in 0..2 {
            let headers = [("cache-control", "only-if-cached"), ("x-reply", "stamped")];
            let response = proxy.post(&question(number, wording), &headers)?;
            match outcome(&response) {
                "hit-exact" => seen.exact += 1,
                "hit-semantic" => seen.semantic += 1,
                _ => {
                    ensure!(response.status == 504, "{}", response.status);
                    continue;
                }
            }
            is_right(&response, number)?;
        }
    }
    Ok(())
}

/// Lets writers ask new questions and, again, old ones, and kills the cache in the middle of it.
fn write_until_killed(
    proxy: Proxy,
    asked: &AtomicUsize,
    random: &mut SmallRng,
    seen: &mut Seen,
) -> Result<()> {
    let (killed, address) = (AtomicBool::new(false), proxy.address);
    let (answers, cut_off) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let write = |mut random: SmallRng| -> Result<()> {
        while !killed.load(Ordering::SeqCst) {
            let (number, again) = if random.random_bool(0.3) {
                (random.random_range(0..asked.load(Ordering::SeqCst).max(1)), true)
            } else {
                (asked.fetch_add(1, Ordering::SeqCst), false)
            };
            // Half of those that are asked again get another answer, which replaces the first.
            let fresh = again && random.random_bool(0.5);
            let control = if fresh { "no-cache" } else { "max-age=86400" };
            let body = question(number, random.random_range(0..2));
            let request = post(&body, &[("x-reply", "stamped"), ("cache-control", control)])?;
            match client::exchange(address, Protocol::Http1, request) {
                Ok(response) => {
                    is_right(&response, number)?;
                    answers.fetch_add(1, Ordering::SeqCst);
                }
                Err(_) if killed.load(Ordering::SeqCst) => {
                    cut_off.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let random = SmallRng::seed_from_u64(random.random());
                scope.spawn(|| write(random))
            })
            .collect();
        std::thread::sleep(random.random_range(Duration::from_millis(1)..LIFE));
        killed.store(true, Ordering::SeqCst);
        drop(proxy);
        for writer in writers {
            writer.join().expect("a writer does not panic")?;
        }
        anyhow::Ok(())
    })?;
    seen.kills += 1;
    seen.answers += answers.into_inner();
    seen.cut_off += cut_off.into_inner();
    Ok(())
}

/// A question in one of two wordings, of which one answer serves both. Every fourth has so long a
/// system prompt that its answer takes several pages of the file.
fn question(number: usize, wording: usize) -> Value {
    let text = match wording {
        0 => format!("How do I convert {number} miles to kilometers?"),
        _ => format!("What is the way to convert {number} miles to kilometers?"),
    };
    let mut body = chat(&text);
    if number.is_multiple_of(4) {
        body["messages"][0]["content"] = Value::from("padding ".repeat(2000));
    }
    body
}

/// Whether this is one answer, and one to this question.
fn is_right(response: &Response, number: usize) -> Result<()> {
    let answer: Value = serde_json::from_slice(&response.body)?;
    let said = answer["choices"][0]["message"]["content"].as_str().context("no text")?;
    let answer: Value = serde_json::from_str(said)?;
    let fields: BTreeSet<&str> =
        answer.as_object().context("no object")?.keys().map(String::as_str).collect();
    ensure!(fields == BTreeSet::from(["again", "number", "to"]), "{fields:?}");
    ensure!(answer["number"] == answer["again"], "two answers in one, to {number}");
    let is_to = |wording| answer["to"] == question(number, wording);
    ensure!(is_to(0) || is_to(1), "{} answers {number} with {}", outcome(response), answer["to"]);
    Ok(())
}
