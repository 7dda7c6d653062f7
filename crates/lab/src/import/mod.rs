//! Public routing sets, in their own file formats, as dataset rows.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::files::{BadLine, Problem, Problems, TableReader, csv_problem, is_too_long};
use crate::label::row::{Label, Scores};

/// Why a file cannot be converted.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The head line cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    Csv { path: PathBuf, error: csv::Error },
    /// A column that is asked for is missing.
    #[error("{path}: no column `{column}`; the columns are: {present}", path = .path.display())]
    NoColumn { path: PathBuf, column: String, present: String },
    /// The first bad line, where bad lines are not skipped, or one that is too long.
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error("the rows cannot be written")]
    Output(#[from] io::Error),
}

/// Which columns hold what. Other columns are ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// Without one, rows are named after file and line.
    pub id: Option<String>,
    pub prompt: String,
    /// Scores of the cheap and the strong model's answers: 0..`scale`, or true and false.
    pub cheap: String,
    pub strong: String,
    /// The task that a row comes from.
    pub source: Option<String>,
    /// The best possible score.
    pub scale: f64,
}

impl Columns {
    /// RouteLLM's evaluation CSVs (`evals/mmlu/responses/*.csv`, `evals/gsm8k/gsm8k_responses.csv`):
    /// `prompt`, and one column per model with whether its answer was right.
    pub fn routellm(cheap: &str, strong: &str) -> Self {
        Columns {
            id: None,
            prompt: "prompt".into(),
            cheap: cheap.into(),
            strong: strong.into(),
            source: None,
            scale: 1.0,
        }
    }

    /// RouterBench (arXiv 2403.12031) as CSV: `sample_id`, `prompt`, `eval_name`, and one column
    /// per model with its score; `|model_response` and `|total_cost` columns are ignored.
    pub fn routerbench(cheap: &str, strong: &str) -> Self {
        Columns {
            id: Some("sample_id".into()),
            source: Some("eval_name".into()),
            ..Columns::routellm(cheap, strong)
        }
    }
}

/// What was converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub rows: u64,
    pub cheap_ok: u64,
}

#[derive(Serialize)]
struct ImportedRow<'a> {
    id: Cow<'a, str>,
    prompt: String,
    scores: Scores,
    label: Label<&'static str>,
    source: &'a str,
    /// The id is the row's own.
    #[serde(skip)]
    named: bool,
}

impl ImportedRow<'_> {
    fn name(&self) -> (String, String) {
        (self.source.to_owned(), self.id.clone().into_owned())
    }
}

/// Converts one table: CSV, or with semicolons, tabs or bars in the place of commas. The label says whether the cheap answer scored at least as high as the
/// strong one; the quality is the cheap answer's own score. Rows without a prompt or a score, and
/// of rows with the same name all but the first, are counted in `problems` and left out.
///
/// # Errors
///
/// The file is no table, a column is missing, a record is too long, or the output cannot be written;
/// the first bad row where problems are strict.
pub fn import(
    path: &Path,
    input: impl Read,
    columns: &Columns,
    problems: &mut Problems,
    output: &mut dyn Write,
) -> Result<Imported, ImportError> {
    let mut reader = TableReader::new(BufReader::new(input))
        .map_err(|error| ImportError::Csv { path: path.into(), error })?;
    let places = Places::find(path, &reader.names, columns)?;
    let scale = Scale { best: columns.scale, decimal_comma: !reader.has_commas() };
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let stem = stem.strip_suffix(".csv").unwrap_or(&stem).to_owned();
    let mut imported = Imported::default();
    let mut names = HashSet::new();
    let mut line = 1;
    let mut record = StringRecord::new();
    for number in 0.. {
        let begins = reader.line();
        match reader.read_text(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if is_too_long(&error) => {
                return Err(BadLine::too_long(path, begins).into());
            }
            Err(error) => {
                let ends = error.is_io_error();
                line = error.position().map_or(line + 1, csv::Position::line);
                let kind = if ends { Problem::UnreadableFile } else { Problem::BrokenLine };
                problems.add(kind, path, line as usize, csv_problem(&error))?;
                if ends {
                    break;
                }
                continue;
            }
        }
        line = record.position().map_or(line + 1, csv::Position::line);
        match places.row(&record, columns, scale, &stem, number) {
            Ok(row) if row.named && !names.insert(row.name()) => {
                let what = format!("duplicate ID `{}`", row.id);
                problems.add(Problem::DuplicateId, path, line as usize, what)?;
            }
            Ok(row) => {
                imported.rows += 1;
                imported.cheap_ok += u64::from(row.label.cheap_ok);
                serde_json::to_writer(&mut *output, &row).map_err(io::Error::from)?;
                output.write_all(b"\n")?;
            }
            Err((kind, what)) => problems.add(kind, path, line as usize, what)?,
        }
    }
    Ok(imported)
}

/// Positions of the columns in a file.
struct Places {
    id: Option<usize>,
    source: Option<usize>,
    prompt: usize,
    cheap: usize,
    strong: usize,
}

impl Places {
    fn find(path: &Path, headers: &StringRecord, columns: &Columns) -> Result<Places, ImportError> {
        let position = |column: &str| {
            headers.iter().position(|header| header == column).ok_or_else(|| {
                ImportError::NoColumn {
                    path: path.into(),
                    column: column.into(),
                    present: column_names(headers),
                }
            })
        };
        let optional = |column: &Option<String>| column.as_deref().map(position).transpose();
        Ok(Places {
            id: optional(&columns.id)?,
            source: optional(&columns.source)?,
            prompt: position(&columns.prompt)?,
            cheap: position(&columns.cheap)?,
            strong: position(&columns.strong)?,
        })
    }

    /// The row of a record, or what is wrong with it.
    fn row<'r>(
        &self,
        record: &'r StringRecord,
        columns: &Columns,
        scale: Scale,
        stem: &'r str,
        number: usize,
    ) -> Result<ImportedRow<'r>, (Problem, String)> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let score = |column: usize, name: &str| match scale.parse(cell(column)) {
            Ok(Some(score)) => Ok(score),
            Ok(None) => Err((Problem::MissingField, format!("column `{name}`: no score"))),
            Err(what) => Err((Problem::BadValue, format!("column `{name}`: {what}"))),
        };
        let cheap = score(self.cheap, &columns.cheap)?;
        let strong = score(self.strong, &columns.strong)?;
        let prompt = unwrap_list(cell(self.prompt));
        if prompt.trim().is_empty() {
            let what = format!("column `{}`: no prompt", columns.prompt);
            return Err((Problem::MissingField, what));
        }
        let own = self.id.map(cell).filter(|id| !id.is_empty());
        Ok(ImportedRow {
            id: own.map_or_else(|| format!("{stem}-{number}").into(), Cow::Borrowed),
            prompt,
            scores: Scores { cheap, strong },
            label: Label { cheap_ok: cheap >= strong, quality: cheap, evaluator: "imported" },
            source: self.source.map(cell).filter(|source| !source.is_empty()).unwrap_or(stem),
            named: own.is_some(),
        })
    }
}

/// The names of the columns, for a message. The first line of a file that is not CSV is a row, whose
/// text must not be shown: a name is short.
fn column_names(headers: &StringRecord) -> String {
    const SHOWN: usize = 16;
    const LONGEST: usize = 40;
    let names = headers.iter().take(SHOWN).map(|name| {
        let is_name = name.chars().count() <= LONGEST && !name.contains(['{', '"', '\n']);
        if is_name { name } else { "…" }
    });
    let more = if headers.len() > SHOWN { ", …" } else { "" };
    names.collect::<Vec<_>>().join(", ") + more
}

/// How scores are written.
#[derive(Clone, Copy)]
struct Scale {
    /// The best possible score.
    best: f64,
    /// "0,75": a comma separates nothing else.
    decimal_comma: bool,
}

impl Scale {
    /// A score in 0..1; `None` for an empty cell.
    fn parse(self, cell: &str) -> Result<Option<f64>, String> {
        let number = |text: &str| match text.split_once(',') {
            Some((whole, decimals)) if self.decimal_comma && !text.contains('.') => {
                format!("{whole}.{decimals}").parse::<f64>()
            }
            _ => text.parse(),
        };
        match cell.trim() {
            "" | "nan" | "NaN" | "None" | "null" => Ok(None),
            "True" | "true" | "TRUE" => Ok(Some(1.0)),
            "False" | "false" | "FALSE" => Ok(Some(0.0)),
            text => match number(text) {
                Ok(score) if (0.0..=self.best).contains(&score) => Ok(Some(score / self.best)),
                Ok(score) => Err(format!("{score} is not in 0..{} (--scale)", self.best)),
                Err(_) => Err(format!("`{text}` is neither a number nor a boolean")),
            },
        }
    }
}

/// RouterBench writes prompts as the text of a Python list of strings: `['first', 'second']`.
fn unwrap_list(cell: &str) -> String {
    let trimmed = cell.trim();
    let listed = trimmed.starts_with("['") && trimmed.ends_with("']")
        || trimmed.starts_with("[\"") && trimmed.ends_with("\"]");
    if !listed {
        return cell.to_owned();
    }
    if let Ok(Value::Array(items)) = serde_json::from_str(trimmed) {
        let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        return texts.join("\n");
    }
    python_strings(trimmed).map_or_else(|| cell.to_owned(), |texts| texts.join("\n"))
}

/// The strings of a Python list literal; `None` when it holds anything else.
fn python_strings(list: &str) -> Option<Vec<String>> {
    let mut chars = list.strip_prefix('[')?.strip_suffix(']')?.chars();
    let mut texts = Vec::new();
    while let Some(quote) = chars.find(|c| !c.is_whitespace() && *c != ',') {
        if quote != '\'' && quote != '"' {
            return None;
        }
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    digits @ ('x' | 'u' | 'U') => {
                        let length = match digits {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let code: String = chars.by_ref().take(length).collect();
                        text.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                    }
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
        texts.push(text);
    }
    Some(texts)
}
