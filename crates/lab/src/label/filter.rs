//! Scoring of recorded pairs as a line filter: nothing is sampled, no model is called, one row
//! comes out for one that goes in, so that partitions of a log give the same rows as the whole.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::answer::ModelAnswer;
use super::capture::{self, Evidence};
use super::error::LabelError;
use super::evaluators::sandbox::Sandbox;
use super::evaluators::{Choice, Evaluator};
use super::record::{Answers, BatchAnswers, Record};
use super::sample::rank;
use super::score::{Tally, line, score_pair};
use super::source::Layout;
use crate::files::{Problem, Problems, Records};

/// Rows scored between two writes, for each thread.
const ROWS_PER_THREAD: usize = 64;

/// Bytes of such rows, at most, but for one row.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// What to filter, and how.
#[derive(Clone, Debug)]
pub struct FilterOptions {
    /// Files; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    pub layout: Layout,
    pub evaluator: Choice,
    /// Quality from which the cheap answer is good enough.
    pub threshold: f64,
    pub strict: bool,
    /// Run programs of models also where they cannot be isolated.
    pub unsandboxed: bool,
}

/// Reads pairs, writes labelled rows in the same order.
///
/// # Errors
/// A file cannot be read, the output cannot be written, or `--strict` met a bad record.
pub fn run(
    options: &FilterOptions,
    output: &mut dyn Write,
    say: &dyn Fn(&str),
) -> Result<(Tally, Problems), LabelError> {
    if matches!(
        options.evaluator,
        Choice::Only(Evaluator::Judge | Evaluator::Human | Evaluator::Judged)
    ) {
        return Err(LabelError::BadInput(
            "a line filter makes no calls: judges, readers and people need files and --out".into(),
        ));
    }
    let mut problems = Problems::new(options.strict);
    let mut tally = Tally::default();
    let mut ids = HashSet::new();
    let sandbox = if options.unsandboxed { Sandbox::without_isolation() } else { Sandbox::new() };
    let mut warned = false;
    let mut unreadable = 0;
    let mut lines_read = 0;
    let room = rayon::current_num_threads() * ROWS_PER_THREAD;
    for path in &options.inputs {
        let mut lines = Records::open(path).map_err(LabelError::input(path))?;
        let mut end = false;
        while !end {
            let mut chunk: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut held = 0;
            while chunk.len() < room && held < CHUNK_BYTES {
                match lines.next_whole(&mut problems)? {
                    Some((number, bytes, _)) => {
                        lines_read += 1;
                        held += bytes.len();
                        chunk.push((number, bytes.to_vec()));
                    }
                    None => {
                        end = true;
                        break;
                    }
                }
            }
            for ScoredLine { number, id, scored } in score_all(options, path, &chunk, &sandbox) {
                if sandbox.was_used()
                    && !std::mem::replace(&mut warned, true)
                    && let Some(warning) = sandbox.warning()
                {
                    say(warning);
                }
                // The digest is kept instead of the ID: a log may have hundreds of millions.
                match scored {
                    _ if id.as_ref().is_some_and(|id| !ids.insert(rank(0, id))) => {
                        let what = format!("duplicate ID `{}`", id.unwrap_or_default());
                        problems.add(Problem::DuplicateId, path, number, what)?;
                    }
                    Ok(scored) => {
                        tally.add(scored.evaluator, scored.quality, options.threshold);
                        output.write_all(&scored.line).map_err(LabelError::io("<stdout>"))?;
                    }
                    Err((kind, what)) => {
                        unreadable += u64::from(kind != Problem::Unscorable);
                        problems.add(kind, path, number, what)?;
                    }
                }
            }
            output.flush().map_err(LabelError::io("<stdout>"))?;
            problems.take_named().iter().for_each(|line| say(line));
        }
    }
    // A partition may be empty, or hold nothing that can be scored; not a single readable row is a
    // log of another format.
    if lines_read > 0 && unreadable == lines_read {
        return Err(LabelError::NothingUsable { lines: lines_read });
    }
    Ok((tally, problems))
}

struct Scored {
    evaluator: Evaluator,
    quality: f64,
    line: Vec<u8>,
}

struct ScoredLine {
    number: usize,
    /// The record's own.
    id: Option<String>,
    scored: Result<Scored, (Problem, String)>,
}

fn score_all(
    options: &FilterOptions,
    path: &Path,
    chunk: &[(usize, Vec<u8>)],
    sandbox: &Sandbox,
) -> Vec<ScoredLine> {
    chunk.par_iter().map(|(number, bytes)| score(options, path, *number, bytes, sandbox)).collect()
}

fn score(
    options: &FilterOptions,
    path: &Path,
    number: usize,
    bytes: &[u8],
    sandbox: &Sandbox,
) -> ScoredLine {
    let place = || {
        let name = path.file_name().unwrap_or(path.as_os_str());
        format!("{}:{number}", name.to_string_lossy())
    };
    match Record::parse(bytes, &options.layout, &Answers::Batch(BatchAnswers::new()), place) {
        Ok(record) => {
            let scored = score_record(options, &record, sandbox);
            ScoredLine { number, id: record.has_own_id.then_some(record.id), scored }
        }
        Err(error) => {
            ScoredLine { number, id: None, scored: Err((error.problem(), error.to_string())) }
        }
    }
}

fn score_record(
    options: &FilterOptions,
    record: &Record,
    sandbox: &Sandbox,
) -> Result<Scored, (Problem, String)> {
    let evidence = record.evidence();
    let unread = ModelAnswer::default();
    let cheap = match &record.cheap {
        Some(cheap) => cheap,
        None if evidence.is_some_and(Evidence::needs_no_answer) => &unread,
        None => return Err((Problem::MissingField, options.layout.no_cheap_answer())),
    };
    let unscorable = |why: super::evaluators::Unscorable| (Problem::Unscorable, why.to_string());
    let evaluator = capture::evaluator(evidence, options.evaluator, record, false);
    let evaluator = evaluator.map_err(unscorable)?;
    let quality = score_pair(evaluator, record, cheap, sandbox).map_err(unscorable)?;
    let line = line(record, evaluator, quality, options.threshold, None, None);
    Ok(Scored { evaluator, quality, line })
}
