//! Replicas of a cache that share a real Redis: what one has, all have; without it, each serves
//! from its own memory.

use std::path::Path;
use std::time::{Duration, Instant};

use ::redis::cmd;
use anyhow::{Result, ensure};
use serde_json::json;

use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome};
use pointsman_testkit::redis::Redis;

const QUESTION: &str = "How do I convert 10 miles to kilometers?";
const NEAR: &str = "How can I convert 10 miles to kilometers?";
const ERRORS: &str = "pointsman_cache_store_errors_total{target=\"cheap\"}";
const ENTRIES: &str = "pointsman_cache_entries{target=\"cheap\"}";

fn replica(model: &Model, redis: &Redis) -> Result<Proxy> {
    Proxy::start(model.address, &["--store", &redis.url()])
}

pub fn wait_for(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds()? {
        ensure!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn wait_for_entries(proxy: &Proxy, entries: u64) -> Result<()> {
    wait_for(&format!("{entries} entries"), || Ok(proxy.metric(ENTRIES)? == entries))
}

#[test]
fn what_one_replica_has_answered_hits_at_the_others_and_after_a_restart() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let (one, other) = (replica(&model, &redis)?, replica(&model, &redis)?);
    let first = one.ask(QUESTION)?;
    assert_eq!(outcome(&first), "miss");
    wait_for_entries(&other, 1)?;
    let again = other.ask(QUESTION)?;
    assert_eq!((outcome(&again), &again.body), ("hit-exact", &first.body));
    let near = other.ask(NEAR)?;
    assert_eq!((outcome(&near), &near.body), ("hit-semantic", &first.body));
    drop((one, other));
    let late = replica(&model, &redis)?;
    assert_eq!(outcome(&late.ask(NEAR)?), "hit-semantic");
    assert_eq!(model.asked(), 1);
    Ok(())
}

#[test]
fn targets_on_one_server_do_not_see_each_other() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let cheap = replica(&model, &redis)?;
    cheap.ask(QUESTION)?;
    let mut connection = redis.connect();
    wait_for("the entry is written", || {
        let keys: Vec<String> = cmd("KEYS").arg("*:entry:*").query(&mut redis.connect())?;
        Ok(keys.len() == 1)
    })?;
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    let url = redis.url();
    let more = ["--anonymous", "--store", &url];
    let strong = Proxy::run(program, &[], model.address, "strong", &more)?;
    assert_eq!(outcome(&strong.ask(QUESTION)?), "miss");
    // An entry ends by itself on the server, too.
    let keys: Vec<String> = cmd("KEYS").arg("*cheap*:entry:*").query(&mut connection)?;
    let left: u64 = cmd("PTTL").arg(&keys).query(&mut connection)?;
    assert!((1..=86_400_000).contains(&left), "{left}");
    Ok(())
}

#[test]
fn what_is_taken_out_at_one_replica_serves_nowhere() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let (one, other) = (replica(&model, &redis)?, replica(&model, &redis)?);
    for question in [QUESTION, "What is the capital of Mongolia?", "Who wrote Faust?"] {
        one.ask(question)?;
    }
    wait_for_entries(&other, 3)?;
    let bad = other.ask(NEAR)?;
    let id = bad.header("x-pointsman-cache-id").unwrap_or_default();
    other.operate("/pointsman/v1/feedback", &json!({"id": id, "reward": 0.0}))?;
    wait_for_entries(&one, 2)?;
    assert_eq!(outcome(&one.ask("Who wrote Faust?")?), "hit-exact");
    one.operate("/pointsman/v1/purge", &json!({}))?;
    wait_for_entries(&other, 0)?;
    let late = replica(&model, &redis)?;
    assert_eq!(late.metric(ENTRIES)?, 0);
    Ok(())
}

#[test]
fn a_lost_server_costs_sharing_and_no_request_and_what_was_taken_out_meanwhile_stays_out()
-> Result<()> {
    let Some(mut redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let (one, other) = (replica(&model, &redis)?, replica(&model, &redis)?);
    one.ask(QUESTION)?;
    wait_for_entries(&other, 1)?;
    redis.kill();
    wait_for("the loss is counted", || Ok(one.metric(ERRORS)? > 0))?;
    assert_eq!(outcome(&one.ask(QUESTION)?), "hit-exact");
    assert_eq!(outcome(&one.ask("Who wrote Faust?")?), "miss");
    assert_eq!(outcome(&one.ask("Who wrote Faust?")?), "hit-exact");
    one.operate("/pointsman/v1/purge", &json!({}))?;
    redis.restart();
    redis.connect();
    // It is owed, and written with the next change.
    one.ask("What is the capital of Mongolia?")?;
    let only_if_cached = [("cache-control", "only-if-cached")];
    wait_for("the purge arrives", || {
        Ok(other.post(&chat(QUESTION), &only_if_cached)?.status == 504)
    })?;
    wait_for_entries(&other, 1)
}

#[test]
fn without_a_server_it_serves_from_memory_and_shares_as_soon_as_there_is_one() -> Result<()> {
    let Some(mut redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    redis.kill();
    let (one, other) = (replica(&model, &redis)?, replica(&model, &redis)?);
    assert!(std::fs::read_to_string(&one.process.stderr)?.contains("memory only"));
    assert_eq!(outcome(&one.ask(QUESTION)?), "miss");
    assert_eq!(outcome(&one.ask(QUESTION)?), "hit-exact");
    redis.restart();
    redis.connect();
    wait_for("they share", || {
        let question = format!("Is {:?} a prime number?", Instant::now());
        one.ask(&question)?;
        Ok(other.metric(ENTRIES)? > 0)
    })
}

#[test]
fn an_entry_that_was_changed_on_the_server_is_not_served() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let one = replica(&model, &redis)?;
    one.ask(QUESTION)?;
    let mut connection = redis.connect();
    wait_for(
        "the entry is written",
        || Ok(cmd("DBSIZE").query::<u64>(&mut redis.connect())? == 2),
    )?;
    let keys: Vec<String> = cmd("KEYS").arg("*:entry:*").query(&mut connection)?;
    cmd("HSET").arg(&keys).arg("body").arg("{}").exec(&mut connection)?;
    let late = replica(&model, &redis)?;
    assert_eq!(late.metric(ERRORS)?, 1);
    assert_eq!(outcome(&late.ask(QUESTION)?), "miss");
    Ok(())
}

/// Anybody who has the server's password may write what no replica would.
#[test]
fn what_cannot_be_read_is_skipped_and_what_follows_is_heard() -> Result<()> {
    let Some(redis) = Redis::start() else { return Ok(()) };
    let model = Model::start()?;
    let (one, other) = (replica(&model, &redis)?, replica(&model, &redis)?);
    one.ask(QUESTION)?;
    wait_for_entries(&other, 1)?;
    let mut connection = redis.connect();
    let entry = |digit: &str| format!("{{pointsman:cache:cheap}}:entry:{}", digit.repeat(32));
    let announce = |connection: &mut ::redis::Connection, fields: &[(&str, &[u8])]| {
        let mut add = cmd("XADD");
        add.arg("{pointsman:cache:cheap}:changes").arg("*");
        for (name, value) in fields {
            add.arg(name).arg(value);
        }
        add.exec(connection)
    };
    cmd("SET").arg(entry("0")).arg("junk").exec(&mut connection)?;
    cmd("HSET").arg(entry("1")).arg(b"\xff").arg("junk").exec(&mut connection)?;
    for name in [entry("0"), entry("1"), "elsewhere".into()] {
        announce(&mut connection, &[("by", b"x"), ("insert", name.as_bytes())])?;
    }
    announce(&mut connection, &[("remove", b"not an entry")])?;
    announce(&mut connection, &[("remove", b"\xff")])?;
    announce(&mut connection, &[("what", b"is this")])?;
    // Two entries and three changes cannot be read.
    wait_for("all of it is counted", || Ok(other.metric(ERRORS)? == 5))?;
    one.operate("/pointsman/v1/purge", &json!({}))?;
    wait_for_entries(&other, 0)?;
    assert_eq!(other.metric(ERRORS)?, 5, "nothing is read twice");
    cmd("SET").arg(entry("0")).arg("junk").exec(&mut connection)?;
    let late = replica(&model, &redis)?;
    assert!(!std::fs::read_to_string(&late.process.stderr)?.contains("memory only"));
    assert_eq!(late.metric(ERRORS)?, 1);
    assert_eq!(outcome(&late.ask(QUESTION)?), "miss");
    wait_for_entries(&one, 1)
}

#[test]
fn a_store_that_looks_like_another_url_begins_no_directory() -> Result<()> {
    let working = tempfile::tempdir()?;
    for (store, named) in [
        ("http://u:hunter2@x:1", "`http`"),
        ("unix:///run/hunter2", "`unix`"),
        ("FILE:/hunter2", "`file`"),
        ("redis:/hunter2", "invalid Redis URL"),
        ("Rediss://:hunter2@x", "invalid Redis URL"),
        ("REDIS://:hunter2@x:port/0", "invalid Redis URL"),
        ("", "empty"),
    ] {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["cache", "--target", "a", "--upstream", "http://a", "--listen", "127.0.0.1:0"])
            .args(["--store", store])
            .current_dir(&working)
            .timeout(std::time::Duration::from_secs(20))
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{store}: {said}");
        assert!(said.contains(named) && !said.contains("hunter2"), "{store}: {said}");
    }
    assert!(std::fs::read_dir(&working)?.next().is_none());
    Ok(())
}

#[test]
fn a_url_of_no_server_is_refused_and_not_repeated() -> Result<()> {
    let arguments = ["cache", "--target", "a", "--upstream", "http://a", "--listen", "127.0.0.1:0"];
    let store = ["--store", "rediss://:secret@somewhere:1/0"];
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(arguments)
        .args(store)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("invalid Redis URL") && !said.contains("secret"), "{said}");
    Ok(())
}
