//! What an operator sees: counters with labels, histograms, the access log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Request;
use serde_json::Value;

use crate::Case;
use crate::stage::{Stage, chat_body, post};
use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::metrics;

pub const CASES: &[Case] = &[
    ("decisions_are_counted_by_target_source_and_reason", counters),
    ("requests_out_of_scope_are_counted_apart", passed),
    ("decision_time_and_body_size_are_histograms", histograms),
    ("scores_are_a_histogram_of_decisions_that_have_one", scores),
    ("spending_and_what_the_strongest_would_have_cost_are_counted_from_answers", spending),
    ("the_versions_of_model_and_policy_are_a_gauge_of_the_workers_that_serve_with_them", versions),
    ("every_metric_is_documented_and_every_documented_metric_exists", documented),
    ("the_access_log_tells_the_whole_decision", access_log),
];

/// The samples of one metric of `/stats/prometheus`: labels to value.
fn samples(stage: &Stage, metric: &str) -> Result<Vec<(BTreeMap<String, String>, f64)>> {
    let text = stage.envoy.admin_get("/stats/prometheus")?;
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(metric).and_then(|rest| rest.strip_prefix('{')) else {
            continue;
        };
        let (labels, value) = rest.split_once("} ").with_context(|| line.to_owned())?;
        let labels = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect();
        found.push((labels, value.parse()?));
    }
    Ok(found)
}

fn decisions(stage: &Stage, target: &str, source: &str, reason: &str) -> Result<f64> {
    let wanted: BTreeMap<String, String> =
        [("target", target), ("source", source), ("reason", reason)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    Ok(samples(stage, "pointsman_decisions")?
        .into_iter()
        .filter(|(labels, _)| *labels == wanted)
        .map(|(_, value)| value)
        .sum())
}

fn counters(stage: &Stage) -> Result<()> {
    let before = decisions(stage, "strong", "default", "malformed_json")?;
    for _ in 0..3 {
        let request = post(&stage.path()).body(client::whole("not JSON"))?;
        stage.send(Protocol::Http1, request)?;
    }
    let after = decisions(stage, "strong", "default", "malformed_json")?;
    assert_eq!(after - before, 3.0);

    let sent = stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    let of = |name| sent.response.header(name).context("no decision header");
    let (target, reason) = (of("x-pointsman-target")?, of("x-pointsman-reason")?);
    let before = decisions(stage, target, "classifier", reason)?;
    assert!(before >= 1.0, "{target} {reason}");
    stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    assert_eq!(decisions(stage, target, "classifier", reason)? - before, 1.0);

    // Every combination has a label of its own, and no name is left without labels.
    for (labels, _) in samples(stage, "pointsman_decisions")? {
        assert_eq!(labels.len(), 3, "{labels:?}");
    }
    Ok(())
}

fn stat(stage: &Stage, name: &str) -> Result<u64> {
    let text = stage.envoy.admin_get(&format!("/stats?filter=^wasmcustom.{name}$"))?;
    let (_, value) = text.trim().split_once(": ").with_context(|| format!("no {name}: {text}"))?;
    Ok(value.parse()?)
}

fn passed(stage: &Stage) -> Result<()> {
    let before = stat(stage, "pointsman_passed.reason.out_of_scope")?;
    for method in ["GET", "DELETE"] {
        let request = Request::builder().method(method).uri(stage.path()).body(client::empty())?;
        stage.send(Protocol::Http1, request)?;
    }
    assert_eq!(stat(stage, "pointsman_passed.reason.out_of_scope")? - before, 2);
    stage.chat(&chat_body("Hello"))?;
    assert_eq!(stat(stage, "pointsman_passed.reason.out_of_scope")? - before, 2);
    Ok(())
}

fn histograms(stage: &Stage) -> Result<()> {
    stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    let text = stage.envoy.admin_get("/stats/prometheus")?;
    for line in [
        "pointsman_decision_us_bucket{le=\"100\"}",
        "pointsman_decision_us_count{}",
        "pointsman_body_bytes_bucket{le=\"4096\"}",
        "pointsman_body_bytes_count{}",
    ] {
        assert!(text.contains(line), "{line} is not among the statistics");
    }
    Ok(())
}

/// The sum of a metric's samples that carry all of `labels`.
fn sum(stage: &Stage, metric: &str, labels: &[(&str, &str)]) -> Result<f64> {
    let has = |found: &BTreeMap<String, String>, (name, value): &(&str, &str)| {
        found.get(*name).is_some_and(|found| found == value)
    };
    Ok(samples(stage, metric)?
        .into_iter()
        .filter(|(found, _)| labels.iter().all(|label| has(found, label)))
        .map(|(_, value)| value)
        .sum())
}

/// Envoy merges what workers recorded every few seconds: waits until `metric` has grown to `least`.
fn wait_for(stage: &Stage, metric: &str, least: f64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while sum(stage, metric, &[])? < least {
        ensure!(Instant::now() < deadline, "{metric} never reached {least}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn scores(stage: &Stage) -> Result<()> {
    let count = "pointsman_score_thousandths_count";
    let before = sum(stage, count, &[])?;
    let sent = stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    stage.send(Protocol::Http1, post(&stage.path()).body(client::whole("not JSON"))?)?;
    let score = stage.decision(&sent.path)?["score"].as_f64().context("no score")?;
    wait_for(stage, count, before + 1.0)?;
    let bound = (score * 10.0).ceil().max(1.0) * 100.0;
    let bucket = sum(stage, "pointsman_score_thousandths_bucket", &[("le", &bound.to_string())])?;
    assert!(bucket >= 1.0, "no score up to {bound}");
    Ok(())
}

fn spending(stage: &Stage) -> Result<()> {
    for (reply, protocol) in [("usage", Protocol::Http1), ("usage-sse", Protocol::Http2)] {
        let body = serde_json::to_vec(&chat_body("What is the capital of Mongolia?"))?;
        let totals = |target: &str| -> Result<Vec<f64>> {
            [
                ("pointsman_answers", ("usage", "reported")),
                ("pointsman_tokens", ("direction", "input")),
                ("pointsman_tokens", ("direction", "output")),
                ("pointsman_spend_nano", ("target", target)),
                ("pointsman_spend_always_strongest_nano", ("target", target)),
            ]
            .into_iter()
            .map(|(metric, label)| sum(stage, metric, &[("target", target), label]))
            .collect()
        };
        let before = [totals("cheap")?, totals("strong")?];
        let path = stage.path();
        let request = post(&path).header("x-reply", reply).body(client::whole(body.clone()))?;
        let response = stage.send(protocol, request)?;
        assert!(response.body.ends_with(b"}") || response.body.ends_with(b"[DONE]\n\n"));
        // The counters are written when the stream is over, the log line right after.
        stage.logged(&path)?;
        let after = [totals("cheap")?, totals("strong")?];
        let grown: Vec<Vec<f64>> = before
            .iter()
            .zip(&after)
            .map(|(before, after)| after.iter().zip(before).map(|(a, b)| a - b).collect())
            .collect();
        // 1000 input and 200 output tokens, at envoy.yaml's prices a million.
        let strong = 1000.0 * 2500.0 + 200.0 * 10_000.0;
        let (cost, place) = match response.header("x-pointsman-target") {
            Some("cheap") => (1000.0 * 150.0 + 200.0 * 600.0, 0),
            _ => (strong, 1),
        };
        assert_eq!(grown[place], [1.0, 1000.0, 200.0, cost, strong], "{reply}");
        assert_eq!(grown[1 - place], [0.0; 5], "{reply}");
    }
    let missing = [("usage", "missing")];
    let before = sum(stage, "pointsman_answers", &missing)?;
    let sent = stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    stage.logged(&sent.path)?;
    assert_eq!(sum(stage, "pointsman_answers", &missing)? - before, 1.0);
    Ok(())
}

fn versions(stage: &Stage) -> Result<()> {
    let decision = stage.decision(&stage.chat(&chat_body("Hello"))?.path)?;
    let text = |field: &str| decision[field].as_str().map(str::to_owned).context("no version");
    let labels = BTreeMap::from([
        ("model".to_owned(), text("model_version")?),
        ("policy".to_owned(), text("policy_version")?),
    ]);
    let found = samples(stage, "pointsman_configuration")?;
    let (_, workers) = found.iter().find(|(found, _)| *found == labels).context("no such gauge")?;
    // Two workers, of which one may have seen no request yet.
    assert!([1.0, 2.0].contains(workers), "{found:?}");
    Ok(())
}

fn documented(stage: &Stage) -> Result<()> {
    assert_eq!(metrics::exported(&stage.envoy)?, metrics::documented()?.always);
    Ok(())
}

fn access_log(stage: &Stage) -> Result<()> {
    let body = chat_body("What is the capital of Mongolia?");
    let sent = stage.chat(&body)?;
    let line = stage.logged(&sent.path)?;
    assert_eq!(line["status"], 200);
    assert_eq!(line["method"], "POST");
    let size = serde_json::to_vec(&body)?.len();
    assert_eq!(line["bytes_received"], size);
    let decision = stage.decision(&sent.path)?;
    assert_eq!(decision["body_bytes"], size);
    assert_eq!(decision["propensity"], 1.0);
    for field in ["decision_id", "policy_version", "model_version", "schema_hash", "features"] {
        let text = decision[field].as_str().with_context(|| format!("{field} in {decision}"))?;
        assert!(!text.is_empty(), "{field}");
    }
    for field in ["latency_us", "prompt_tokens_estimate"] {
        assert!(decision[field].is_u64(), "{field} in {decision}");
    }
    assert_ne!(decision["ts"], Value::Null);
    // The next decision has another id.
    let next = stage.decision(&stage.chat(&body)?.path)?;
    assert_ne!(next["decision_id"], decision["decision_id"]);
    Ok(())
}
