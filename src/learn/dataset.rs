//! Streaming reader of labelled rows: JSONL or gzipped JSONL, several files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::row::{Reject, Row, RowParser, ScoredModels, Split};
use crate::features::Features;

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq)]
pub struct BadLine {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    pub reject: Reject,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.reject)
    }
}

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("{file}: {error}")]
    Io { file: String, error: std::io::Error },
    /// The first bad line, when bad lines are not skipped.
    #[error("{0}")]
    BadLine(BadLine),
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
    pub bad: Vec<BadLine>,
    /// Rows whose `id` and `source` were seen before; they are kept.
    pub duplicate_ids: usize,
}

/// Reads the rows of some files, one at a time. `visit` gets every row with the features that it
/// was made from, and its line.
///
/// `strict` turns the first bad line into an error; otherwise bad lines are skipped. `progress` is
/// called with the bytes of each line.
///
/// # Errors
///
/// Files that cannot be read, and with `strict` bad lines.
pub fn read_rows(
    paths: &[PathBuf],
    strict: bool,
    progress: impl FnMut(u64),
    visit: impl FnMut(Row, &Features, &[u8]),
) -> Result<Reading, DatasetError> {
    read_compared_rows(paths, strict, None, progress, visit)
}

/// As [`read_rows`], labelled by comparing two named models where rows hold the scores of several.
///
/// # Errors
///
/// As [`read_rows`].
pub fn read_compared_rows(
    paths: &[PathBuf],
    strict: bool,
    models: Option<ScoredModels>,
    mut progress: impl FnMut(u64),
    mut visit: impl FnMut(Row, &Features, &[u8]),
) -> Result<Reading, DatasetError> {
    let mut parser = RowParser::of(models);
    let mut reading = Reading::default();
    let mut seen = HashSet::new();
    for path in paths {
        let io = |error| DatasetError::Io { file: path.display().to_string(), error };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (mut train_rows, mut val_rows) = (0, 0);
        let mut lines = Lines::open(path).map_err(io)?;
        while let Some((number, line, bytes)) = lines.next_line().map_err(io)? {
            progress(bytes);
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parser.parse(line, &format!("{name}:{number}")) {
                Ok(row) => {
                    if !seen.insert((row.source.clone(), row.id.clone())) {
                        reading.duplicate_ids += 1;
                    }
                    match row.split {
                        Split::Train => train_rows += 1,
                        Split::Val => val_rows += 1,
                        Split::Test => {}
                    }
                    visit(row, parser.features(), line);
                }
                Err(reject) => {
                    let bad = BadLine { file: path.clone(), line: number, reject };
                    if strict {
                        return Err(DatasetError::BadLine(bad));
                    }
                    reading.bad.push(bad);
                }
            }
        }
        let sha256 = digest(path).map_err(io)?;
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
        strict: bool,
        progress: impl FnMut(u64),
    ) -> Result<Dataset, DatasetError> {
        Self::read_compared(paths, strict, None, progress)
    }

    /// As [`Dataset::read`], of [`read_compared_rows`].
    ///
    /// # Errors
    ///
    /// As [`read_rows`].
    pub fn read_compared(
        paths: &[PathBuf],
        strict: bool,
        models: Option<ScoredModels>,
        progress: impl FnMut(u64),
    ) -> Result<Dataset, DatasetError> {
        let mut rows = Vec::new();
        let keep = |row, _: &Features, _: &[u8]| rows.push(row);
        let reading = read_compared_rows(paths, strict, models, progress, keep)?;
        Ok(Dataset { rows, reading })
    }

    /// Indices of the rows of a split.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len()).filter(|&i| self.rows[i].split == split).collect()
    }

    /// Validation rows whose stem is among the train rows too: leakage, since a model has seen
    /// the question.
    pub fn leaked(&self) -> usize {
        let train: HashSet<u64> =
            self.rows.iter().filter(|r| r.split == Split::Train).map(|r| r.stem).collect();
        self.rows.iter().filter(|r| r.split == Split::Val && train.contains(&r.stem)).count()
    }
}

/// Lines of a file, plain or gzipped (told by its first bytes), in one reused buffer.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    number: usize,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> std::io::Result<Lines> {
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut raw = BufReader::with_capacity(1 << 16, source);
        let reader: Box<dyn BufRead> = if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Lines { reader, buffer: Vec::new(), number: 0 })
    }

    /// The next line with its number (from 1) and its size in bytes, `None` at the end.
    pub(crate) fn next_line(&mut self) -> std::io::Result<Option<(usize, &[u8], u64)>> {
        self.buffer.clear();
        let read = self.reader.read_until(b'\n', &mut self.buffer)?;
        self.number += 1;
        Ok((read > 0).then_some((self.number, self.buffer.as_slice(), read as u64)))
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        return Ok(String::new());
    }
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const GOOD: &str = r#"{"id":"a","prompt":"one","cheap_ok":1,"split":"train"}"#;
    const OTHER: &str = r#"{"id":"a","prompt":"two","cheap_ok":0,"split":"val"}"#;

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn gzip_is_told_by_content_and_members_are_joined() {
        let mut bytes = Vec::new();
        for line in [GOOD, OTHER] {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writeln!(gz, "{line}").unwrap();
            bytes.extend(gz.finish().unwrap());
        }
        let (_dir, path) = write("rows", &bytes);
        let data = Dataset::read(&[path], true, |_| ()).unwrap();
        assert_eq!(data.rows.len(), 2);
        assert_eq!(data.reading.duplicate_ids, 1);
        assert_eq!((data.reading.files[0].train_rows, data.reading.files[0].val_rows), (1, 1));
    }

    #[test]
    fn bad_lines_are_counted_and_named() {
        let (_dir, path) = write("rows.jsonl", format!("{GOOD}\n\nnot json\n{OTHER}").as_bytes());
        let data = Dataset::read(std::slice::from_ref(&path), false, |_| ()).unwrap();
        assert_eq!((data.rows.len(), data.reading.bad.len(), data.reading.bad[0].line), (2, 1, 3));
        let error = Dataset::read(&[path], true, |_| ()).unwrap_err().to_string();
        assert!(error.contains("rows.jsonl:3: not a row"), "{error}");
    }

    #[test]
    fn validation_rows_that_repeat_a_train_question_are_leaked() {
        let copy = r#"{"prompt":"One!","cheap_ok":0,"split":"val"}"#;
        let (_dir, path) = write("rows.jsonl", format!("{GOOD}\n{OTHER}\n{copy}").as_bytes());
        let data = Dataset::read(&[path], true, |_| ()).unwrap();
        assert_eq!(data.leaked(), 1);
    }
}
