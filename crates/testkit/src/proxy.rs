//! A `pointsman cache` of its own for a test, and requests to it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{self, Protocol, Response};
use crate::process::Process;
use crate::{program, root};

/// A running cache; dropping it kills it.
pub struct Proxy {
    pub process: Process,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    _logs: TempDir,
}

/// What clients of the stand-in model need: they have no credentials, and a header of theirs chooses
/// how the model answers the same question.
const CHOOSES: [&str; 3] = ["--anonymous", "--ignore-header", "x-reply"];
const READY_WITHIN: Duration = Duration::from_secs(30);

impl Proxy {
    /// A cache of the target `cheap` in front of this address, for clients without credentials too.
    /// What it has in its store is in memory.
    pub fn start(model: SocketAddr, more: &[&str]) -> Result<Self> {
        let proxy = Self::start_at_once(model, more)?;
        proxy.settle("cheap")?;
        Ok(proxy)
    }

    /// The same, without waiting for what is in its store.
    pub fn start_at_once(model: SocketAddr, more: &[&str]) -> Result<Self> {
        Self::launch(&program()?, &[], model, "cheap", &[&CHOOSES[..], more].concat())
    }

    /// A cache of a target, run by another program, as in `sh -c …`.
    pub fn run(
        program: &Path,
        before: &[&str],
        model: SocketAddr,
        target: &str,
        more: &[&str],
    ) -> Result<Self> {
        let proxy = Self::launch(program, before, model, target, more)?;
        proxy.settle(target)?;
        Ok(proxy)
    }

    /// The same, without waiting for what is in its store.
    pub fn launch(
        program: &Path,
        before: &[&str],
        model: SocketAddr,
        target: &str,
        more: &[&str],
    ) -> Result<Self> {
        let upstream = format!("http://{model}");
        let own = [
            "cache",
            "--target",
            target,
            "--upstream",
            &upstream,
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        let arguments: Vec<String> =
            before.iter().chain(&own).chain(more).map(|&argument| argument.to_owned()).collect();
        let logs = tempfile::tempdir()?;
        let mut process = Process::start(program, &arguments, &root(), logs.path(), "cache")?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let said = std::fs::read_to_string(&process.stderr)?;
            let address = |name: &str| {
                let before = format!("{name}: listening on http://");
                let line = said.lines().find_map(|line| line.strip_prefix(&before))?;
                line.trim_end_matches('/').parse().ok()
            };
            if let (Some(address), Some(admin)) = (address(target), address("admin")) {
                return Ok(Proxy { process, address, admin, _logs: logs });
            }
            if process.ended()?.is_some() || Instant::now() > deadline {
                bail!("the cache did not start: {said}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until everything in the store is in both tiers.
    pub fn settle(&self, target: &str) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for gauge in ["store_loading", "index_pending"] {
            let line = format!("pointsman_cache_{gauge}{{target=\"{target}\"}}");
            while self.metric(&line)? != 0 {
                ensure!(Instant::now() < deadline, "{line} never became 0");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    pub fn send(&self, request: Request<client::Body>) -> Result<Response> {
        client::exchange(self.address, Protocol::Http1, request)
    }

    /// Posts a body with these headers.
    pub fn post(&self, body: &Value, headers: &[(&str, &str)]) -> Result<Response> {
        self.send(post(body, headers)?)
    }

    /// Asks one question.
    pub fn ask(&self, question: &str) -> Result<Response> {
        self.post(&chat(question), &[])
    }

    /// One number of the metrics.
    pub fn metric(&self, line: &str) -> Result<u64> {
        let text = self.metrics()?;
        let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
        match found {
            Some(value) => Ok(value.parse()?),
            None if text.contains("pointsman_cache_") => Ok(0),
            None => bail!("no metrics: {text}"),
        }
    }

    /// All of its metrics.
    pub fn metrics(&self) -> Result<String> {
        let request = Request::get("/metrics").body(client::empty())?;
        let response = client::exchange(self.admin, Protocol::Http1, request)?;
        Ok(String::from_utf8(response.body)?)
    }

    /// Posts to the operator's address.
    pub fn operate(&self, path: &str, body: &Value) -> Result<Value> {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(client::whole(Bytes::from(body.to_string())))?;
        let response = client::exchange(self.admin, Protocol::Http1, request)?;
        serde_json::from_slice(&response.body).context("no JSON")
    }
}

pub fn post(body: &Value, headers: &[(&str, &str)]) -> Result<Request<client::Body>> {
    let mut request =
        Request::post("/v1/chat/completions").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.body(client::whole(Bytes::from(body.to_string())))?)
}

pub fn chat(question: &str) -> Value {
    json!({"model": "small-model", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]})
}

/// The value of `x-pointsman-cache`.
pub fn outcome(response: &Response) -> &str {
    response.header("x-pointsman-cache").unwrap_or("absent")
}
