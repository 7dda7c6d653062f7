//! Scoring of recorded pairs as a line filter: nothing is sampled, nobody is called, one row comes
//! out for one that goes in, so that partitions of a log give the same rows as the whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::LabelError;
use super::evaluators::sandbox::Sandbox;
use super::evaluators::{Choice, Evaluator};
use super::log::{Lines, Problem, Problems};
use super::record::{BatchAnswers, FieldMap, Record, RecordError};
use super::score::{Tally, line, score_pair};

/// Rows scored between two writes, for each thread.
const ROWS_PER_THREAD: usize = 64;

/// What to filter, and how.
#[derive(Clone, Debug)]
pub struct FilterOptions {
    /// Files; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    pub map: FieldMap,
    pub evaluator: Choice,
    /// Quality from which the cheap answer is good enough.
    pub threshold: f64,
    pub strict: bool,
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
    if matches!(options.evaluator, Choice::Judge | Choice::Human) {
        return Err(LabelError::BadInput(
            "a line filter asks nobody: the judge and human evaluators need files and --out".into(),
        ));
    }
    let mut problems = Problems::new(options.strict);
    let mut tally = Tally::default();
    let sandbox = Sandbox::new();
    let room = rayon::current_num_threads() * ROWS_PER_THREAD;
    for path in &options.inputs {
        let mut lines = Lines::open(path)?;
        let mut end = false;
        while !end {
            let mut chunk: Vec<(u64, Vec<u8>)> = Vec::new();
            while chunk.len() < room {
                match lines.next(&mut problems)? {
                    Some((number, bytes)) => chunk.push((number, bytes.to_vec())),
                    None => {
                        end = true;
                        break;
                    }
                }
            }
            for (number, scored) in score_all(options, path, &chunk, &sandbox) {
                match scored {
                    Ok(scored) => {
                        tally.add(scored.evaluator, scored.quality, options.threshold);
                        output.write_all(&scored.line).map_err(LabelError::io("<stdout>"))?;
                    }
                    Err((kind, what)) => problems.add(kind, path, number, what)?,
                }
            }
            output.flush().map_err(LabelError::io("<stdout>"))?;
            problems.take_named().iter().for_each(|line| say(line));
        }
    }
    Ok((tally, problems))
}

struct Scored {
    evaluator: Evaluator,
    quality: f64,
    line: Vec<u8>,
}

type ScoredLine = (u64, Result<Scored, (Problem, String)>);

fn score_all(
    options: &FilterOptions,
    path: &Path,
    chunk: &[(u64, Vec<u8>)],
    sandbox: &Sandbox,
) -> Vec<ScoredLine> {
    chunk.par_iter().map(|(n, bytes)| (*n, score(options, path, *n, bytes, sandbox))).collect()
}

fn score(
    options: &FilterOptions,
    path: &Path,
    number: u64,
    bytes: &[u8],
    sandbox: &Sandbox,
) -> Result<Scored, (Problem, String)> {
    let place = || {
        let name = path.file_name().unwrap_or(path.as_os_str());
        format!("{}:{number}", name.to_string_lossy())
    };
    let record = Record::parse(bytes, &options.map, &BatchAnswers::new(), place).map_err(|e| {
        let kind = match e {
            RecordError::Broken(_) => Problem::BrokenLine,
            RecordError::Missing(_) => Problem::MissingField,
            RecordError::Empty(_) => Problem::EmptyResponse,
        };
        (kind, e.to_string())
    })?;
    let Some(cheap) = &record.cheap else {
        let what = format!("no cheap answer at {}", options.map.cheap.join(" or "));
        return Err((Problem::MissingField, what));
    };
    let unscorable = |why: super::evaluators::Unscorable| (Problem::Unscorable, why.to_string());
    let evaluator = Evaluator::select(options.evaluator, &record.request, &record.strong, false)
        .map_err(unscorable)?;
    let quality = score_pair(evaluator, &record, cheap, sandbox).map_err(unscorable)?;
    let line = line(&record, evaluator, quality, options.threshold, None);
    Ok(Scored { evaluator, quality, line })
}
