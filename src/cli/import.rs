//! `pointsman import`: public routing sets as dataset rows.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;

use super::BadInput;
use crate::import::{Columns, ImportError, Imported, import};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// RouteLLM's evaluation CSVs: `prompt` and a column a model, true or false
    Routellm,
    /// RouterBench as CSV: `sample_id`, `prompt`, `eval_name` and a column a model
    Routerbench,
    /// Any CSV; the columns are named by the options
    Csv,
}

/// Convert public routing sets to labelled rows
///
/// The label is 1 where the cheap model's answer scored at least as high as the strong one's.
#[derive(clap::Args)]
pub(super) struct Args {
    /// CSV files, also gzip
    #[arg(required = true, value_name = "CSV")]
    inputs: Vec<PathBuf>,
    /// The files' format
    #[arg(long, value_enum)]
    format: Format,
    /// The column with the cheap model's scores
    #[arg(long, value_name = "COLUMN")]
    cheap: String,
    /// The column with the strong model's scores
    #[arg(long, value_name = "COLUMN")]
    strong: String,
    /// The column with the prompt
    #[arg(long, value_name = "COLUMN")]
    prompt: Option<String>,
    /// The column with the row's name
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// The column with the task that a row comes from
    #[arg(long, value_name = "COLUMN")]
    source: Option<String>,
    /// The best possible score
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where to write; standard output without it
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Print the counts as JSON on standard error
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let imported = execute(args).map_err(|error| match error {
        ImportError::Io { .. } => anyhow::Error::from(error),
        error => BadInput::new(error).into(),
    })?;
    if args.json {
        eprintln!("{}", serde_json::to_string(&imported)?);
        return Ok(());
    }
    let Imported { rows, cheap_ok, skipped } = imported;
    let share = 100.0 * cheap_ok as f64 / rows.max(1) as f64;
    eprintln!("{rows} rows, {share:.1} % cheap_ok; {skipped} skipped without prompt or score");
    Ok(())
}

fn execute(args: &Args) -> Result<Imported, ImportError> {
    let (cheap, strong) = (&args.cheap, &args.strong);
    let base = match args.format {
        Format::Routellm | Format::Csv => Columns::routellm(cheap, strong),
        Format::Routerbench => Columns::routerbench(cheap, strong),
    };
    let columns = Columns {
        id: args.id.clone().or(base.id),
        prompt: args.prompt.clone().unwrap_or(base.prompt),
        source: args.source.clone().or(base.source),
        scale: args.scale,
        ..base
    };
    let Some(out) = &args.out else {
        return convert(args, &columns, &mut BufWriter::new(io::stdout().lock()));
    };
    // Complete or not there at all.
    let mut temporary = out.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let io_error = |source| ImportError::Io { path: out.clone(), source };
    let mut file = BufWriter::new(File::create(&temporary).map_err(io_error)?);
    let imported = convert(args, &columns, &mut file)?;
    file.into_inner()
        .map_err(|error| error.into_error())
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&temporary, out))
        .map_err(io_error)?;
    Ok(imported)
}

fn convert(
    args: &Args,
    columns: &Columns,
    output: &mut dyn Write,
) -> Result<Imported, ImportError> {
    let mut all = Imported::default();
    for path in &args.inputs {
        let one = import(path, open(path)?, columns, output)?;
        all.rows += one.rows;
        all.cheap_ok += one.cheap_ok;
        all.skipped += one.skipped;
    }
    output.flush().map_err(|source| ImportError::Io { path: "<output>".into(), source })?;
    Ok(all)
}

fn open(path: &Path) -> Result<Box<dyn Read>, ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Io { path: path.into(), source })?;
    let gzip = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}
