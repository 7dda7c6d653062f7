//! A configuration that is wrong never starts. The full list of rules has native tests; these
//! assert that Envoy refuses, and that the operator is told why.

use anyhow::Result;
use serde_json::{Value, json};

use crate::Case;
use crate::stage::Stage;
use crate::support::envoy::Envoy;

pub const CASES: &[Case] = &[
    ("a_wrong_configuration_refuses_to_start_and_says_why", wrong_values),
    ("a_configuration_that_is_not_json_refuses_to_start", not_json),
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
