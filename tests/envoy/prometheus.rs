//! A real Prometheus scrapes Envoy and answers what the dashboard and the documentation ask.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;
use serde_json::Value;

use crate::Case;
use crate::stage::{Stage, demo_prompts, post};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::process::{Process, log_since, tail};
use pointsman_testkit::root;

pub const CASES: &[Case] = &[(
    "every_query_of_the_dashboard_and_the_documentation_has_an_answer_in_prometheus",
    queries_answered,
)];

/// Prometheus as Debian packages it, installed or unpacked by scripts/get-prometheus.sh.
fn binary() -> Option<PathBuf> {
    let unpacked = root().join(".prometheus/usr/bin/prometheus");
    let installed = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|directory| directory.join("prometheus"))
            .find(|file| file.is_file())
    });
    installed.or_else(|| unpacked.is_file().then_some(unpacked))
}

fn queries_answered(stage: &Stage) -> Result<()> {
    let Some(binary) = binary() else {
        assert!(std::env::var_os("CI").is_none(), "no prometheus: run `make prometheus`");
        eprintln!("skipped: no prometheus; `make prometheus` fetches it on Debian");
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let prometheus = Prometheus::start(&binary, stage, directory.path())?;
    let queries = [dashboard_queries()?, documented_queries()?].concat();
    let (further, queries): (Vec<String>, Vec<String>) =
        queries.into_iter().partition(|query| needs_more_than_a_filter(query));
    assert!(!further.is_empty(), "queries of the control plane and the caches are found");
    for query in further {
        prometheus.values(&query)?;
    }
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut open: BTreeSet<String> = queries.into_iter().collect();
    assert!(open.len() > 10, "queries are found: {open:?}");
    while !open.is_empty() {
        if Instant::now() > deadline {
            bail!("no answer to {open:#?}\n{}", prometheus.log());
        }
        // A rate needs movement between two scrapes.
        traffic(stage)?;
        let mut unanswered = BTreeSet::new();
        for query in open {
            if !prometheus.answers(&query)? {
                unanswered.insert(query);
            }
        }
        open = unanswered;
    }
    Ok(())
}

/// Something for every query: all targets, answers with and without usage, a reason to fall back.
fn traffic(stage: &Stage) -> Result<()> {
    for (number, prompt) in demo_prompts()?.into_iter().enumerate() {
        let reply = if number % 2 == 0 { "usage" } else { "none" };
        let body = client::whole(serde_json::to_vec(&prompt)?);
        stage.send(Protocol::Http1, post(&stage.path()).header("x-reply", reply).body(body)?)?;
    }
    stage.send(Protocol::Http1, post(&stage.path()).body(client::whole("not JSON"))?)?;
    stage.send(Protocol::Http1, Request::get("/v1/models").body(client::empty())?)?;
    Ok(())
}

/// The queries of envoy/dashboard.json, with Grafana's interval filled in.
fn dashboard_queries() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("envoy/dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expression = |target: &Value| target["expr"].as_str().context("no expr").map(with_interval);
    targets.map(expression).collect()
}

/// Whether a query asks for what only a control plane, a bandit, a cache or a target that escalates
/// has. Prometheus must understand it, but there is nothing to answer here.
fn needs_more_than_a_filter(query: &str) -> bool {
    let escalation = [
        "pointsman_inspected",
        "pointsman_escalations",
        "pointsman_held_ms",
        "pointsman_wasted_",
        "pointsman_bad_answers_kept",
    ];
    let with_control = [
        "pointsman_bandit_fallback",
        "pointsman_control_calls_failed",
        "pointsman_events_dropped",
        "pointsman_snapshots_",
        "source=\"bandit\"",
    ];
    ["pointsman_serve_", "pointsman_cache_"]
        .iter()
        .chain(&with_control)
        .chain(&escalation)
        .any(|part| query.contains(part))
}

/// The queries of the table in docs/metrics.md.
fn documented_queries() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/metrics.md"))?;
    let rows = text.lines().skip_while(|line| !line.starts_with("| question |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let query = |row: &&str| row.split('`').nth(1).context("no query").map(with_interval);
    rows.iter().map(query).collect()
}

fn with_interval(query: &str) -> String {
    query.replace("$__rate_interval", "1m").replace("[5m]", "[1m]")
}

struct Prometheus {
    process: Process,
    address: std::net::SocketAddr,
}

impl Prometheus {
    fn start(binary: &Path, stage: &Stage, directory: &Path) -> Result<Self> {
        let configuration = directory.join("prometheus.yaml");
        std::fs::write(
            &configuration,
            format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: envoy\n  \
                 metrics_path: /stats/prometheus\n  static_configs: [{{targets: [\"{}\"]}}]\n",
                stage.envoy.admin
            ),
        )?;
        // Prometheus does not say which port it got when asked for any.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let arguments = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", directory.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let process = Process::start(binary, &arguments, directory, directory, "prometheus")?;
        let mut prometheus = Prometheus { process, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !matches!(prometheus.get("/-/ready"), Ok(response) if response.status == 200) {
            if prometheus.process.ended()?.is_some() || Instant::now() > deadline {
                bail!("Prometheus did not start\n{}", prometheus.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(prometheus)
    }

    fn get(&self, path: &str) -> Result<client::Response> {
        client::exchange(self.address, Protocol::Http1, Request::get(path).body(client::empty())?)
    }

    fn log(&self) -> String {
        tail(&log_since(&self.process.stderr, 0), 10)
    }

    /// What the query finds.
    fn values(&self, query: &str) -> Result<Vec<Value>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let response = self.get(&format!("/api/v1/query?query={encoded}"))?;
        let answer: Value = serde_json::from_slice(&response.body)?;
        if answer["status"] != "success" {
            bail!("{query}: {}", answer["error"]);
        }
        Ok(answer["data"]["result"].as_array().context("no result")?.clone())
    }

    /// Whether the query has at least one value, all of them numbers.
    fn answers(&self, query: &str) -> Result<bool> {
        let values = self.values(query)?;
        let is_number = |value: &Value| {
            value["value"][1].as_str().is_some_and(|text| text.parse().is_ok_and(f64::is_finite))
        };
        Ok(!values.is_empty() && values.iter().all(is_number))
    }
}
