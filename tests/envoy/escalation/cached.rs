//! With a cache in front of each target: answers are judged before they are stored.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CHAT, REFUSAL, usual};
use crate::Case;
use crate::stage::{Stage, post};
use pointsman_gateway::arguments;
use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::envoy::Envoy;
use pointsman_testkit::gateway::rendered;
use pointsman_testkit::process::Process;
use pointsman_testkit::said::{self, says};
use pointsman_testkit::scripted::{Script, Scripted, marked};
use pointsman_testkit::{program, root};

pub const CASES: &[Case] =
    &[("a_cache_in_front_of_a_target_stores_no_answer_that_was_found_bad", cached)];

/// An Envoy with a cache process in front of its models.
struct Cached {
    envoy: Envoy,
    cheap: Scripted,
    strong: Scripted,
    _caches: Process,
    _directory: TempDir,
}

/// The first of 64 ports that are free together.
fn free_ports() -> Result<u16> {
    for _ in 0..50 {
        let first = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let all: Result<Vec<_>, _> = (first..first.saturating_add(64))
            .map(|port| TcpListener::bind(("127.0.0.1", port)))
            .collect();
        if first < u16::MAX - 64 && all.is_ok() {
            return Ok(first);
        }
    }
    bail!("no 64 ports are free together")
}

impl Cached {
    fn start(binary: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (cheap, strong) = (Scripted::start(usual("cheap"))?, Scripted::start(usual("strong"))?);
        let file = json!({
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "providers": {"one": cheap.provider(), "two": strong.provider()},
            "targets": [
                {"name": "cheap", "model": "one/cheap", "escalate": {"max_share": 1}},
                {"name": "strong", "model": "two/strong"},
            ],
            "override": {"targets": ["cheap", "strong"]},
            "cache": {"tenant": "shared", "listen": format!("127.0.0.1:{}", free_ports()?),
                "exact_only": true},
        });
        let (gateway, deployment) = rendered(&file.to_string(), directory.path(), "envoy.yaml")?;
        let cache = gateway.cache.as_ref().context("there are caches")?;
        let arguments = arguments::cache(&gateway, cache, None);
        let caches = Process::start(&program()?, &arguments, &root(), directory.path(), "cache")?;
        caches.wait_for("admin: listening")?;
        let envoy = Envoy::start(binary, &deployment, directory.path())?;
        Ok(Self { envoy, cheap, strong, _caches: caches, _directory: directory })
    }

    fn send(&self, body: &Value) -> Result<Response> {
        let request: Request<client::Body> = post("/v1/chat/completions")
            .header("x-pointsman-target", "cheap")
            .body(client::whole(Bytes::from(body.to_string())))?;
        client::exchange(self.envoy.listener, Protocol::Http1, request)
    }

    fn counts(&self, id: u64) -> (usize, usize) {
        (self.cheap.count(id), self.strong.count(id))
    }
}

fn hit(response: &Response) -> bool {
    response.header("x-pointsman-cache").is_some_and(|value| value.starts_with("hit"))
}

fn cached(stage: &Stage) -> Result<()> {
    let net = Cached::start(&stage.binary)?;
    let question = |id: u64, streamed: bool| {
        let mut body = said::question(CHAT, &marked(id, "What is 2 + 2?"), streamed);
        body["temperature"] = json!(0);
        body
    };
    let mut id = 0;
    for streamed in [false, true] {
        let bad = Script::of(&says(REFUSAL), CHAT, streamed);
        // A sound answer is stored behind the inspection, and given back without it.
        id += 1;
        let first = net.send(&question(id, streamed))?;
        let second = net.send(&question(id, streamed))?;
        assert_eq!(first.body, second.body);
        ensure!(hit(&second), "{:?}", second.headers);
        assert_eq!(net.counts(id), (1, 0), "streamed: {streamed}");
        // A bad one is not stored, and asked for once.
        id += 1;
        net.cheap.choose(id, bad.clone());
        let sound = net.strong.usual("/v1/chat/completions", &question(id, streamed)).bytes();
        let first = net.send(&question(id, streamed))?;
        assert_eq!((first.status, &first.body[..]), (200, &sound[..]));
        assert_eq!(first.header("x-pointsman-escalated"), Some("refusal"));
        assert_eq!(net.counts(id), (1, 1), "streamed: {streamed}");
        // The other target's is, under its own name.
        let second = net.send(&question(id, streamed))?;
        assert_eq!(second.body, sound);
        assert_eq!(second.header("x-pointsman-escalated"), Some("refusal"));
        assert_eq!(net.counts(id), (2, 1), "streamed: {streamed}");
        // Once the target is better, its answer counts.
        let better = Script::of(&says("It is 4 after all."), CHAT, streamed);
        net.cheap.choose(id, better.clone());
        let third = net.send(&question(id, streamed))?;
        assert_eq!(third.body, better.bytes());
        ensure!(!hit(&third), "what was found bad was stored");
        // What is held is given back through both caches, and stored in none.
        for failure in [Script::nothing(503), Script::json("{}").status(429)] {
            id += 1;
            net.cheap.choose(id, bad.clone());
            net.strong.choose(id, failure);
            for count in 1..=2 {
                let response = net.send(&question(id, streamed))?;
                assert_eq!((response.status, &response.body[..]), (200, &bad.bytes()[..]));
                assert_eq!(response.header("x-pointsman-kept"), Some("refusal; unavailable"));
                let (cheap, strong) = net.counts(id);
                assert_eq!(cheap, count, "a retry does not ask again");
                ensure!(strong >= count, "the strong target was not asked");
            }
            net.strong.choose(id, better.clone());
            let response = net.send(&question(id, streamed))?;
            assert_eq!(response.body, better.bytes());
        }
    }
    Ok(())
}
