//! Reading log files: lines of JSONL, plain or gzip, with the damage counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::error::LabelError;

/// The longest line that is read, in bytes: one chat request with images fits, a file without line
/// feeds does not fill the memory.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;
/// Problems named one by one on stderr; the rest is only counted.
const MAX_NAMED: u64 = 20;

/// What can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Not UTF-8, not JSON, not an object, too long.
    BrokenLine,
    /// No request, no messages, no response.
    MissingField,
    /// The strong answer is empty.
    EmptyResponse,
    /// An id that an earlier row had.
    DuplicateId,
    /// The file ends in the middle of its compressed stream, or is encoded in an unknown way.
    UnreadableFile,
    /// No evaluator can compare with this strong answer.
    Unscorable,
    /// The endpoint gave no usable answer, after all retries.
    CallFailed,
}

/// Counts problems and names the first of them.
#[derive(Debug, Default)]
pub struct Problems {
    strict: bool,
    counts: BTreeMap<Problem, u64>,
    named: Vec<String>,
}

impl Problems {
    /// With `strict`, the first problem ends the run.
    pub fn new(strict: bool) -> Self {
        Problems { strict, ..Problems::default() }
    }

    /// Counts a problem.
    ///
    /// # Errors
    /// Under `strict`.
    pub fn add(
        &mut self,
        kind: Problem,
        path: &Path,
        line: u64,
        what: impl Into<String>,
    ) -> Result<(), LabelError> {
        let what = what.into();
        // An open question without a judge is no damage.
        if self.strict && kind != Problem::Unscorable {
            return Err(LabelError::BadRecord { path: path.into(), line, what });
        }
        *self.counts.entry(kind).or_default() += 1;
        if self.total() <= MAX_NAMED {
            self.named.push(format!("{}:{line}: {what}", path.display()));
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

    fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// The lines of one file.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
    done: bool,
}

impl Lines {
    /// Opens a file; `-` is standard input. Gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// The file cannot be read, or is in an encoding that is not supported.
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        let source: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(LabelError::io(path))?)
        };
        let mut reader = BufReader::with_capacity(1 << 16, source);
        let start = reader.fill_buf().map_err(LabelError::io(path))?;
        let unsupported = |what: &str| {
            Err(LabelError::BadInput(format!(
                "{}: {what} is not supported; give JSONL in UTF-8, plain or gzip",
                path.display()
            )))
        };
        let reader: Box<dyn BufRead + Send> = match start {
            [0x1f, 0x8b, ..] => {
                Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return unsupported("zstd"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return unsupported("UTF-16"),
            [b'P', b'A', b'R', b'1', ..] => return unsupported("Parquet"),
            _ => Box::new(reader),
        };
        Ok(Lines { path: path.into(), reader, line: 0, buffer: Vec::new(), done: false })
    }

    /// The next line that is not blank, with its number from 1; `None` at the end.
    ///
    /// # Errors
    /// Only under `--strict`: damage is otherwise counted in `problems` and ends the file.
    pub fn next(&mut self, problems: &mut Problems) -> Result<Option<(u64, &[u8])>, LabelError> {
        while !self.done {
            self.buffer.clear();
            self.line += 1;
            let read = (&mut self.reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut self.buffer)
                .and_then(|read| {
                    let cut = read as u64 == MAX_LINE_BYTES && self.buffer.last() != Some(&b'\n');
                    if cut {
                        self.reader.skip_until(b'\n').map(|_| (read, cut))
                    } else {
                        Ok((read, cut))
                    }
                });
            match read {
                Ok((0, _)) => self.done = true,
                Ok((_, true)) => problems.add(
                    Problem::BrokenLine,
                    &self.path,
                    self.line,
                    format!("longer than {MAX_LINE_BYTES} bytes"),
                )?,
                Ok(_) => {
                    let byte_order_mark: &[u8] = if self.line == 1 { b"\xef\xbb\xbf" } else { b"" };
                    let start = if !byte_order_mark.is_empty()
                        && self.buffer.starts_with(byte_order_mark)
                    {
                        byte_order_mark.len()
                    } else {
                        0
                    };
                    if !self.buffer[start..].trim_ascii().is_empty() {
                        return Ok(Some((self.line, self.buffer[start..].trim_ascii())));
                    }
                }
                Err(error) => {
                    self.done = true;
                    let what = format!("the rest of the file cannot be read: {error}");
                    problems.add(Problem::UnreadableFile, &self.path, self.line, what)?;
                }
            }
        }
        Ok(None)
    }
}
