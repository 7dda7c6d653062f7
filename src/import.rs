//! Public routing sets, in their own file formats, as dataset rows.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::label::row::{Label, Scores};

/// Why a file cannot be converted.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("{path}: {source}", path = .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: {source}", path = .path.display())]
    Csv {
        path: PathBuf,
        #[source]
        source: csv::Error,
    },
    /// A column that is asked for is not there.
    #[error("{path}: no column `{column}`; there are: {present}", path = .path.display())]
    NoColumn { path: PathBuf, column: String, present: String },
    /// A cell that is no score.
    #[error("{path}:{line}: column `{column}`: {what}", path = .path.display())]
    BadCell { path: PathBuf, line: u64, column: String, what: String },
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
    /// `prompt`, and a column a model with whether its answer was right.
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

    /// RouterBench (arXiv 2403.12031) as CSV: `sample_id`, `prompt`, `eval_name`, and a column a
    /// model with its score; `|model_response` and `|total_cost` columns are ignored.
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
    /// Rows without a prompt or without one of the scores.
    pub skipped: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    prompt: &'a str,
    scores: Scores,
    label: Label<&'static str>,
    source: &'a str,
}

/// Converts one CSV file. The label says whether the cheap answer scored at least as high as the
/// strong one; the quality is the cheap answer's own score.
///
/// # Errors
/// The file is no CSV, a column is missing, or a cell is no score.
pub fn import(
    path: &Path,
    input: impl Read,
    columns: &Columns,
    output: &mut dyn Write,
) -> Result<Imported, ImportError> {
    let csv_error = |source| ImportError::Csv { path: path.into(), source };
    let mut reader = csv::Reader::from_reader(input);
    let headers = reader.headers().map_err(csv_error)?.clone();
    let position = |column: &str| {
        let bare = |header: &str| header.trim_start_matches('\u{feff}') == column;
        headers.iter().position(bare).ok_or_else(|| ImportError::NoColumn {
            path: path.into(),
            column: column.into(),
            present: headers.iter().collect::<Vec<_>>().join(", "),
        })
    };
    let optional = |column: &Option<String>| column.as_deref().map(position).transpose();
    let (id, source) = (optional(&columns.id)?, optional(&columns.source)?);
    let (prompt, cheap, strong) =
        (position(&columns.prompt)?, position(&columns.cheap)?, position(&columns.strong)?);
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let stem = stem.strip_suffix(".csv").unwrap_or(&stem).to_owned();
    let mut imported = Imported::default();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(csv_error)?;
        let line = record.position().map_or(number as u64 + 2, |position| position.line());
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let score = |column: usize, name: &str| {
            parse_score(cell(column), columns.scale).map_err(|what| ImportError::BadCell {
                path: path.into(),
                line,
                column: name.into(),
                what,
            })
        };
        let (Some(cheap), Some(strong)) =
            (score(cheap, &columns.cheap)?, score(strong, &columns.strong)?)
        else {
            imported.skipped += 1;
            continue;
        };
        let text = unwrap_list(cell(prompt));
        if text.trim().is_empty() {
            imported.skipped += 1;
            continue;
        }
        let own = id.map(cell).filter(|id| !id.is_empty()).map(str::to_owned);
        let row = Row {
            id: &own.unwrap_or_else(|| format!("{stem}-{number}")),
            prompt: &text,
            scores: Scores { cheap, strong },
            label: Label { cheap_ok: cheap >= strong, quality: cheap, evaluator: "imported" },
            source: source.map(cell).filter(|source| !source.is_empty()).unwrap_or(&stem),
        };
        imported.rows += 1;
        imported.cheap_ok += u64::from(row.label.cheap_ok);
        let mut line = serde_json::to_vec(&row).unwrap_or_default();
        line.push(b'\n');
        output
            .write_all(&line)
            .map_err(|source| ImportError::Io { path: "<output>".into(), source })?;
    }
    Ok(imported)
}

/// A score in 0..1; `None` for an empty cell.
fn parse_score(cell: &str, scale: f64) -> Result<Option<f64>, String> {
    match cell.trim() {
        "" | "nan" | "NaN" | "None" | "null" => Ok(None),
        "True" | "true" | "TRUE" => Ok(Some(1.0)),
        "False" | "false" | "FALSE" => Ok(Some(0.0)),
        text => match text.parse::<f64>() {
            Ok(score) if (0.0..=scale).contains(&score) => Ok(Some(score / scale)),
            Ok(score) => Err(format!("{score} is not in 0..{scale} (--scale)")),
            Err(_) => Err(format!("`{text}` is neither a number nor true or false")),
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(csv: &str, columns: &Columns) -> Result<(Vec<Value>, Imported), ImportError> {
        let mut output = Vec::new();
        let imported = import(Path::new("set.csv"), csv.as_bytes(), columns, &mut output)?;
        let rows = serde_json::Deserializer::from_slice(&output).into_iter();
        Ok((rows.collect::<Result<_, _>>().unwrap_or_default(), imported))
    }

    #[test]
    fn a_routellm_evaluation_becomes_rows() {
        let csv = "prompt,weak/model,strong-model,weak/model_response\n\"Is it?\nA. 1\",True,False,\"x, y\"\nWhy?,False,True,z\n";
        let (rows, imported) =
            convert(csv, &Columns::routellm("weak/model", "strong-model")).expect("converted");
        assert_eq!(imported, Imported { rows: 2, cheap_ok: 1, skipped: 0 });
        assert_eq!(
            rows[0],
            serde_json::json!({"id": "set-0", "prompt": "Is it?\nA. 1", "source": "set",
                "scores": {"cheap": 1.0, "strong": 0.0},
                "label": {"cheap_ok": true, "quality": 1.0, "evaluator": "imported"}})
        );
        assert_eq!(rows[1]["label"]["cheap_ok"], false);
    }

    #[test]
    fn a_wide_routerbench_table_becomes_rows_of_two_models() {
        let csv = "sample_id,prompt,eval_name,m1,m2,m3,m1|model_response\nmmlu.1,\"['It\\'s A\\nor B?']\",mmlu,0.25,1.0,0,A\nmmlu.2,\"[\"\"two\"\", \"\"parts\"\"]\",mmlu,,1.0,0,A\narc.1,plain,arc,0.5,0.5,1,B\n";
        let (rows, imported) = convert(csv, &Columns::routerbench("m1", "m2")).expect("converted");
        assert_eq!(imported, Imported { rows: 2, cheap_ok: 1, skipped: 1 });
        assert_eq!(rows[0]["prompt"], "It's A\nor B?");
        assert_eq!(rows[0]["id"], "mmlu.1");
        assert_eq!(rows[1]["source"], "arc");
    }

    #[test]
    fn scores_of_another_scale_are_divided() {
        let columns = Columns { scale: 10.0, ..Columns::routellm("c", "s") };
        let (rows, _) = convert("prompt,c,s\nhi,7,9.5\n", &columns).expect("converted");
        assert_eq!(rows[0]["scores"], serde_json::json!({"cheap": 0.7, "strong": 0.95}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let columns = Columns::routellm("c", "s");
        let message = |csv: &str| convert(csv, &columns).expect_err("refused").to_string();
        assert_eq!(message("prompt,c\nhi,1\n"), "set.csv: no column `s`; there are: prompt, c");
        assert!(message("prompt,c,s\nhi,1,yes\n").starts_with("set.csv:2: column `s`: `yes`"));
        assert!(message("prompt,c,s\nhi,7,1\n").contains("not in 0..1"));
    }
}
