//! Streaming reader of labelled rows: JSONL or gzipped JSONL, several files.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::line::ScoredModels;
use super::row::{Row, RowParser};
use super::split::Split;
use crate::files::{BadLine, Lines, Problems};
use pointsman_core::classifier::Objective;
use pointsman_core::features::Features;
use pointsman_core::hex;

/// How rows are read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The first bad line is an error; otherwise bad lines are counted and skipped.
    pub strict: bool,
    /// Labels compare these models, where rows hold the scores of several.
    pub models: Option<ScoredModels>,
    /// What the label of two recorded qualities answers.
    pub objective: Objective,
    /// SHA-256 of the files that a model was trained on. To such a model, rows of any other file
    /// that name no split are test rows; without a model, all of them are split by their question.
    pub trained_on: Option<Vec<String>>,
}

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("{file}: {error}")]
    Io { file: String, error: std::io::Error },
    /// The first bad line, when bad lines are not skipped.
    #[error(transparent)]
    BadLine(#[from] BadLine),
}

/// Where rows came from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FileDigest {
    /// The file's name without its folder.
    pub name: String,
    /// SHA-256 of the file's bytes as they are on disk, hex.
    pub sha256: String,
    pub train_rows: usize,
    pub val_rows: usize,
}

/// All rows of some files, in the files' order.
#[derive(Debug, Default)]
pub struct Dataset {
    pub rows: Vec<Row>,
    pub reading: Reading,
}

/// What was met while rows were read.
#[derive(Debug, Default)]
pub struct Reading {
    pub files: Vec<FileDigest>,
    /// Lines that were skipped.
    pub problems: Problems,
}

/// Reads the rows of some files, one at a time. `visit` gets every row with the features that it
/// was made from, and its line; `progress` the bytes of each line.
///
/// # Errors
///
/// Files that cannot be read, and bad lines where they are not skipped.
pub fn read_rows(
    paths: &[PathBuf],
    options: &ReadOptions,
    mut progress: impl FnMut(u64),
    mut visit: impl FnMut(Row, &Features, &[u8]),
) -> Result<Reading, DatasetError> {
    let mut parser = RowParser::of(options.models.clone(), options.objective);
    let mut reading = Reading { files: Vec::new(), problems: Problems::new(options.strict) };
    for path in paths {
        let io = |error| DatasetError::Io { file: path.display().to_string(), error };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (mut train_rows, mut val_rows) = (0, 0);
        let mut lines = Lines::open(path).map_err(io)?;
        let sha256 = digest(path).map_err(io)?;
        let held_out = options.trained_on.as_ref().is_some_and(|known| !known.contains(&sha256));
        let unsplit = if held_out { Some(Split::Test) } else { None };
        while let Some((number, line, bytes)) = lines.next_whole(&mut reading.problems)? {
            progress(bytes);
            match parser.parse(line, &format!("{name}:{number}"), unsplit) {
                Ok(row) => {
                    match row.split {
                        Split::Train => train_rows += 1,
                        Split::Val => val_rows += 1,
                        Split::Test => {}
                    }
                    visit(row, parser.features(), line);
                }
                Err(reject) => {
                    reading.problems.add(reject.problem(), path, number, reject.to_string())?;
                }
            }
        }
        reading.files.push(FileDigest { name, sha256, train_rows, val_rows });
    }
    Ok(reading)
}

impl Dataset {
    /// Reads all rows of some files: see [`read_rows`].
    ///
    /// # Errors
    ///
    /// As [`read_rows`].
    pub fn read(
        paths: &[PathBuf],
        options: &ReadOptions,
        progress: impl FnMut(u64),
    ) -> Result<Dataset, DatasetError> {
        let mut rows = Vec::new();
        let keep = |row, _: &Features, _: &[u8]| rows.push(row);
        let reading = read_rows(paths, options, progress, keep)?;
        Ok(Dataset { rows, reading })
    }

    /// Indices of the rows of a split.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len()).filter(|&i| self.rows[i].split == split).collect()
    }

    /// Validation rows whose group is among the train rows too: leakage, since a model has seen
    /// the question.
    pub fn leaked(&self) -> usize {
        let train: HashSet<u64> =
            self.rows.iter().filter(|r| r.split == Split::Train).map(|r| r.group_id).collect();
        self.rows.iter().filter(|r| r.split == Split::Val && train.contains(&r.group_id)).count()
    }
}

pub(super) fn digest(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        return Ok(String::new());
    }
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex::encode(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Problem;
    use std::io::Write;

    const GOOD: &str = r#"{"id":"a","prompt":"one","cheap_ok":1,"split":"train"}"#;
    const OTHER: &str = r#"{"id":"b","prompt":"two","cheap_ok":0,"split":"val"}"#;

    fn read(path: &Path, strict: bool) -> Result<Dataset, DatasetError> {
        let options = ReadOptions { strict, ..ReadOptions::default() };
        Dataset::read(&[path.to_owned()], &options, |_| ())
    }

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn gzip_is_recognised_by_content_and_members_are_joined() {
        let mut bytes = Vec::new();
        for line in [GOOD, OTHER] {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writeln!(gz, "{line}").unwrap();
            bytes.extend(gz.finish().unwrap());
        }
        let (_dir, path) = write("rows", &bytes);
        let data = read(&path, true).unwrap();
        assert_eq!(data.rows.len(), 2);
        assert_eq!((data.reading.files[0].train_rows, data.reading.files[0].val_rows), (1, 1));
    }

    #[test]
    fn bad_lines_are_counted_and_named() {
        let text = format!("{GOOD}\n\nnot json\n{OTHER}\n{GOOD}");
        let (_dir, path) = write("rows.jsonl", text.as_bytes());
        let mut data = read(&path, false).unwrap();
        let counts = [(Problem::BrokenLine, 1), (Problem::DuplicateId, 1)];
        assert_eq!((data.rows.len(), data.reading.problems.counts()), (2, &counts.into()));
        let named = data.reading.problems.take_named();
        assert!(named[0].contains("rows.jsonl:3: not a row"), "{named:?}");
        assert!(named[1].contains("rows.jsonl:5: duplicate ID `a`"), "{named:?}");
        let error = read(&path, true).unwrap_err().to_string();
        assert!(error.contains("rows.jsonl:3: not a row"), "{error}");
    }

    #[test]
    fn rows_without_a_split_are_test_rows_unless_the_model_was_trained_on_their_file() {
        let lines: String =
            (0..50).map(|n| format!("{{\"prompt\":\"question {n}\",\"cheap_ok\":1}}\n")).collect();
        let (_dir, path) = write("rows.jsonl", format!("{lines}{GOOD}").as_bytes());
        let count = |trained_on: Option<Vec<String>>, split| {
            let options = ReadOptions { trained_on, ..ReadOptions::default() };
            let data = Dataset::read(std::slice::from_ref(&path), &options, |_| ()).unwrap();
            data.indices(split).len()
        };
        let sha256 = digest(&path).unwrap();
        let other = || Some(vec!["0".repeat(64)]);
        assert_eq!((count(other(), Split::Test), count(other(), Split::Train)), (50, 1));
        for trained_on in [None, Some(vec![sha256])] {
            assert_eq!(count(trained_on.clone(), Split::Test), 0);
            assert!((1..25).contains(&count(trained_on, Split::Val)));
        }
    }

    #[test]
    fn validation_rows_that_repeat_a_train_question_are_leaked() {
        let copy = r#"{"prompt":"One!","cheap_ok":0,"split":"val"}"#;
        let (_dir, path) = write("rows.jsonl", format!("{GOOD}\n{OTHER}\n{copy}").as_bytes());
        let data = read(&path, true).unwrap();
        assert_eq!(data.leaked(), 1);
    }
}
