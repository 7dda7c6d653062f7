//! Several replicas on one real Redis: whatever ends, nothing that was acknowledged is lost, and
//! nothing counts twice.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::redis::{Script, cmd};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use crate::control::plane::{Plane, decision, feedback, token_for};
use pointsman_testkit::redis::Redis;

const BATCH: u32 = 20;
const CLIENTS: u32 = 3;

/// Clients that post decisions and rewards to any replica, and each post until one takes it.
struct Load {
    over: AtomicBool,
    acknowledged: AtomicU32,
}

impl Load {
    fn new() -> Self {
        Load { over: AtomicBool::new(false), acknowledged: AtomicU32::new(0) }
    }

    fn run(&self, client: u32, planes: &[Plane]) {
        let mut rng = SmallRng::seed_from_u64(u64::from(client));
        let mut number = client * 1_000_000;
        while !self.over.load(Ordering::Relaxed) {
            let batch = |line: &dyn Fn(u32) -> String| {
                (number..number + BATCH).map(line).collect::<Vec<_>>().join("\n")
            };
            let decisions = batch(&|n| decision(n, 0, 0.9, 0.7));
            let rewards = batch(&|n| feedback(n, 0.5));
            let mut posts =
                [("/pointsman/v1/decisions", decisions), ("/pointsman/v1/feedback", rewards)];
            // Some rewards come before their decisions.
            posts.rotate_left(usize::from(rng.random_bool(0.2)));
            for (path, body) in &posts {
                let taken = || {
                    let plane = &planes[rng.random_range(0..planes.len())];
                    plane
                        .try_post(path, token_for(path), body)
                        .is_some_and(|(status, _)| status == 200)
                };
                let mut tried = std::iter::repeat_with(taken);
                while tried.next() == Some(false) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            number += BATCH;
            self.acknowledged.fetch_add(BATCH, Ordering::Relaxed);
        }
    }

    /// Runs while something happens; gives the number of decisions that were rewarded.
    fn during(planes: &[Plane], what: impl FnOnce(&Load)) -> u32 {
        let load = Load::new();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let load = &load;
                scope.spawn(move || load.run(client, planes));
            }
            what(&load);
            load.over.store(true, Ordering::Relaxed);
        });
        load.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits for more acknowledged posts.
    fn go_on(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.acknowledged.load(Ordering::Relaxed) < before + 30 * BATCH {
            assert!(Instant::now() < deadline, "nothing is acknowledged any more");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Every reward was learnt once, whichever replica is asked.
fn assert_counted_once(plane: &Plane, expected: u32) {
    let status = plane.wait_for("all is learnt", |status| {
        status["samples"].as_u64() >= Some(u64::from(expected))
            && status["totals"]["rewards"].as_u64() >= Some(u64::from(expected))
    });
    assert_eq!(status["samples"], expected, "{status}");
    assert_eq!(status["totals"]["rewards"], expected);
    assert_eq!(status["totals"]["targets"], serde_json::json!([expected, 0]));
    assert_eq!(status["totals"]["reward_sum"], f64::from(expected) / 2.0);
}

#[test]
fn one_of_three_replicas_may_die_and_another_sleep_under_load() {
    let Some(server) = Redis::start() else { return };
    // The first one leads.
    let planes: Vec<Plane> = (0..3).map(|_| Plane::replica(&server.url())).collect();
    let expected = Load::during(&planes, |load| {
        load.go_on();
        planes[0].kill();
        load.go_on();
        // Longer than a lease lasts and than entries wait for their consumer.
        planes[1].signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(4));
        planes[1].signal(Signal::CONT);
        load.go_on();
    });
    assert!(expected > 90 * BATCH, "{expected}");
    for plane in &planes[1..] {
        assert_counted_once(plane, expected);
    }
}

#[test]
fn redis_may_be_killed_and_restarted_under_load() {
    let Some(mut server) = Redis::start() else { return };
    let planes: Vec<Plane> = (0..2).map(|_| Plane::replica(&server.url())).collect();
    let expected = Load::during(&planes, |load| {
        for _ in 0..2 {
            load.go_on();
            server.kill();
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(planes[0].get("/healthz").0, 200, "the replica lives on");
            assert_eq!(planes[0].policy(None).0, 200, "and knows the policy");
            server.restart();
        }
        load.go_on();
    });
    for plane in &planes {
        assert_counted_once(plane, expected);
    }
}

#[test]
fn what_a_dead_consumer_left_is_learnt_by_another_once() {
    let Some(server) = Redis::start() else { return };
    let planes = [Plane::replica(&server.url())];
    let mut connection = server.connect();
    let mut taken = 0;
    let expected = Load::during(&planes, |load| {
        while taken < 3 {
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP").arg("learners").arg("dead").arg("COUNT").arg(1).arg("STREAMS");
            let entry: ::redis::Value =
                read.arg("{pointsman}:lessons").arg(">").query(&mut connection).unwrap();
            taken += u32::from(entry != ::redis::Value::Nil);
        }
        load.go_on();
    });
    assert_counted_once(&planes[0], expected);
    let pending: Vec<::redis::Value> =
        cmd("XPENDING").arg("{pointsman}:lessons").arg("learners").query(&mut connection).unwrap();
    assert_eq!(pending[0], ::redis::Value::Int(0), "nothing is left");
}

#[test]
fn sums_of_entries_that_another_has_claimed_are_not_taken_over() {
    let Some(server) = Redis::start() else { return };
    let mut connection = server.connect();
    let mut run = |words: &[&str]| -> ::redis::Value {
        cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
    };
    run(&["XGROUP", "CREATE", "lessons", "learners", "0", "MKSTREAM"]);
    for id in ["1-1", "2-1"] {
        run(&["XADD", "lessons", id, "l", "x"]);
    }
    run(&["XREADGROUP", "GROUP", "learners", "slow", "STREAMS", "lessons", ">"]);
    run(&["XCLAIM", "lessons", "learners", "fast", "0", "2-1"]);
    let script =
        Script::new(include_str!("../../../crates/control-plane/src/serve/redis/sum_up.lua"));
    let mut hand_in = |consumer: &str, ids: &[&str]| -> bool {
        let mut invocation = script.key("lessons");
        invocation.key("sums").arg("learners").arg(consumer).arg("sums").arg(ids);
        invocation.invoke(&mut connection).unwrap()
    };
    assert!(!hand_in("slow", &["1-1", "2-1"]), "one of them is another's now");
    assert!(hand_in("slow", &["1-1"]), "and nothing was acknowledged");
    assert!(hand_in("fast", &["2-1"]));
    assert!(!hand_in("fast", &["2-1"]), "once");
    let sums: usize = cmd("LLEN").arg("sums").query(&mut connection).unwrap();
    assert_eq!(sums, 2);
}

#[test]
fn every_replica_serves_the_same_policy_and_takes_orders() {
    let Some(server) = Redis::start() else { return };
    let planes: Vec<Plane> = (0..2).map(|_| Plane::replica(&server.url())).collect();
    let rejoined = |version: &'static str| {
        for plane in &planes {
            plane.wait_for("the policy arrives", |status: &Value| status["snapshot"] == version);
        }
        assert_eq!(planes[0].policy(None), planes[1].policy(None));
    };
    rejoined("1");
    assert_eq!(planes[1].post("/pointsman/v1/rollback", "").0, 409, "no policy to roll back");
    assert_eq!(planes[1].post("/pointsman/v1/promote", "").0, 409, "nothing to promote");
    planes[0].accepted("/pointsman/v1/decisions", &decision(1, 0, 0.9, 0.7));
    planes[1].accepted("/pointsman/v1/feedback", &feedback(1, 1.0));
    planes[0].wait_for("it is learnt", |status: &Value| status["samples"] == 1);
    assert_eq!(planes[1].post("/pointsman/v1/promote", "").0, 200);
    rejoined("3");
    assert_eq!(planes[0].post("/pointsman/v1/rollback", "").0, 200);
    rejoined("4");
    // A replica that starts later knows what happened.
    Plane::replica(&server.url()).wait_for("both orders are known", |status| {
        status["snapshot"] == "4" && status["events"].as_array().unwrap().len() == 2
    });
}

#[test]
fn replicas_learn_a_segment_together_and_promote_it_alone() {
    let Some(server) = Redis::start() else { return };
    let segments = ["--segments", "tenant-a"];
    let planes: Vec<Plane> =
        (0..2).map(|_| Plane::replica_with(&server.url(), &segments)).collect();
    for number in 0..100 {
        let plane = &planes[usize::from(number % 2 == 0)];
        let line = decision(number, 0, 0.9, 0.7);
        plane.accepted(
            "/pointsman/v1/decisions",
            &line.replacen('{', r#"{"policy":"tenant-a","#, 1),
        );
        plane.accepted("/pointsman/v1/feedback", &feedback(number, 0.5));
    }
    planes[1].wait_for("all is learnt", |status: &Value| status["samples"] == 100);
    assert_eq!(planes[1].post("/pointsman/v1/promote", r#"{"segment": "tenant-a"}"#).0, 200);
    let status = planes[0].wait_for("the canary is everywhere", |status: &Value| {
        status["versions"].as_array().unwrap().len() == 3
    });
    assert_eq!(status["versions"][0]["segment"], "");
    assert_eq!(status["versions"][2]["segment"], "tenant-a", "{status}");
    assert_eq!(planes[0].policy(None), planes[1].policy(None));
}

#[test]
fn a_redis_of_another_policy_is_refused_and_so_is_none() {
    let Some(server) = Redis::start() else { return };
    drop(Plane::replica(&server.url()));
    let refused = |url: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["serve", "--listen", "127.0.0.1:0", "--lambda", "0.7", "--store", url])
            .args(["--key", "0123456789abcdef", "--token", "0123456789abcdef"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&server.url());
    assert!(said.contains("other targets, penalties or features"), "{said}");
    let said = refused("redis://127.0.0.1:1/0");
    assert!(said.contains("Redis: "), "{said}");
    let said = refused("http://127.0.0.1/");
    assert!(said.contains("--store: must be a file, or redis://"), "{said}");
}
