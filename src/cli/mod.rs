//! The command line: one file per subcommand. Data goes to stdout, messages to stderr.
#![allow(clippy::indexing_slicing, reason = "no request is open here that a panic could cost")]

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use pointsman_lab::files::{self, BadLine, Problems, replace};
use pointsman_lab::label::LabelError;
use pointsman_lab::learn::DatasetError;
use pointsman_lab::report::{Plot, write_plots};

/// Prints a line on stderr, which may be closed.
macro_rules! report {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}\n", format_args!($($text)*)),
        );
    }};
}

mod accept;
mod args;
mod cache;
mod calibrate;
mod capture;
mod check;
mod estimate;
mod evaluate;
mod explain;
mod features;
mod gateway;
mod import;
mod init;
mod label;
mod manual;
mod models;
mod render;
mod report;
mod rollout;
mod schema;
mod serve;
mod shutdown;
mod simulate;
mod train;
mod up;

/// The learned LLM router that lives inside Envoy.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Up(Box<up::Args>),
    Train(train::Args),
    Evaluate(evaluate::Args),
    Calibrate(calibrate::Args),
    Explain(explain::Args),
    Features(features::Args),
    Label(Box<label::Args>),
    Capture(capture::Args),
    Import(import::Args),
    Serve(Box<serve::Args>),
    Estimate(estimate::Args),
    Render(render::Args),
    Rollout(rollout::Args),
    Report(report::Args),
    Simulate(Box<simulate::Args>),
    Cache(Box<cache::Args>),
    Schema(schema::Args),
    Completions(manual::Completions),
    Man(manual::Man),
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

/// What the user can do something about, and no fault of the input: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Failed {
    message: String,
    hint: String,
}

/// Runs the program. Exit codes: 0 done, 1 failed, 2 wrong usage or bad input.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Up(args) => up::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Label(args) => label::run(*args),
        Command::Capture(args) => capture::run(args),
        Command::Import(args) => import::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Rollout(args) => rollout::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Serve(args) => serve::run(*args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Cache(args) => cache::run(*args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
        // The reader of our output has seen enough: `pointsman features … | head`.
        return ExitCode::SUCCESS;
    }
    report!("error: {}", with_causes(error.chain()));
    let bad_input = error.downcast_ref::<BadInput>();
    let labelling = error.downcast_ref::<LabelError>();
    let hint = bad_input.and_then(|error| error.hint.as_deref());
    let failed = error.downcast_ref::<Failed>().map(|error| error.hint.as_str());
    if let Some(hint) = hint.or(failed).or_else(|| labelling?.hint()) {
        report!("hint: {hint}");
    }
    match bad_input.is_some() || labelling.is_some_and(LabelError::is_bad_input) {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// An error with its causes, unless it names them itself.
fn with_causes(chain: anyhow::Chain) -> String {
    let mut causes = chain.map(ToString::to_string);
    let first = causes.next().unwrap_or_default();
    causes.fold(
        first,
        |text, cause| {
            if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
        },
    )
}

/// Writes a result to stdout.
fn print(text: impl Display) -> anyhow::Result<()> {
    print_with(|out| writeln!(out, "{text}"))
}

/// As [`print`], piece by piece.
fn print_with(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).context("cannot write to standard output")
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
        DatasetError::BadLine(line) => bad_line(line).into(),
        DatasetError::Io { file, error } => open_error(Path::new(&file))(error).into(),
    }
}

/// A line that ends the reading.
fn bad_line(line: BadLine) -> BadInput {
    BadInput::new(&line).hint(line.hint)
}

/// Writes a page and its plots where they are wanted.
fn write_page(
    file: Option<&Path>,
    directory: Option<&Path>,
    plots: &[Plot],
    page: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let cannot = |path: &Path, error| anyhow::anyhow!("{}: {error}", path.display());
    if let Some(path) = file {
        replace(path, page().as_bytes()).map_err(|error| cannot(path, error))?;
    }
    if let Some(path) = directory {
        write_plots(path, plots).map_err(|error| cannot(path, error))?;
    }
    Ok(())
}

/// A file that the user named cannot be opened.
fn open_error(path: &Path) -> impl Fn(io::Error) -> BadInput {
    move |error| {
        let bad = BadInput::new(format!("{}: {error}", path.display()));
        match files::hint(&error) {
            Some(hint) => bad.hint(hint),
            None => bad,
        }
    }
}

/// Reports the first bad lines on stderr, and how many there were.
fn report_problems(problems: &mut Problems) {
    for line in problems.take_named() {
        report!("warning: skipped {line}");
    }
    let counts = problems.counts().iter();
    let counts: Vec<String> =
        counts.map(|(problem, count)| format!("{} {count}", problem.name())).collect();
    if !counts.is_empty() {
        let total = problems.total();
        let lines = if total == 1 { "1 line was" } else { &format!("{total} lines were") };
        report!("warning: {lines} skipped: {}", counts.join(", "));
    }
}
