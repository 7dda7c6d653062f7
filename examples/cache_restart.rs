//! `make bench-cache-restart`: how long a cache takes to come back with a million entries, from a
//! file without an index, and from a file and a Redis with the one that it saved.
//!
//! Prints the times until the same request hits, until all entries are read, until a similar
//! question hits and until the index is complete; how long exact hits took meanwhile; and memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark: no client's request is open here"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use pointsman_cache::entry::Entry;
use pointsman_cache::key::Digest128;
use pointsman_cache::store::{Change, File, Server, Store};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{chat, outcome, post};
use pointsman_testkit::redis::Redis;
use pointsman_testkit::{program, root};

/// Measure restarts of a cache.
#[derive(Parser)]
struct Arguments {
    /// Number of entries in the one partition
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Leave out the Redis
    #[arg(long)]
    file_only: bool,
}

const QUESTION: &str = "How do I convert 10 miles to kilometers?";
const BODY_BYTES: usize = 200;
const BATCH: u64 = 4096;
/// How long an index may take to be built, or a process to end.
const PATIENCE: Duration = Duration::from_secs(1800);

fn main() -> Result<()> {
    let Arguments { entries, file_only } = Arguments::parse();
    let model = Model::start()?;
    // On the disk of the build: a temporary directory may be memory.
    let directory = tempfile::tempdir_in(root().join("target"))?;
    let path = directory.path().to_str().context("the path is not UTF-8")?;
    let file = directory.path().join("cheap.sqlite");
    let kept = kept(&model, path, &file)?;
    let mut store = File::open(&file)?;
    fill(entries, &kept, |changes| Ok(store.write(changes)?))?;
    drop(store);
    let (more, saved) = (["--store", path], directory.path().join("cheap.index"));
    // From the run that kept the first entry.
    let _ = std::fs::remove_file(&saved);
    measure(&model, "file, without an index", &more, &saved)?;
    measure(&model, "file, with the saved index", &more, &saved)?;
    if file_only {
        return Ok(());
    }
    let Some(redis) = Redis::start() else { return Ok(()) };
    let url = redis.url();
    let mut store = Server::new(&url)?.store("cheap");
    fill(entries, &kept, |changes| {
        // It answers within two seconds, or is taken for gone.
        changes.chunks(512).try_for_each(|changes| Ok(store.write(changes)?))
    })?;
    // Of the same entries, so it is this one's too.
    let more = ["--store", &url, "--index", path];
    measure(&model, "Redis, with the saved index", &more, &saved)
}

/// What a cache keeps for [`QUESTION`].
fn kept(model: &Model, path: &str, file: &Path) -> Result<Entry> {
    let cache = Cache::start(model, &["--store", path])?;
    cache.ask(QUESTION, &[])?;
    cache.end()?;
    let mut found = None;
    File::open(file)?.load(0, |entry| found = Some(entry))?;
    found.context("nothing was kept")
}

/// Hands over the entry and so many others of its partition.
fn fill(count: u64, like: &Entry, mut write: impl FnMut(&[Change]) -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    write(&[Change::Insert(like.clone().into())])?;
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let entry = |number: u64| {
            let mut exact = [0; 16];
            exact.copy_from_slice(&Sha256::digest(number.to_le_bytes())[..16]);
            Change::Insert(
                Entry {
                    exact: Digest128(exact),
                    question: Some(question(number).into()),
                    body: Bytes::from(vec![b'x'; BODY_BYTES]),
                    expires_ms: u64::MAX >> 1,
                    ..like.clone()
                }
                .into(),
            )
        };
        let batch: Vec<Change> = (first..count.min(first + BATCH)).map(entry).collect();
        write(&batch)?;
    }
    eprintln!("{count} entries written in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Questions of eight to ten words, no two alike but by chance.
fn question(number: u64) -> String {
    const VERBS: &[&str] = &["repair", "paint", "sell", "find", "clean", "store", "draw", "grow"];
    const PLACES: &[&str] = &["kitchen", "garden", "office", "forest", "village", "museum"];
    const SYLLABLES: &[&str] =
        &["ba", "ker", "lo", "min", "ta", "ru", "sel", "vo", "dan", "pi", "gor", "tem"];
    let mut random = SmallRng::seed_from_u64(number);
    let verb = VERBS.choose(&mut random).copied().unwrap_or_default();
    let place = PLACES.choose(&mut random).copied().unwrap_or_default();
    let mut word = || -> String {
        let count = random.random_range(2..4);
        (0..count).filter_map(|_| SYLLABLES.choose(&mut random).copied()).collect()
    };
    format!("How do I {verb} the {} {} in a {place}", word(), word())
}

/// Starts it, waits until everything is back, and ends it.
fn measure(model: &Model, name: &str, more: &[&str], index: &Path) -> Result<()> {
    let cache = Cache::start(model, more)?;
    println!("{name}:\n{}\n  {}", cache.come_back()?, cache.memory()?);
    let ended = cache.end()?;
    let bytes = std::fs::metadata(index)?.len();
    println!("  ended after {:.1} s, with an index of {bytes} bytes", ended.as_secs_f64());
    Ok(())
}

/// A running `pointsman cache`.
struct Cache {
    child: Child,
    begun: Instant,
    address: SocketAddr,
    lines: Receiver<(Instant, String)>,
}

impl Cache {
    fn start(model: &Model, more: &[&str]) -> Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(program()?)
            .args(["cache", "--target", "cheap", "--upstream"])
            .arg(format!("http://{}", model.address))
            .args(["--listen", "127.0.0.1:0", "--anonymous", "--memory", "8192"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = channel();
        let stderr = child.stderr.take().context("no stderr")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send((Instant::now(), line));
            }
        });
        let (_, line) = lines.recv_timeout(PATIENCE)?;
        let address = line.strip_prefix("cheap: listening on http://").context(line.clone())?;
        let address = address.trim_end_matches('/').parse()?;
        Ok(Cache { child, begun, address, lines })
    }

    fn ask(&self, question: &str, headers: &[(&str, &str)]) -> Result<String> {
        let request = post(&chat(question), headers)?;
        let response = client::exchange(self.address, Protocol::Http1, request)?;
        Ok(outcome(&response).to_owned())
    }

    /// Asks until the index is complete.
    fn come_back(&self) -> Result<String> {
        let only_if_cached = [("cache-control", "only-if-cached")];
        ensure!(self.ask(QUESTION, &only_if_cached)? == "hit-exact", "the first request missed");
        let first = self.begun.elapsed();
        // One of the many: nothing is near to the first one, and a graph may miss it for that.
        let similar = question(0).replacen("How do I", "How can I", 1);
        let (mut loaded, mut indexed, mut near) = (None, None, None);
        let (mut waits, mut built) = (Vec::new(), String::new());
        while indexed.is_none() || near.is_none() {
            ensure!(self.begun.elapsed() < PATIENCE, "the index never came back");
            for (at, line) in self.lines.try_iter() {
                let after = at.duration_since(self.begun);
                if line.starts_with("cheap: loaded ") {
                    loaded = Some(after);
                } else if line.starts_with("cheap: indexed ") {
                    (indexed, built) = (Some(after), line);
                } else {
                    eprintln!("{line}");
                }
            }
            let asked = Instant::now();
            ensure!(self.ask(QUESTION, &only_if_cached)? == "hit-exact", "an exact hit is gone");
            waits.push(asked.elapsed());
            if near.is_none() && self.ask(&similar, &only_if_cached)? == "hit-semantic" {
                near = Some(self.begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        waits.sort_unstable();
        let at =
            |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
        Ok(format!(
            "  first exact hit {:.3} s, all read {:.1} s, first semantic hit {:.1} s, complete {:.1} s \
             after the start\n  exact hits meanwhile, each with a connection of its own: \
             p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms\n  {built}",
            first.as_secs_f64(),
            seconds(loaded),
            seconds(near),
            seconds(indexed),
            at(0.5),
            at(0.99),
            at(1.0),
        ))
    }

    /// Resident memory, and the most that it was.
    fn memory(&self) -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
        };
        let (now, most) = (mib("VmRSS:").context("VmRSS")?, mib("VmHWM:").context("VmHWM")?);
        Ok(format!("memory {now} MiB, at most {most} MiB"))
    }

    /// Ends it in order.
    fn end(mut self) -> Result<Duration> {
        let begun = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        ensure!(self.child.wait()?.success(), "it failed");
        Ok(begun.elapsed())
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
