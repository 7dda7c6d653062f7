//! A cache that comes back: the same request hits at once, a similar one as the index comes back,
//! from a file that is whole and its own, or from nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cache::faults::wait_for_rows;
use pointsman_cache::entry::Entry;
use pointsman_cache::key::Digest128;
use pointsman_cache::store::{Change, File, Server, Store};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome};
use pointsman_testkit::redis::Redis;
use pointsman_testkit::root;

const QUESTION: &str = "How do I convert 10 miles to kilometers?";
const NEAR: &str = "How can I convert 10 miles to kilometers?";
const PENDING: &str = "pointsman_cache_index_pending{target=\"cheap\"}";
const ERRORS: &str = "pointsman_cache_store_errors_total{target=\"cheap\"}";
/// Entries that take a second or more to index.
const MANY: u64 = 12_000;

/// A cache whose process can be sent signals.
struct Signalled {
    proxy: Proxy,
    pid: PathBuf,
    _directory: TempDir,
}

impl Signalled {
    /// It answers; nothing else is waited for.
    fn start(model: &Model, more: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let pid = directory.path().join("pid");
        let script = format!("echo $$ > {}; exec \"$0\" \"$@\"", pid.display());
        let before = ["-c", &script, env!("CARGO_BIN_EXE_pointsman")];
        let all = [&["--anonymous", "--ignore-header", "x-reply"][..], more].concat();
        let proxy = Proxy::launch(Path::new("sh"), &before, model.address, "cheap", &all)?;
        Ok(Signalled { proxy, pid, _directory: directory })
    }

    fn settled(model: &Model, more: &[&str]) -> Result<Self> {
        let cache = Self::start(model, more)?;
        cache.proxy.settle("cheap")?;
        Ok(cache)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = std::fs::read_to_string(&self.pid)?.trim().parse()?;
        Ok(kill_process(Pid::from_raw(pid).context("no process")?, signal)?)
    }

    /// Asks it to end, and waits until it has.
    fn end(mut self) -> Result<String> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.proxy.process.ended()?.is_none() {
            ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.said()
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.proxy.process.stderr)?)
    }

    /// How many entries the saved index did not have.
    fn built(&self) -> Result<u64> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.said()?;
            let line = said.lines().find(|line| line.starts_with("cheap: indexed "));
            if let Some(line) = line {
                let built = line.rsplit(", ").next().and_then(|it| it.split(' ').next());
                return Ok(built.context("no number")?.parse()?);
            }
            ensure!(Instant::now() < deadline, "never indexed: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a store holds for [`QUESTION`], asked of a cache.
fn kept(model: &Model, directory: &Path) -> Result<Entry> {
    let store = directory.to_str().context("no UTF-8")?;
    let proxy = Proxy::start(model.address, &["--store", store])?;
    proxy.ask(QUESTION)?;
    wait_for_rows(directory, 1)?;
    drop(proxy);
    let mut found = None;
    File::open(&directory.join("cheap.sqlite"))?.load(0, |entry| found = Some(entry))?;
    found.context("nothing is kept")
}

/// Entries of the same partition, all of them newer.
fn more(like: &Entry, count: u64) -> Vec<Change> {
    let entry = |number: u64| {
        let mut key = [0x55; 16];
        key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let question = format!("What is the price of article {number} in the shop of Tallinn?");
        Change::Insert(
            Entry {
                exact: Digest128(key),
                question: Some(question.into()),
                body: Bytes::from_static(b"{}"),
                created_ms: like.created_ms + 1 + number,
                expires_ms: u64::MAX >> 1,
                ..like.clone()
            }
            .into(),
        )
    };
    (0..count).map(entry).collect()
}

/// A directory with [`QUESTION`] and many others, and no index.
fn filled(model: &Model) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let entry = kept(model, directory.path())?;
    let mut file = File::open(&directory.path().join("cheap.sqlite"))?;
    file.write(&more(&entry, MANY))?;
    // Entries alone, as a cache that was killed leaves them.
    let _ = std::fs::remove_file(directory.path().join("cheap.index"));
    Ok(directory)
}

fn only_if_cached(proxy: &Proxy, question: &str) -> Result<String> {
    let response = proxy.post(&chat(question), &[("cache-control", "only-if-cached")])?;
    Ok(outcome(&response).to_owned())
}

#[test]
fn the_same_request_hits_at_once_and_a_similar_one_later() -> Result<()> {
    let model = Model::start()?;
    let directory = filled(&model)?;
    let store = ["--store", directory.path().to_str().context("no UTF-8")?];
    let cache = Signalled::start(&model, &store)?;
    let proxy = &cache.proxy;
    assert_eq!(only_if_cached(proxy, QUESTION)?, "hit-exact");
    // The newest come first, and this is the oldest.
    let early = only_if_cached(proxy, NEAR)?;
    assert!(proxy.metric(PENDING)? > 0, "it was indexed before anything could be asked");
    assert_eq!(early, "miss");
    proxy.settle("cheap")?;
    assert_eq!(only_if_cached(proxy, NEAR)?, "hit-semantic");
    assert_eq!(cache.built()?, MANY + 1);

    // The next start has it from the file, whose owner alone can read it.
    cache.end()?;
    let index = directory.path().join("cheap.index");
    assert_eq!(std::fs::metadata(&index)?.permissions().mode() & 0o777, 0o600);
    let cache = Signalled::settled(&model, &store)?;
    assert_eq!(only_if_cached(&cache.proxy, NEAR)?, "hit-semantic");
    assert_eq!(cache.built()?, 0);
    // What came and went since is known to the store alone.
    cache.proxy.ask("How do I convert 25 miles to meters?")?;
    let hit = cache.proxy.ask(QUESTION)?;
    let id = hit.header("x-pointsman-cache-id").context("no ID")?;
    let purged = cache.proxy.operate("/pointsman/v1/purge", &json!({"id": id}))?;
    assert_eq!(purged["purged"], 1);
    wait_for_rows(directory.path(), MANY + 1)?;
    drop(cache);
    let cache = Signalled::settled(&model, &store)?;
    assert_eq!(cache.built()?, 1);
    let other = "How can I convert 25 miles to meters?";
    assert_eq!(only_if_cached(&cache.proxy, other)?, "hit-semantic");
    for question in [QUESTION, NEAR] {
        assert_eq!(only_if_cached(&cache.proxy, question)?, "miss");
    }
    assert_eq!(cache.proxy.metric(ERRORS)?, 0);
    Ok(())
}

#[test]
fn what_is_dropped_while_the_store_is_read_stays_out() -> Result<()> {
    let model = Model::start()?;
    let directory = filled(&model)?;
    let store = ["--store", directory.path().to_str().context("no UTF-8")?];
    let cache = Signalled::start(&model, &store)?;
    cache.proxy.operate("/pointsman/v1/purge", &json!({}))?;
    cache.proxy.ask("Who wrote Faust?")?;
    cache.proxy.settle("cheap")?;
    assert_eq!(only_if_cached(&cache.proxy, QUESTION)?, "miss");
    assert_eq!(only_if_cached(&cache.proxy, "Who wrote Faust?")?, "hit-exact");
    wait_for_rows(directory.path(), 1)?;
    cache.end()?;
    let cache = Signalled::settled(&model, &store)?;
    assert_eq!(cache.proxy.metric("pointsman_cache_entries{target=\"cheap\"}")?, 1);
    assert_eq!(cache.built()?, 0);
    Ok(())
}

#[test]
fn a_damaged_or_foreign_index_is_reported_and_built_again() -> Result<()> {
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    let path = directory.path().to_str().context("no UTF-8")?;
    let store = ["--store", path];
    kept(&model, directory.path())?;
    Signalled::settled(&model, &store)?.end()?;
    let index = directory.path().join("cheap.index");
    let whole = std::fs::read(&index)?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for content in [&damaged[..], &whole[..whole.len() - 1], b"", &vec![0; 1 << 20]] {
        std::fs::write(&index, content)?;
        let cache = Signalled::settled(&model, &store)?;
        assert_eq!(only_if_cached(&cache.proxy, NEAR)?, "hit-semantic");
        let said = cache.end()?;
        assert!(said.contains("warning: cheap: building the index again: "), "{said}");
        assert!(said.contains("cheap.index: the checksum does not match"), "{said}");
        assert!(std::fs::read(&index)? == whole, "a whole one takes its place");
    }
    let built_in = std::fs::read(root().join("model/cache/calibration.json"))?;
    let mut calibration: Value = serde_json::from_slice(&built_in)?;
    calibration["embeddings"] = "another".into();
    let file = directory.path().join("calibration.json");
    std::fs::write(&file, calibration.to_string())?;
    let another = ["--embeddings-url", "http://127.0.0.1:9", "--embeddings-model", "another"];
    let file = ["--calibration", file.to_str().context("no UTF-8")?];
    let cache = Signalled::settled(&model, &[&store[..], &another, &file].concat())?;
    let said = cache.end()?;
    assert!(said.contains("cheap.index: it was made with another embedding"), "{said}");
    Ok(())
}

/// Saving takes milliseconds at this size, and the kill falls into it or next to it.
#[test]
fn a_kill_while_the_index_is_saved_leaves_the_one_before() -> Result<()> {
    let model = Model::start()?;
    let directory = filled(&model)?;
    let store = ["--store", directory.path().to_str().context("no UTF-8")?];
    Signalled::settled(&model, &store)?.end()?;
    let mut random = SmallRng::seed_from_u64(5);
    let mut interrupted = 0;
    for round in 0..30 {
        let cache = Signalled::settled(&model, &store)?;
        let said = cache.said()?;
        ensure!(!said.contains("warning"), "round {round}: {said}");
        ensure!(cache.built()? <= round, "round {round}: {said}");
        ensure!(only_if_cached(&cache.proxy, NEAR)? == "hit-semantic");
        for left in ["cheap.index.new", "cheap.index.graph"] {
            ensure!(!directory.path().join(left).exists(), "{left} is still there");
        }
        cache.proxy.ask(&format!("How do I convert {} miles to meters?", 20 + round))?;
        cache.signal(Signal::TERM)?;
        std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
        // It may have ended by itself.
        let _ = cache.signal(Signal::KILL);
        drop(cache);
        let left = ["cheap.index.new", "cheap.index.graph"];
        interrupted += u32::from(left.iter().any(|name| directory.path().join(name).exists()));
    }
    assert!(interrupted > 0, "no kill fell into a save");
    Ok(())
}

#[test]
fn replicas_read_a_shared_store_in_the_background_and_keep_an_index_of_their_own() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    let entry = kept(&model, directory.path())?;
    let mut store = Server::new(&redis.url())?.store("cheap");
    store.write(&[Change::Insert(entry.clone().into())])?;
    for batch in more(&entry, MANY).chunks(512) {
        store.write(batch)?;
    }
    let url = redis.url();
    let index = directory.path().join("index");
    let more = ["--store", &url, "--index", index.to_str().context("no UTF-8")?];
    let cache = Signalled::start(&model, &more)?;
    assert_eq!(only_if_cached(&cache.proxy, QUESTION)?, "hit-exact");
    assert!(cache.proxy.metric(PENDING)? > 0);
    cache.proxy.settle("cheap")?;
    assert_eq!(only_if_cached(&cache.proxy, NEAR)?, "hit-semantic");
    assert_eq!(cache.built()?, MANY + 1);
    cache.end()?;
    assert!(index.join("cheap.index").exists());
    let cache = Signalled::settled(&model, &more)?;
    assert_eq!(only_if_cached(&cache.proxy, NEAR)?, "hit-semantic");
    assert_eq!((cache.built()?, cache.proxy.metric(ERRORS)?), (0, 0));
    Ok(())
}

#[test]
fn a_directory_for_an_index_alone_is_refused() -> Result<()> {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["cache", "--target", "a", "--upstream", "http://a", "--listen", "127.0.0.1:0"])
        .args(["--index", "/nowhere"])
        .timeout(Duration::from_secs(20))
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--index needs --store"), "{said}");
    Ok(())
}
