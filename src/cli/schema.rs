//! `pointsman schema`: the JSON Schema of the filter's configuration.

use super::print;
use pointsman_core::config::json_schema;

/// Print the JSON Schema of the filter's configuration
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run() -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(&json_schema())?)
}
