//! The command line: one file a subcommand. Data goes to stdout, talk to stderr.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line prints: data to stdout, talk to stderr"
)]
#![allow(clippy::indexing_slicing, reason = "no request is open here that a panic could cost")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::learn::{BadLine, DatasetError, Reading};

mod cache;
mod calibrate;
mod estimate;
mod evaluate;
mod explain;
mod features;
mod import;
mod label;
mod schema;
mod serve;
mod simulate;
mod train;

/// The learned LLM router that lives inside Envoy.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Args),
    Evaluate(evaluate::Args),
    Calibrate(calibrate::Args),
    Explain(explain::Args),
    Features(features::Args),
    Label(Box<label::Args>),
    Import(import::Args),
    Serve(Box<serve::Args>),
    Estimate(estimate::Args),
    Simulate(Box<simulate::Args>),
    Cache(Box<cache::Args>),
    Schema(schema::Args),
}

/// Labelled rows to read.
#[derive(clap::Args)]
struct DataArgs {
    /// JSONL or gzipped JSONL with labelled rows; several files are read in turn
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Stop at the first line that is no row, instead of skipping it
    #[arg(long)]
    strict: bool,
}

/// The user's input is to blame: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct BadInput {
    message: String,
    hint: Option<String>,
}

impl BadInput {
    fn new(message: impl ToString) -> Self {
        BadInput { message: message.to_string(), hint: None }
    }

    fn hint(mut self, hint: impl ToString) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

/// Runs the program. Exit codes: 0 done, 1 failed, 2 wrong usage or bad input.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Label(args) => label::run(*args),
        Command::Import(args) => import::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Serve(args) => serve::run(*args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Cache(args) => cache::run(*args),
        Command::Schema(schema::Args {}) => schema::run(),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let io = error.downcast_ref::<std::io::Error>();
    if io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
        // The reader of our output has seen enough: `pointsman features … | head`.
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    match error.downcast_ref::<BadInput>() {
        Some(input) => {
            if let Some(hint) = &input.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(2)
        }
        None => ExitCode::FAILURE,
    }
}

/// A bar over the bytes of some files, on stderr. Gzipped files are longer inside, so that their
/// share is unknown: the bar then only counts.
fn bytes_bar(files: &[PathBuf]) -> ProgressBar {
    let plain = |path: &PathBuf| path.extension().is_none_or(|e| e != "gz");
    let size = |path: &PathBuf| std::fs::metadata(path).map(|m| m.len()).ok();
    let total: Option<u64> =
        files.iter().map(|path| size(path).filter(|_| plain(path))).sum::<Option<u64>>();
    match total {
        Some(total) => ProgressBar::new(total).with_style(style("{bar:30} {bytes}/{total_bytes}")),
        None => ProgressBar::new_spinner().with_style(style("{spinner} {bytes} read")),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn dataset_error(error: DatasetError) -> anyhow::Error {
    match error {
        DatasetError::BadLine(line) => {
            BadInput::new(line).hint("without --strict such lines are counted and skipped").into()
        }
        error @ DatasetError::Io { .. } => BadInput::new(error).into(),
    }
}

/// Tells on stderr what was odd about the rows.
fn report_reading(reading: &Reading) {
    report_bad_lines(&reading.bad);
    if reading.duplicate_ids > 0 {
        eprintln!("warning: {} rows repeat an id of their source", reading.duplicate_ids);
    }
}

/// Names the first bad lines, and counts them all.
fn report_bad_lines(bad: &[BadLine]) {
    const NAMED: usize = 10;
    for line in bad.iter().take(NAMED) {
        eprintln!("warning: skipped {line}");
    }
    if bad.len() > NAMED {
        eprintln!("warning: {} lines were skipped", bad.len());
    }
}
