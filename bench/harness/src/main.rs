//! Measures ways to route by a prompt side by side: no filter, wasm, Lua, external processors, a proxy.
//!
//! bench/README.md has the method.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod check;
mod conditions;
mod exchange;
mod http;
mod load;
mod measure;
mod plan;
mod processes;
mod report;
mod results;
mod run;
mod stats;
mod system;
mod tools;
mod variants;

/// Compare ways to route by a prompt, on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    /// Print the Markdown table of a results file
    Table {
        /// results/DATE.json
        results: std::path::PathBuf,
    },
    /// Draw the plots of a results file
    Plot {
        /// results/DATE.json
        results: std::path::PathBuf,
        /// Directory for the SVG files
        #[arg(long, value_name = "DIR")]
        out: std::path::PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Table { results } => {
            print!("{}", report::table::markdown(&results::Results::read(&results)?));
            Ok(())
        }
        Command::Plot { results, out } => {
            report::plot::draw(&results::Results::read(&results)?, &out)
        }
    }
}
