//! `pointsman import`: public routing sets as dataset rows.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::args::{self, Strictness};
use super::{BadInput, bad_line, open_error, print, report_problems};
use pointsman_lab::files::{Problem, Problems, WholeFile, open};
use pointsman_lab::import::{Columns, ImportError, Imported, import};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// RouteLLM's evaluation CSVs: `prompt` and one column per model, true or false
    Routellm,
    /// RouterBench as CSV: `sample_id`, `prompt`, `eval_name` and one column per model
    Routerbench,
    /// Any CSV; options name the columns
    Csv,
}

/// Convert public routing sets to labelled rows
///
/// The label is 1 where the cheap model's answer scored at least as high as the strong one's.
#[derive(clap::Args)]
pub(super) struct Args {
    /// CSV files, plain or gzipped, with commas, semicolons, tabs or bars; standard input when omitted
    #[arg(value_name = "CSV")]
    inputs: Vec<PathBuf>,
    /// Format of the files
    #[arg(long, value_enum)]
    format: Format,
    /// Column with the cheap model's scores
    #[arg(long, value_name = "COLUMN")]
    cheap: String,
    /// Column with the strong model's scores
    #[arg(long, value_name = "COLUMN")]
    strong: String,
    /// Column with the prompt
    #[arg(long, value_name = "COLUMN")]
    prompt: Option<String>,
    /// Column with the row's ID
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Column with the task that a row comes from
    #[arg(long, value_name = "COLUMN")]
    source: Option<String>,
    /// Best possible score, by which scores are divided
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true, value_parser = scale)]
    scale: f64,
    /// File to write; standard output when omitted
    #[arg(long, short)]
    out: Option<PathBuf>,
    #[command(flatten)]
    strictness: Strictness,
    /// Print the counts as one JSON object: on standard output, or on standard error when the rows
    /// go to standard output
    #[arg(long)]
    json: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    args::number(text, |scale| scale > 0.0, "must be a number above 0")
}

#[derive(Serialize)]
struct Summary<'a> {
    rows: u64,
    cheap_ok: u64,
    skipped: u64,
    /// What was wrong with the rows that were skipped.
    problems: &'a BTreeMap<Problem, u64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut problems = Problems::new(args.strictness.strict);
    let imported = match &args.out {
        Some(out) => {
            let write_error = || format!("cannot write {}", out.display());
            let mut file = WholeFile::create(out).with_context(write_error)?;
            let imported = convert(args, &mut problems, &mut file)?;
            file.finish().with_context(write_error)?;
            imported
        }
        None => convert(args, &mut problems, &mut BufWriter::new(io::stdout().lock()))?,
    };
    report_problems(&mut problems);
    let Imported { rows, cheap_ok } = imported;
    let summary =
        Summary { rows, cheap_ok, skipped: problems.total(), problems: problems.counts() };
    match (args.json, &args.out) {
        (true, Some(_)) => print(serde_json::to_string(&summary)?)?,
        (true, None) => report!("{}", serde_json::to_string(&summary)?),
        (false, _) => {
            let share = 100.0 * cheap_ok as f64 / rows.max(1) as f64;
            report!("{rows} rows, {share:.1} % cheap_ok; {} skipped", summary.skipped);
        }
    }
    Ok(())
}

/// Rows of which none can be used are of another format.
fn check_any(imported: Imported, problems: &mut Problems) -> Result<(), BadInput> {
    let skipped = problems.total();
    if imported.rows > 0 || skipped == 0 {
        return Ok(());
    }
    report_problems(problems);
    let error = BadInput::new(format!("none of the {skipped} rows could be used"));
    Err(error.hint("--prompt, --cheap and --strong name the columns, --scale the best score"))
}

fn columns(args: &Args) -> Columns {
    let (cheap, strong) = (&args.cheap, &args.strong);
    let base = match args.format {
        Format::Routellm | Format::Csv => Columns::routellm(cheap, strong),
        Format::Routerbench => Columns::routerbench(cheap, strong),
    };
    Columns {
        id: args.id.clone().or(base.id),
        prompt: args.prompt.clone().unwrap_or(base.prompt),
        source: args.source.clone().or(base.source),
        scale: args.scale,
        ..base
    }
}

fn convert(
    args: &Args,
    problems: &mut Problems,
    output: &mut dyn Write,
) -> anyhow::Result<Imported> {
    let columns = columns(args);
    let inputs = if args.inputs.is_empty() { &[PathBuf::from("-")][..] } else { &args.inputs };
    let mut all = Imported::default();
    for path in inputs {
        let input = open(path).map_err(open_error(path))?;
        let imported = import(path, input, &columns, problems, output);
        let one = imported.map_err(|error| match error {
            ImportError::Output(_) => anyhow::Error::from(error),
            ImportError::BadLine(line) => bad_line(line).into(),
            error => BadInput::new(error).into(),
        })?;
        all.rows += one.rows;
        all.cheap_ok += one.cheap_ok;
    }
    output.flush().map_err(ImportError::Output)?;
    check_any(all, problems)?;
    Ok(all)
}
