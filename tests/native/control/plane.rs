//! A `pointsman serve` of the test's own, and a fleet's worth of decisions for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pointsman_core::control_plane::{Signer, paths};
use pointsman_core::packed::pack;
use pointsman_core::policy::bandit::{Context, Snapshot};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

pub const KEY: &str = "a-key-that-only-tests-have";
/// The filters' token, and those of who else may do something.
pub const TOKEN: &str = "a-token-that-only-tests-have";
pub const REWARD_TOKEN: &str = "a-token-of-those-who-reward";
pub const ADMIN_TOKEN: &str = "a-token-of-those-who-promote";

/// The token that a post to this path needs.
pub fn token_for(path: &str) -> &'static str {
    match path {
        paths::FEEDBACK => REWARD_TOKEN,
        paths::PROMOTE | paths::ROLLBACK => ADMIN_TOKEN,
        _ => TOKEN,
    }
}

const TOKENS: [&str; 6] =
    ["--decide-token", TOKEN, "--reward-token", REWARD_TOKEN, "--admin-token", ADMIN_TOKEN];

/// A running control plane; dropping it kills it with SIGKILL.
pub struct Plane {
    child: Child,
    /// What it said before it listened.
    pub log: Vec<String>,
    pub address: SocketAddr,
    agent: ureq::Agent,
}

impl Plane {
    /// Starts with a state file and further arguments.
    pub fn start(state: &Path, arguments: &[&str]) -> Plane {
        Plane::start_at("127.0.0.1:0", state, arguments)
    }

    /// As [`Plane::start`], on an address that is known already.
    pub fn start_at(listen: &str, state: &Path, arguments: &[&str]) -> Plane {
        let state = ["--store", state.to_str().unwrap()];
        Plane::launch(listen, &[&state[..], &TOKENS, arguments].concat())
    }

    /// As [`Plane::start`], with nothing but these arguments.
    pub fn start_bare(arguments: &[&str]) -> Plane {
        Plane::launch("127.0.0.1:0", arguments)
    }

    /// A replica whose state is in Redis.
    pub fn replica(url: &str) -> Plane {
        Plane::replica_with(url, &[])
    }

    /// The same with further arguments.
    pub fn replica_with(url: &str, arguments: &[&str]) -> Plane {
        Plane::launch("127.0.0.1:0", &[&["--store", url], &TOKENS[..], arguments].concat())
    }

    fn launch(listen: &str, arguments: &[&str]) -> Plane {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["serve", "--listen", listen])
            .args(arguments)
            .env("POINTSMAN_KEY", KEY)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        // Warnings come first.
        let mut log = Vec::new();
        let mut address = None;
        for line in said.map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("listening on http://") {
                address = rest.trim_end_matches('/').parse().ok();
                break;
            }
            log.push(line);
        }
        let Some(address) = address else { panic!("serve did not start: {log:?}") };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Plane { child, log, address, agent }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(self.url(path)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// Status and body of a GET of the policy with an `etag`.
    pub fn policy(&self, etag: Option<&str>) -> (u16, String, Option<String>) {
        let mut request = self.agent.get(self.url(paths::POLICY));
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        let mut response = request.call().unwrap();
        let etag = response.headers().get("etag").map(|e| e.to_str().unwrap().to_owned());
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap(), etag)
    }

    /// Posts with a token; `None` when the plane is not there.
    pub fn try_post(&self, path: &str, token: &str, body: &str) -> Option<(u16, String)> {
        let headers = [("authorization", format!("Bearer {token}"))];
        self.try_post_with(path, &headers, body)
    }

    /// Posts with further headers.
    pub fn try_post_with(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Option<(u16, String)> {
        let mut request = self.agent.post(self.url(path));
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.content_type(paths::NDJSON);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send(body).ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), text))
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.try_post(path, token_for(path), body).unwrap()
    }

    /// Posts what must be taken; gives the counts of the answer.
    pub fn accepted(&self, path: &str, body: &str) -> Value {
        let (status, text) = self.post(path, body);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get(paths::STATUS).1).unwrap()
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::parse(self.policy(None).1.as_bytes()).unwrap()
    }

    /// Waits until the status satisfies `wanted`.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it with SIGKILL, while others may be talking to it.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks for an orderly end and waits for it.
    pub fn terminate(mut self) -> bool {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signed id from a number.
pub fn id(number: u32) -> String {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Signer::new(KEY).unwrap().sign(&bytes)
}

/// A decision record as the filter writes it.
pub fn decision(number: u32, target: usize, propensity: f64, score: f32) -> String {
    let context = Context::new(2).of_engineered(&[], &[score]);
    json!({
        "ts": 0, "decision_id": id(number), "target": (["cheap", "strong"][target]),
        "source": "bandit", "reason": "bandit_best", "propensity": propensity,
        "context": pack(&context), "latency_us": 40,
    })
    .to_string()
}

pub fn feedback(number: u32, reward: f32) -> String {
    json!({"decision_id": id(number), "reward": reward}).to_string()
}
