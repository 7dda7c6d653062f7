//! `pointsman schema`: JSON Schemas of the configurations.

use super::print;
use pointsman_core::config::json_schema as filter;
use pointsman_gateway::file::json_schema as file;

/// Print the JSON Schema of the filter's configuration, or of pointsman.yaml
#[derive(clap::Args)]
pub(super) struct Args {
    /// Whose schema
    #[arg(long, value_enum, default_value_t = Of::Filter)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// The filter's configuration
    Filter,
    /// pointsman.yaml
    File,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let schema = match args.of {
        Of::Filter => filter(),
        Of::File => file(),
    };
    print(serde_json::to_string_pretty(&schema)?)
}
