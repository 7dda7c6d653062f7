//! Rewards that come through the control plane for answers that came from a cache.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::control::plane::{Plane, decision, feedback, id};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, outcome};
use pointsman_testkit::redis::Redis;

const QUESTION: &str = "How do I convert 10 miles to kilometers?";
const NEAR: &str = "How can I convert 10 miles to kilometers?";
const SUSPECTED: &str = "pointsman_cache_suspected_false_hits_total{target=\"cheap\"}";

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A cache that has answered one question with another's answer, and its ID of the entry.
fn cache_with_a_near_hit(model: &Model) -> (Proxy, String) {
    let cache = Proxy::start(model.address, &[]).unwrap();
    cache.ask(QUESTION).unwrap();
    let near = cache.ask(NEAR).unwrap();
    assert_eq!(outcome(&near), "hit-semantic");
    let cache_id = near.header("x-pointsman-cache-id").unwrap().to_owned();
    (cache, cache_id)
}

fn reward(number: u32, reward: f32, cache_id: &str) -> String {
    json!({"decision_id": id(number), "reward": reward, "cache_id": cache_id}).to_string()
}

/// Rewards that a control plane forwarded, by result.
fn forwarded(plane: &Plane, result: &str) -> u64 {
    let line = format!("pointsman_serve_cache_feedback_total{{result=\"{result}\"}} ");
    let text = plane.get("/metrics").1;
    text.lines().find_map(|it| it.strip_prefix(&line)).unwrap().parse().unwrap()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_bad_reward_for_a_semantic_hit_is_a_suspected_false_hit_of_the_cache() {
    let model = Model::start().unwrap();
    let (cache, cache_id) = cache_with_a_near_hit(&model);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &["--cache", &url(cache.admin)]);
    plane.accepted("/pointsman/v1/decisions", &decision(1, 0, 0.9, 0.7));
    // Without the cache's id it is about the target alone.
    plane.accepted("/pointsman/v1/decisions", &decision(2, 0, 0.9, 0.7));
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &feedback(2, 0.1))["accepted"], 1);
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &reward(1, 0.1, &cache_id))["accepted"], 1);
    wait_until("it is sent", || forwarded(&plane, "sent") == 1);
    assert_eq!(cache.metric(SUSPECTED).unwrap(), 1);
    assert_eq!(outcome(&cache.ask(NEAR).unwrap()), "miss", "the entry is gone");
    plane.wait_for("both are learnt from", |status| status["samples"] == 2);
}

#[test]
fn a_reward_is_forwarded_once_and_only_if_it_is_taken() {
    let model = Model::start().unwrap();
    let (cache, cache_id) = cache_with_a_near_hit(&model);
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let plane = Plane::start(&state, &["--cache", &url(cache.admin)]);
    let bad = reward(1, 0.1, &cache_id);
    // Before its decision, and twice after it.
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &bad)["early"], 1);
    plane.accepted("/pointsman/v1/decisions", &decision(1, 0, 0.9, 0.7));
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &format!("{bad}\n{bad}"))["duplicate"], 2);
    let forged = bad.replace(&id(1), &id(1).replace('.', ".0"));
    assert_eq!(plane.post("/pointsman/v1/feedback", &forged).0, 403);
    for id in ["", "ff", "+0000000000000ff", "00000000000000fg", "000000000000000ff"] {
        assert_eq!(plane.post("/pointsman/v1/feedback", &reward(3, 0.1, id)).0, 400, "{id}");
    }
    // They are sent in their order: when this one is, none before it is still to come.
    plane.accepted("/pointsman/v1/feedback", &reward(2, 0.9, &cache_id));
    wait_until("both are sent", || forwarded(&plane, "sent") >= 2);
    assert_eq!(forwarded(&plane, "sent"), 2);
    assert_eq!(cache.metric(SUSPECTED).unwrap(), 1);
    // The log is read again at a restart, and nothing of it is forwarded.
    assert!(plane.terminate());
    let plane = Plane::start(&state, &["--cache", &url(cache.admin)]);
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &bad)["duplicate"], 1);
    plane.accepted("/pointsman/v1/feedback", &reward(4, 0.9, &cache_id));
    wait_until("it is sent", || forwarded(&plane, "sent") >= 1);
    assert_eq!((forwarded(&plane, "sent"), cache.metric(SUSPECTED).unwrap()), (1, 1));
}

#[test]
fn caches_that_are_gone_hold_up_no_post_and_no_other_cache_and_are_counted() {
    let model = Model::start().unwrap();
    let (cache, cache_id) = cache_with_a_near_hit(&model);
    // One accepts connections and never answers, the other does not listen.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = [silent.local_addr().unwrap(), closed, cache.admin].map(url);
    let arguments: Vec<&str> = addresses.iter().flat_map(|it| ["--cache", it]).collect();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &arguments);
    let started = Instant::now();
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &reward(1, 0.1, &cache_id))["early"], 1);
    wait_until("the cache knows", || cache.metric(SUSPECTED).unwrap() == 1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    wait_until("both are counted", || forwarded(&plane, "failed") == 2);
    assert_eq!(forwarded(&plane, "dropped"), 0);
    // More than may wait for the silent one.
    let many: Vec<String> = (2..3002).map(|number| reward(number, 0.9, &cache_id)).collect();
    let started = Instant::now();
    assert_eq!(plane.accepted("/pointsman/v1/feedback", &many.join("\n"))["early"], 3000);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(forwarded(&plane, "dropped") >= 3000 - 1025);
}

#[test]
fn of_replicas_on_one_redis_the_one_that_takes_a_reward_forwards_it() {
    let Some(redis) = Redis::start() else { return };
    let model = Model::start().unwrap();
    let (cache, cache_id) = cache_with_a_near_hit(&model);
    let admin = url(cache.admin);
    let replica = || Plane::replica_with(&redis.url(), &["--cache", &admin]);
    let (one, other) = (replica(), replica());
    one.accepted(
        "/pointsman/v1/decisions",
        &[decision(1, 0, 0.9, 0.7), decision(1, 0, 0.9, 0.7)].join("\n"),
    );
    let bad = reward(1, 0.1, &cache_id);
    assert_eq!(one.accepted("/pointsman/v1/feedback", &bad)["accepted"], 1);
    // A duplicate among others: only the others are forwarded.
    let good = [2, 3].map(|number| reward(number, 0.9, &cache_id));
    let counts = other.accepted("/pointsman/v1/feedback", &[&*good[0], &bad, &good[1]].join("\n"));
    assert_eq!((&counts["early"], &counts["duplicate"]), (&2.into(), &1.into()));
    wait_until("the last is sent", || forwarded(&other, "sent") >= 2);
    wait_until("the first is sent", || forwarded(&one, "sent") >= 1);
    assert_eq!((forwarded(&one, "sent"), forwarded(&other, "sent")), (1, 2));
    assert_eq!(cache.metric(SUSPECTED).unwrap(), 1);
}

#[test]
fn an_address_that_is_not_a_caches_is_refused() {
    for url in ["https://cache:9000", "cache:9000", "http://cache:9000/v1/feedback", "http://"] {
        let arguments = ["serve", "--cache", url];
        let program = env!("CARGO_BIN_EXE_pointsman");
        let output = assert_cmd::Command::new(program).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("not http://host:port"), "{said}");
    }
}
