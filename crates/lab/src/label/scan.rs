//! The first pass over the log: what is there, what is damaged, which rows to label.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::answer::ModelAnswer;
use super::capture::{self, Evidence};
use super::error::LabelError;
use super::evaluators::Evaluator;
use super::lines::{each_object, parse_object};
use super::observer::Observer;
use super::options::LabelOptions;
use super::record::{Answers, BatchAnswers, Record, RecordError};
use super::sample::{Stratum, allocate, rank};
use super::source::Layout;
use crate::files::{Problem, Problems, Records};

/// A row to be labelled.
#[derive(Clone, Copy, Debug)]
pub struct PlannedRow {
    pub file: u32,
    pub line: usize,
    pub evaluator: Evaluator,
    /// What a sampled row counts for, 1 on average; `None` when all rows were taken.
    pub weight: Option<f64>,
}

/// What the first pass found.
#[derive(Debug)]
pub struct Plan {
    pub files: Vec<PathBuf>,
    answers: Answers,
    layout: Layout,
    /// In the order of the log.
    pub rows: Vec<PlannedRow>,
    pub lines: u64,
    /// Rows that could have been drawn, by stratum.
    pub strata: BTreeMap<String, u64>,
}

/// Reads all files once.
///
/// # Errors
/// A file cannot be read, is in an unknown encoding, or has a bad record under `--strict`.
pub fn scan(
    options: &LabelOptions,
    problems: &mut Problems,
    observer: &dyn Observer,
) -> Result<Plan, LabelError> {
    let (files, batch) = sort_files(&options.inputs, problems)?;
    let layout = options.layout.clone();
    let answers = if options.reads_requests() { Answers::Unneeded } else { Answers::Batch(batch) };
    let mut plan =
        Plan { files, answers, layout, rows: Vec::new(), lines: 0, strata: BTreeMap::new() };
    let mut ids = HashSet::new();
    let mut drawn: BTreeMap<Stratum, Drawn> = BTreeMap::new();
    observer.begin("reading the log", None);
    for file in 0..plan.files.len() {
        let path = plan.files[file].clone();
        let mut lines = Records::open(&path).map_err(LabelError::input(&path))?;
        while let Some((line, bytes, _)) = lines.next_whole(problems)? {
            plan.lines += 1;
            observer.advance();
            let record = match plan.parse(file, line, bytes) {
                Ok(record) => record,
                Err(error) => {
                    problems.add(error.problem(), &path, line, error.to_string())?;
                    continue;
                }
            };
            // The digest is kept instead of the ID: a log may have hundreds of millions.
            if record.has_own_id && !ids.insert(rank(0, &record.id)) {
                let what = format!("duplicate ID `{}`", record.id);
                problems.add(Problem::DuplicateId, &path, line, what)?;
                continue;
            }
            let recorded = options.cheap.is_none() && !options.reads_requests();
            let evidence = record.evidence().filter(|_| recorded);
            let needs_answer = recorded && !evidence.is_some_and(Evidence::needs_no_answer);
            if needs_answer && record.cheap.is_none() {
                problems.add(Problem::MissingField, &path, line, plan.layout.no_cheap_answer())?;
                continue;
            }
            if options.cheap.is_some()
                && let Some(why) = record.request.refusal()
            {
                let what = format!("the request {why}");
                problems.add(Problem::NotReplayable, &path, line, what)?;
                continue;
            }
            let judged = options.judge.is_some();
            let evaluator = match capture::evaluator(evidence, options.evaluator, &record, judged) {
                Ok(evaluator) => evaluator,
                Err(why) => {
                    problems.add(Problem::Unscorable, &path, line, why.to_string())?;
                    continue;
                }
            };
            let row = PlannedRow { file: file as u32, line, evaluator, weight: None };
            match options.sample {
                None => plan.rows.push(row),
                Some(wanted) => drawn
                    .entry(Stratum::of(&record))
                    .or_default()
                    .add((rank(options.seed, &record.id), row), wanted),
            }
        }
    }
    if let Some(wanted) = options.sample {
        plan.draw(drawn, wanted);
    }
    problems.take_named().iter().for_each(|line| observer.say(line));
    Ok(plan)
}

/// The rows of a stratum that may still be drawn: the smallest ranks.
#[derive(Default)]
struct Drawn {
    size: u64,
    rows: BTreeMap<(u64, u32, usize), PlannedRow>,
}

impl Drawn {
    fn add(&mut self, (rank, row): (u64, PlannedRow), wanted: u64) {
        self.size += 1;
        self.rows.insert((rank, row.file, row.line), row);
        if self.rows.len() as u64 > wanted {
            self.rows.pop_last();
        }
    }
}

impl Plan {
    fn draw(&mut self, drawn: BTreeMap<Stratum, Drawn>, wanted: u64) {
        let sizes: Vec<u64> = drawn.values().map(|stratum| stratum.size).collect();
        let shares = allocate(&sizes, wanted);
        let (all, taken) = (sizes.iter().sum::<u64>() as f64, shares.iter().sum::<u64>() as f64);
        for ((stratum, drawn), share) in drawn.into_iter().zip(shares) {
            let weight = (drawn.size as f64 / all) / (share as f64 / taken);
            let weight = Some((weight * 1e6).round() / 1e6);
            self.rows.extend(
                drawn
                    .rows
                    .into_values()
                    .take(share as usize)
                    .map(|row| PlannedRow { weight, ..row }),
            );
            self.strata.insert(stratum.to_string(), drawn.size);
        }
        self.rows.sort_by_key(|row| (row.file, row.line));
    }

    fn parse(&self, file: usize, line: usize, bytes: &[u8]) -> Result<Record, RecordError> {
        let path = &self.files[file];
        Record::parse(bytes, &self.layout, &self.answers, || {
            let name = path.file_name().unwrap_or(path.as_os_str());
            format!("{}:{line}", name.to_string_lossy())
        })
    }

    /// Reads the rows again, in order.
    pub fn reader(&self) -> RowReader<'_> {
        RowReader { plan: self, next: 0, open: None }
    }

    /// Where a row is.
    pub fn place(&self, row: usize) -> (&Path, usize) {
        let row = self.rows[row];
        (&self.files[row.file as usize], row.line)
    }
}

/// Reads the rows of a plan again.
pub struct RowReader<'a> {
    plan: &'a Plan,
    next: usize,
    open: Option<(u32, Records)>,
}

impl RowReader<'_> {
    /// The next row that is `wanted`, with its number in the plan.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it was.
    pub fn next(
        &mut self,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Option<(usize, Record)>, LabelError> {
        while self.next < self.plan.rows.len() && !wanted(self.next) {
            self.next += 1;
        }
        let Some(&row) = self.plan.rows.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let path = &self.plan.files[row.file as usize];
        let changed = || LabelError::LogChanged { path: path.clone(), line: row.line };
        if self.open.as_ref().is_none_or(|(file, _)| *file != row.file) {
            self.open = Some((row.file, Records::open(path).map_err(LabelError::input(path))?));
        }
        let (_, lines) = self.open.as_mut().ok_or_else(changed)?;
        // Damage was counted in the first pass.
        let mut ignored = Problems::new(false);
        while let Some((line, bytes, _)) = lines.next_whole(&mut ignored)? {
            if line == row.line {
                let record = self.plan.parse(row.file as usize, line, bytes);
                return record.map(|record| Some((index, record))).map_err(|_| changed());
            }
        }
        Err(changed())
    }
}

/// Separates logs and Batch inputs from Batch outputs, and reads the latter.
fn sort_files(
    inputs: &[PathBuf],
    problems: &mut Problems,
) -> Result<(Vec<PathBuf>, BatchAnswers), LabelError> {
    let mut files = Vec::new();
    let mut batch = BatchAnswers::new();
    let mut seen = BTreeSet::new();
    for path in inputs {
        if !seen.insert(path) {
            return Err(LabelError::BadInput(format!("{}: given twice", path.display())));
        }
        let mut lines = Records::open(path).map_err(LabelError::input(path))?;
        let first = lines.next_whole(&mut Problems::new(false))?;
        let is_output =
            first.and_then(|(_, bytes, _)| parse_object(bytes).ok()).is_some_and(|value| {
                let has = |field: &str| value.get(field).is_some();
                has("custom_id")
                    && (has("response") || has("result"))
                    && !["body", "request", "params"].iter().any(|field| has(field))
            });
        if is_output {
            read_batch_output(path, &mut batch, problems)?;
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(LabelError::BadInput(
            "only Batch outputs given; also give the Batch inputs with the requests".into(),
        ));
    }
    Ok((files, batch))
}

fn read_batch_output(
    path: &Path,
    batch: &mut BatchAnswers,
    problems: &mut Problems,
) -> Result<(), LabelError> {
    each_object(path, problems, |line, value, problems| {
        let id = value.get("custom_id").and_then(Value::as_str);
        let response = value.get("response").or(value.get("result"));
        let response = response.filter(|response| !response.is_null());
        let (Some(id), Some(response)) = (id, response) else {
            let what = "no custom_id or no response";
            return Ok(problems.add(Problem::MissingField, path, line, what)?);
        };
        match batch.entry(id.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(Some(response.clone()));
            }
            Entry::Occupied(mut known) => {
                let what = format!("duplicate custom_id `{id}`");
                problems.add(Problem::DuplicateId, path, line, what)?;
                // Two batches that number their requests alike: whose answer is whose is not told.
                if known.get().as_ref().is_some_and(|earlier| !is_same(earlier, response)) {
                    known.insert(None);
                }
            }
        }
        Ok(())
    })
}

/// The same answer again, whatever the call's own ID is.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b
        || matches!((ModelAnswer::from_response(a), ModelAnswer::from_response(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_number_their_requests_alike_answer_none_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut batch = BatchAnswers::new();
        let mut problems = Problems::new(false);
        for (name, answers) in [("one", ["Pacific", "Rome"]), ("two", ["Everest", "Rome"])] {
            let line = |(id, text): (&str, &str)| {
                format!(
                    r#"{{"custom_id": "{id}", "response": {{"role": "assistant", "content": "{text}"}}}}"#
                )
            };
            let path = folder.path().join(name);
            let lines: Vec<String> = ["a", "b"].into_iter().zip(answers).map(line).collect();
            std::fs::write(&path, lines.join("\n")).expect("written");
            read_batch_output(&path, &mut batch, &mut problems).expect("read");
        }
        assert_eq!(batch["a"], None);
        assert!(batch["b"].is_some(), "the same answer twice is one");
    }
}
