//! What an operator sees: counters with labels, histograms, the access log.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use http::Request;
use serde_json::Value;

use crate::Case;
use crate::stage::{Stage, chat_body, post};
use crate::support::client::{self, Protocol};

pub const CASES: &[Case] = &[
    ("decisions_are_counted_by_target_source_and_reason", counters),
    ("requests_out_of_scope_are_counted_apart", passed),
    ("decision_time_and_body_size_are_histograms", histograms),
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
    let before = stat(stage, "pointsman_passed")?;
    for method in ["GET", "DELETE"] {
        let request = Request::builder().method(method).uri(stage.path()).body(client::empty())?;
        stage.send(Protocol::Http1, request)?;
    }
    assert_eq!(stat(stage, "pointsman_passed")? - before, 2);
    stage.chat(&chat_body("Hello"))?;
    assert_eq!(stat(stage, "pointsman_passed")? - before, 2);
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
