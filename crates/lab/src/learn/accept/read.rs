//! Reader of rows with answers: JSONL or gzipped JSONL, several files.

use std::collections::HashSet;
use std::path::PathBuf;

use super::super::dataset::{DatasetError, FileDigest, digest};
use super::super::reject::Reject;
use super::super::split::Split;
use super::line::AnswerRow;
use crate::files::{Lines, Problems};

/// What rows are read for.
#[derive(Clone, Debug, Default)]
pub struct AnswerReading {
    /// The first bad line is an error; otherwise bad lines are counted and skipped.
    pub strict: bool,
    /// SHA-256 of the files that a model was trained on: see
    /// [`super::super::ReadOptions::trained_on`].
    pub trained_on: Option<Vec<String>>,
}

/// All rows of some files, in the files' order.
#[derive(Debug, Default)]
pub struct AnswerData {
    pub rows: Vec<AnswerRow>,
    pub files: Vec<FileDigest>,
    /// Lines that were skipped.
    pub problems: Problems,
}

impl AnswerData {
    /// Indices of the rows of a split.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len()).filter(|&i| self.rows[i].split == split).collect()
    }
}

/// Reads the rows of some files; `router` scores a prompt, `progress` gets the bytes of each line. Of
/// rows with the same ID, source and model the first counts.
///
/// # Errors
///
/// Files that cannot be read, and bad lines where they are not skipped.
pub fn read_answers(
    paths: &[PathBuf],
    reading: &AnswerReading,
    mut router: impl FnMut(&str) -> f32,
    mut progress: impl FnMut(u64),
) -> Result<AnswerData, DatasetError> {
    let mut data = AnswerData { problems: Problems::new(reading.strict), ..AnswerData::default() };
    let mut seen = HashSet::new();
    for path in paths {
        let io = |error| DatasetError::Io { file: path.display().to_string(), error };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (mut train_rows, mut val_rows) = (0, 0);
        let mut lines = Lines::open(path).map_err(io)?;
        let sha256 = digest(path).map_err(io)?;
        let held_out = reading.trained_on.as_ref().is_some_and(|known| !known.contains(&sha256));
        let unsplit = held_out.then_some(Split::Test);
        while let Some((number, line, bytes)) = lines.next_whole(&mut data.problems)? {
            progress(bytes);
            let parsed = AnswerRow::parse(line, &format!("{name}:{number}"), unsplit, &mut router);
            let row = parsed.and_then(|row| {
                let key = (row.id.clone(), row.source.clone(), row.cheap_model.clone());
                if seen.insert(key) { Ok(row) } else { Err(Reject::DuplicateId(row.id)) }
            });
            match row {
                Ok(row) => {
                    train_rows += usize::from(row.split == Split::Train);
                    val_rows += usize::from(row.split == Split::Val);
                    data.rows.push(row);
                }
                Err(reject) => {
                    data.problems.add(reject.problem(), path, number, reject.to_string())?;
                }
            }
        }
        data.files.push(FileDigest { name, sha256, train_rows, val_rows });
    }
    Ok(data)
}
