//! `pointsman features`: prompts to feature vectors, line by line.

use std::io::Write;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::{BadInput, bytes_bar, report_bad_lines};
use crate::features::{ENGINEERED, Features, SCHEMA};
use crate::learn::{BadLine, Lines, RowParser};

/// Print the features of prompts
///
/// Reads rows with `prompt` or `request` (labels are not needed) and prints one line a row, in the
/// same order.
#[derive(clap::Args)]
pub(super) struct Args {
    /// JSONL or gzipped JSONL; standard input when none is given
    files: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Add the hashed n-grams, as [bucket, value] pairs (JSONL only)
    #[arg(long)]
    hashed: bool,
    /// Stop at the first line that is no row, instead of skipping it
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.hashed && args.format == Format::Csv {
        return Err(BadInput::new("--hashed needs --format jsonl").into());
    }
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files.clone() };
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    if args.format == Format::Csv {
        let names: Vec<&str> = SCHEMA.iter().map(|feature| feature.name).collect();
        writeln!(out, "id,{}", names.join(","))?;
    }
    let bar = bytes_bar(&files);
    let mut parser = RowParser::default();
    let mut bad = Vec::new();
    for file in &files {
        let open = |error| BadInput::new(format!("{}: {error}", file.display()));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut lines = Lines::open(file).map_err(open)?;
        while let Some((number, line, bytes)) = lines.next_line().map_err(open)? {
            bar.inc(bytes);
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parser.prompt(line, &format!("{name}:{number}")) {
                Ok(id) => write_row(&mut out, args, &id, parser.features())?,
                Err(reject) => {
                    let line = BadLine { file: file.clone(), line: number, reject };
                    if args.strict {
                        return Err(BadInput::new(line).into());
                    }
                    bad.push(line);
                }
            }
        }
    }
    out.flush()?;
    bar.finish_and_clear();
    report_bad_lines(&bad);
    Ok(())
}

fn write_row(
    out: &mut impl Write,
    args: &Args,
    id: &str,
    features: &Features,
) -> std::io::Result<()> {
    match args.format {
        Format::Csv => {
            write!(out, "{}", csv_field(id))?;
            for value in features.engineered() {
                write!(out, ",{value}")?;
            }
            writeln!(out)
        }
        Format::Jsonl => {
            let hashed = args.hashed.then(|| {
                let buckets = features.as_slice().iter().skip(ENGINEERED).copied().enumerate();
                buckets.filter(|(_, value)| *value != 0.0).collect()
            });
            let row = Line { id, features: Named(features.engineered()), hashed };
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")
        }
    }
}

/// One line of output, serialised as it is: a tree in between would cost more than the features.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    features: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed: Option<Vec<(usize, f32)>>,
}

/// Engineered features under their names.
struct Named<'a>(&'a [f32]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(SCHEMA.iter().map(|spec| spec.name).zip(self.0))
    }
}

/// Quoted where the value would break the line's columns (RFC 4180).
fn csv_field(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
