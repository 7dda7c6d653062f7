//! Crashes, full disks, dead models: answers are whole and right, or come from the model.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};

#[test]
fn entries_outlive_a_restart_in_both_tiers() -> Result<()> {
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    let store = directory.path().to_str().context("no UTF-8")?;
    let proxy = Proxy::start(model.address, &["--store", store])?;
    let first = proxy.ask("How do I convert 10 miles to kilometers?")?;
    // Written behind.
    wait_for_rows(directory.path(), 1)?;
    drop(proxy);
    let proxy = Proxy::start(model.address, &["--store", store])?;
    let again = proxy.ask("How do I convert 10 miles to kilometers?")?;
    assert_eq!((outcome(&again), &again.body), ("hit-exact", &first.body));
    assert_eq!(outcome(&proxy.ask("How can I convert 10 miles to kilometers?")?), "hit-semantic");
    proxy.operate("/pointsman/v1/purge", &serde_json::json!({}))?;
    wait_for_rows(directory.path(), 0)?;
    drop(proxy);
    let proxy = Proxy::start(model.address, &["--store", store])?;
    assert_eq!(outcome(&proxy.ask("How do I convert 10 miles to kilometers?")?), "miss");
    Ok(())
}

/// Waits until the file of `cheap` grows or shrinks to what is wanted: its log changes.
pub fn wait_for_rows(directory: &Path, rows: u64) -> Result<()> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        // A copy, because the cache has the file for itself.
        let copy = tempfile::tempdir()?;
        for name in ["cheap.sqlite", "cheap.sqlite-wal"] {
            let _ = std::fs::copy(directory.join(name), copy.path().join(name));
        }
        let mut found = 0;
        if let Ok(store) = pointsman_cache::store::File::open(&copy.path().join("cheap.sqlite")) {
            store.load(0, |_| found += 1)?;
        }
        if found == rows {
            return Ok(());
        }
        anyhow::ensure!(std::time::Instant::now() < deadline, "{found} rows instead of {rows}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn without_a_usable_disk_it_serves_from_memory_and_says_so() -> Result<()> {
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    // A file stands where the directory should.
    let blocked = directory.path().join("blocked");
    std::fs::write(&blocked, "")?;
    let proxy = Proxy::start(model.address, &["--store", blocked.to_str().context("no UTF-8")?])?;
    assert!(std::fs::read_to_string(&proxy.process.stderr)?.contains("memory only"));
    assert_eq!(proxy.metric("pointsman_cache_store_errors_total{target=\"cheap\"}")?, 1);
    assert_eq!(outcome(&proxy.ask("What is love?")?), "miss");
    assert_eq!(outcome(&proxy.ask("What is love?")?), "hit-exact");
    Ok(())
}

#[test]
fn a_disk_that_fills_up_costs_persistence_and_no_request() -> Result<()> {
    let (model, directory) = (Model::start()?, tempfile::tempdir()?);
    let store = directory.path().to_str().context("no UTF-8")?;
    // Files may not grow beyond 256 KiB; a write that would is refused.
    let limited = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    let before = ["-c", limited, env!("CARGO_BIN_EXE_pointsman")];
    let more = ["--store", store, "--exact-only", "--anonymous"];
    let proxy = Proxy::run(Path::new("sh"), &before, model.address, "cheap", &more)?;
    let padding = "padding ".repeat(1000);
    let ask = |number: usize| {
        let body = chat(&format!("{number} {padding}"));
        proxy.post(&body, &[("x-reply", "quote")])
    };
    for number in 0..100 {
        let response = ask(number)?;
        assert_eq!((response.status, outcome(&response)), (200, "miss"));
    }
    for number in 0..100 {
        assert_eq!(outcome(&ask(number)?), "hit-exact");
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while proxy.metric("pointsman_cache_store_errors_total{target=\"cheap\"}")? == 0 {
        anyhow::ensure!(std::time::Instant::now() < deadline, "the disk never filled up");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_dead_model_is_an_error_of_the_gateway_and_the_cache_stays_healthy() -> Result<()> {
    // Nobody listens here any more.
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let dead = Proxy::start(free, &[])?;
    let response = dead.ask("What is love?")?;
    assert_eq!((response.status, outcome(&response)), (502, "miss"));
    assert_eq!(dead.metric("pointsman_cache_upstream_errors_total{target=\"cheap\"}")?, 1);
    let healthy = http::Request::get("/healthz").body(client::empty())?;
    assert_eq!(dead.send(healthy)?.status, 200);
    Ok(())
}

#[test]
fn bodies_of_any_bytes_get_an_answer() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for body in [&b""[..], b"\xff\xfe\x00", b"{\"messages\":", b"null", deep.as_bytes()] {
        let request = http::Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-reply", "echo")
            .body(client::whole(Bytes::copy_from_slice(body)))?;
        let response = client::exchange(proxy.address, Protocol::Http1, request)?;
        assert_eq!((response.status, outcome(&response)), (200, "bypass"));
    }
    let wrong = post(&chat("What is love?"), &[])?;
    assert_eq!(proxy.send(wrong)?.status, 200, "it lives on");
    Ok(())
}
