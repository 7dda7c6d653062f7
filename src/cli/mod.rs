//! Command line: one file a subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod import;
mod label;

#[derive(Parser)]
#[command(name = "pointsman", version, about = "The learned LLM router that lives inside Envoy")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make labelled rows from a production log
    Label(label::LabelArgs),
    /// Convert public routing sets to labelled rows
    Import(import::ImportArgs),
}

pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Label(args) => label::run(args),
        Command::Import(args) => import::run(args),
    }
}
