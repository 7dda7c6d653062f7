//! A configuration that is wrong never starts. The full list of rules has native tests; these
//! assert that Envoy refuses, and that the operator is told why.
//!
//! One in a `Struct` is the same as in JSON, and one whose parts are not all there works.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::Case;
use crate::stage::{Stage, chat_body};
use pointsman_testkit::envoy::Envoy;

pub const CASES: &[Case] = &[
    ("a_wrong_configuration_refuses_to_start_and_says_why", wrong_values),
    ("a_configuration_that_is_not_json_refuses_to_start", not_json),
    ("a_configuration_in_a_struct_is_the_same_as_in_json", in_a_struct),
    ("a_bandit_without_a_control_plane_leaves_it_to_the_classifier_and_says_so", bandit_alone),
];

fn refusal(stage: &Stage, configuration: &str) -> Result<String> {
    let mut deployment = stage.deployment.clone();
    deployment.set_filter_configuration(configuration)?;
    let directory = tempfile::tempdir()?;
    Envoy::refuse(&stage.binary, &deployment, directory.path())
}

fn wrong_values(stage: &Stage) -> Result<()> {
    let mut configuration: Value = stage.deployment.filter_configuration()?;
    configuration["default"] = json!("stronk");
    configuration["targets"][0]["threshold"] = json!(1.5);
    configuration["retries"] = json!(3);
    let log = refusal(stage, &configuration.to_string())?;
    // All of them at once: path and value.
    for part in ["default", "stronk", "targets[0].threshold", "1.5", "retries"] {
        assert!(log.contains(part), "{part:?} is not in Envoy's log:\n{log}");
    }
    Ok(())
}

fn not_json(stage: &Stage) -> Result<()> {
    let log = refusal(stage, "targets: [cheap, strong]")?;
    assert!(log.contains("JSON"), "{log}");
    Ok(())
}

/// Prices for one target, a bandit without a control plane, and a number for a body.
fn partial() -> Result<Value> {
    let text = include_str!("../../crates/core/src/config/partial.json");
    let mut configuration: Value = serde_json::from_str(text)?;
    configuration["targets"][1]["parameters"] = json!({"max_tokens": 77, "temperature": 0.5});
    Ok(configuration)
}

fn written_as_struct(stage: &Stage) -> Result<Arc<Stage>> {
    stage.variant("struct", |deployment| deployment.set_filter_struct(&partial()?))
}

fn in_a_struct(stage: &Stage) -> Result<()> {
    let stage = &*written_as_struct(stage)?;
    let sent = stage.chat(&chat_body("```\nlet x = 1;\n```\nWhy?"))?;
    assert_eq!(sent.response.header("x-pointsman-reason"), Some("code"));
    let (cluster, record) = stage.landing(&sent.path)?;
    assert_eq!(cluster, "strong");
    let body = std::str::from_utf8(&record.body)?;
    assert!(body.contains(r#""model":"gpt-4o""#), "{body}");
    // Providers refuse 77.0 tokens.
    assert!(body.contains(r#""max_tokens":77,"temperature":0.5"#), "{body}");
    // The order of a Struct's fields is another in every process; the version is of what it says.
    let version = pointsman_core::features::digest_of(partial()?.to_string().as_bytes());
    assert_eq!(stage.decision(&sent.path)?["policy_version"], version);
    Ok(())
}

fn bandit_alone(stage: &Stage) -> Result<()> {
    let stage = &*written_as_struct(stage)?;
    let fallbacks = || -> Result<u64> {
        let name = "pointsman_bandit_fallback.reason.no_snapshot";
        let text = stage.envoy.admin_get(&format!("/stats?filter=^wasmcustom.{name}$"))?;
        let (_, count) = text.trim().split_once(": ").with_context(|| format!("{name}: {text}"))?;
        Ok(count.parse()?)
    };
    let before = fallbacks()?;
    let sent = stage.chat(&chat_body("What is the capital of Mongolia?"))?;
    stage.assert_routed_by_the_classifier(&sent)?;
    assert_eq!(stage.decision(&sent.path)?["bandit_fallback"], "no_snapshot");
    assert_eq!(fallbacks()? - before, 1);
    // Rules decide as ever.
    let ruled = stage.chat(&chat_body("```\nlet x = 1;\n```\nWhy?"))?;
    assert_eq!(stage.decision(&ruled.path)?["bandit_fallback"], Value::Null);
    assert_eq!(fallbacks()? - before, 1);
    Ok(())
}
