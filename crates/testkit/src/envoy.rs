//! A real Envoy with the filter.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;
use serde_json::Value;

use super::client::{self, Protocol};
use super::deployment::Deployment;
use super::process::{Process, log_since, tail};

/// Compiling the module takes seconds, and much longer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
const LOGGED_WITHIN: Duration = Duration::from_secs(10);

/// A running Envoy; dropping it stops it.
pub struct Envoy {
    process: Process,
    /// Where clients connect.
    pub listener: SocketAddr,
    /// The admin interface.
    pub admin: SocketAddr,
    /// From start to readiness.
    pub ready_after: Duration,
}

impl Envoy {
    /// Starts Envoy with two workers and waits until it serves; its files are in `directory`.
    pub fn start(binary: &Path, deployment: &Deployment, directory: &Path) -> Result<Self> {
        Self::start_with(binary, deployment, directory, 2)
    }

    /// The same with that many workers.
    pub fn start_with(
        binary: &Path,
        deployment: &Deployment,
        directory: &Path,
        workers: usize,
    ) -> Result<Self> {
        let begun = Instant::now();
        let admin_file = directory.join("admin.address");
        // A file of an earlier run would name a port that is not ours.
        let _ = std::fs::remove_file(&admin_file);
        let mut process = launch(binary, deployment, directory, &admin_file, workers)?;
        let deadline = begun + READY_WITHIN;
        let admin = loop {
            let named = std::fs::read_to_string(&admin_file).unwrap_or_default();
            if let Ok(address) = named.trim().parse() {
                break address;
            }
            wait_for_start(&mut process, deadline)?;
        };
        // An answer alone is not readiness: only LIVE is.
        while !matches!(get(admin, "/ready"), Ok(text) if text.trim() == "LIVE") {
            wait_for_start(&mut process, deadline)?;
        }
        let ready_after = begun.elapsed();
        let listener = listener_address(admin, "llm")?;
        Ok(Self { process, listener, admin, ready_after })
    }

    /// Starts Envoy with a configuration that it must refuse, and returns its log.
    ///
    /// # Errors
    /// When it starts all the same, or ends with status 0.
    pub fn refuse(binary: &Path, deployment: &Deployment, directory: &Path) -> Result<String> {
        let mut process =
            launch(binary, deployment, directory, &directory.join("admin.address"), 2)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = process.ended()? {
                let log = log_since(&process.stderr, 0);
                if status.success() {
                    bail!("Envoy ended with status 0\n{}", tail(&log, 20));
                }
                return Ok(log);
            }
            if log_since(&process.stderr, 0).contains("starting main dispatch loop") {
                bail!("Envoy accepted the configuration");
            }
            if Instant::now() > deadline {
                bail!("Envoy neither refused nor started within {READY_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The body of `GET path` on the admin interface.
    pub fn admin_get(&self, path: &str) -> Result<String> {
        get(self.admin, path)
    }

    /// Where clients connect to another listener than `llm`.
    pub fn listener_named(&self, name: &str) -> Result<SocketAddr> {
        listener_address(self.admin, name)
    }

    /// `POST path` on the admin interface, without a body.
    pub fn admin_post(&self, path: &str) -> Result<()> {
        let request = Request::post(path).body(client::empty())?;
        let response = client::exchange(self.admin, Protocol::Http1, request)?;
        if response.status != 200 {
            bail!("POST {path} on the admin interface: status {}", response.status);
        }
        Ok(())
    }

    /// Envoy's resident memory in MiB: its heap, and what the workers' VMs hold.
    pub fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    /// The part of it that is Envoy's heap, in MiB.
    pub fn heap(&self) -> Result<u64> {
        let memory: Value = serde_json::from_str(&self.admin_get("/memory")?)?;
        Ok(memory["allocated"].as_str().context("no number")?.parse::<u64>()? >> 20)
    }

    /// How long Envoy's own log is, in bytes.
    pub fn log_len(&self) -> usize {
        std::fs::metadata(&self.process.stderr).map_or(0, |data| data.len() as usize)
    }

    /// Envoy's own log from byte `start`.
    pub fn log_since(&self, start: usize) -> String {
        log_since(&self.process.stderr, start)
    }

    /// The access log as text.
    pub fn access_log(&self) -> String {
        log_since(&self.process.stdout, 0)
    }

    /// Waits for the first access-log line that satisfies `wanted`.
    pub fn access_log_line(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + LOGGED_WITHIN;
        loop {
            for line in self.access_log().lines() {
                // The last line may be half written.
                if let Ok(record) = serde_json::from_str(line)
                    && wanted(&record)
                {
                    return Ok(record);
                }
            }
            if Instant::now() > deadline {
                bail!("no such line in the access log within {LOGGED_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The decision record in an access-log line.
pub fn decision_of(line: &Value) -> Result<Value> {
    let text = line["decision"].as_str().context("the access-log line has no decision")?;
    serde_json::from_str(text).with_context(|| format!("the decision is not JSON: {text}"))
}

fn launch(
    binary: &Path,
    deployment: &Deployment,
    directory: &Path,
    admin_file: &Path,
    workers: usize,
) -> Result<Process> {
    let configuration: PathBuf = directory.join("envoy.json");
    std::fs::write(&configuration, deployment.to_json())?;
    let arguments = [
        "--config-path",
        &configuration.display().to_string(),
        "--admin-address-path",
        &admin_file.display().to_string(),
        // Several Envoys may run on this machine.
        "--use-dynamic-base-id",
        "--concurrency",
        &workers.to_string(),
        "--log-level",
        "info",
        // Whatever the filter says at its most talkative is searched by the tests.
        "--component-log-level",
        "wasm:debug",
        // The access log is read while Envoy runs; by default it is written every 10 s.
        "--file-flush-interval-msec",
        "50",
    ]
    .map(str::to_owned);
    let variables = deployment.environment();
    Process::start_with(binary, &arguments, variables, &super::root(), directory, "envoy")
}

fn wait_for_start(process: &mut Process, deadline: Instant) -> Result<()> {
    let ended = process.ended()?;
    if ended.is_some() || Instant::now() > deadline {
        let log = tail(&log_since(&process.stderr, 0), 30);
        match ended {
            Some(status) => bail!("Envoy ended with {status} before it was ready\n{log}"),
            None => bail!("Envoy is not ready after {READY_WITHIN:?}\n{log}"),
        }
    }
    std::thread::sleep(Duration::from_millis(20));
    Ok(())
}

fn listener_address(admin: SocketAddr, name: &str) -> Result<SocketAddr> {
    let listeners: Value = serde_json::from_str(&get(admin, "/listeners?format=json")?)?;
    let listener = listeners["listener_statuses"]
        .as_array()
        .and_then(|listeners| listeners.iter().find(|listener| listener["name"] == name))
        .with_context(|| format!("Envoy has no listener {name}"))?;
    let address = &listener["local_address"]["socket_address"];
    let ip = address["address"].as_str().context("the listener has no address")?;
    Ok(format!("{ip}:{}", address["port_value"]).parse()?)
}

fn get(admin: SocketAddr, path: &str) -> Result<String> {
    let request = Request::get(path).body(client::empty())?;
    let response = client::exchange(admin, Protocol::Http1, request)?;
    if response.status != 200 && path != "/ready" {
        bail!("GET {path} on the admin interface: status {}", response.status);
    }
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}
