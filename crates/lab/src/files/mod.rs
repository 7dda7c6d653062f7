//! Files that people give and get: lines, what was wrong with them, and whole files in their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

mod format;
mod lines;
mod open;
mod records;
mod table;
mod whole;

pub use format::hint;
pub use lines::{Lines, NumberedLine};
pub use open::open;
pub use records::Records;
pub(crate) use table::{TableReader, csv_problem, is_too_long};
pub(crate) use whole::PRIVATE;
pub use whole::{WholeFile, check_writable, replace, replace_all, replace_private, with_extension};

/// The longest record that is read, in bytes: one chat request with images fits, a file without line
/// feeds does not fill the memory.
const MAX_RECORD_BYTES: u64 = 64 * 1024 * 1024;
const TOO_LONG: &str = "longer than 64 MiB";
const _: () = assert!(MAX_RECORD_BYTES == 64 << 20, "what the message says");

/// Problems named one by one; the rest is only counted.
const MAX_NAMED: u64 = 20;

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Not UTF-8, not JSON, not an object.
    BrokenLine,
    /// No request, no messages, no response; no label, no score.
    MissingField,
    /// A field is present but invalid: a score of 7, a body that is not a request.
    BadValue,
    /// The strong answer is empty.
    EmptyResponse,
    /// An ID that an earlier row had.
    DuplicateId,
    /// The file ends in the middle of its compressed stream.
    UnreadableFile,
    /// No evaluator can compare with this strong answer.
    Unscorable,
    /// The request cannot be asked as a chat completion.
    NotReplayable,
    /// The endpoint gave no usable answer, after all retries.
    CallFailed,
}

impl Problem {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Problem::BrokenLine => "broken_line",
            Problem::MissingField => "missing_field",
            Problem::BadValue => "bad_value",
            Problem::EmptyResponse => "empty_response",
            Problem::DuplicateId => "duplicate_id",
            Problem::UnreadableFile => "unreadable_file",
            Problem::Unscorable => "unscorable",
            Problem::NotReplayable => "not_replayable",
            Problem::CallFailed => "call_failed",
        }
    }
}

/// A line that ends the reading: the first bad one where bad lines are not skipped, or one that is too
/// long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {what}", path = .path.display())]
pub struct BadLine {
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl BadLine {
    /// A record that is longer than what is read. What follows it may be a part of it, so it is not
    /// passed over.
    pub(crate) fn too_long(path: &Path, line: usize) -> Self {
        let hint = "leave it out; in a table, a quotation mark that is never closed takes in all that follows";
        BadLine { path: path.into(), line, what: TOO_LONG.into(), hint }
    }
}

/// Counts problems and names the first of them.
#[derive(Debug, Default)]
pub struct Problems {
    strict: bool,
    counts: BTreeMap<Problem, u64>,
    named: Vec<String>,
}

impl Problems {
    /// With `strict`, the first problem is an error.
    pub fn new(strict: bool) -> Self {
        Problems { strict, ..Problems::default() }
    }

    /// Counts a problem.
    ///
    /// # Errors
    ///
    /// Under `strict`.
    pub fn add(
        &mut self,
        kind: Problem,
        path: &Path,
        line: usize,
        what: impl Into<String>,
    ) -> Result<(), BadLine> {
        let hint = "without --strict, bad records are reported, counted and skipped";
        let bad = BadLine { path: path.into(), line, what: what.into(), hint };
        // An open question without a judge, or a call of another API, is not damage.
        if self.strict && !matches!(kind, Problem::Unscorable | Problem::NotReplayable) {
            return Err(bad);
        }
        *self.counts.entry(kind).or_default() += 1;
        if self.total() <= MAX_NAMED {
            self.named.push(bad.to_string());
        }
        Ok(())
    }

    /// The sentences of problems not yet shown.
    pub fn take_named(&mut self) -> Vec<String> {
        std::mem::take(&mut self.named)
    }

    /// How often each happened.
    pub fn counts(&self) -> &BTreeMap<Problem, u64> {
        &self.counts
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_name_that_it_is_serialised_by() {
        for problem in [Problem::BrokenLine, Problem::BadValue, Problem::CallFailed] {
            assert_eq!(serde_json::json!(problem), problem.name());
        }
    }
}
