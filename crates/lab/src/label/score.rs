//! From answers to labelled rows, in the order of the log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::answer::ModelAnswer;
use super::calls::{Made, replay_key};
use super::counts::EvaluatorCounts;
use super::error::LabelError;
use super::evaluators::human::{HumanPair, Ratings};
use super::evaluators::judge::{self, Verdict};
use super::evaluators::reading;
use super::evaluators::sandbox::Sandbox;
use super::evaluators::{Evaluator, Pair, Unscorable};
use super::journal::CallKey;
use super::observer::Observer;
use super::options::LabelOptions;
use super::record::Record;
use super::row::{Label, Scores};
use super::scan::Plan;
use crate::files::{Problem, Problems, WholeFile};
use pointsman_core::sign::Sign;

/// Rows scored between two writes, for each thread.
const ROWS_PER_THREAD: usize = 32;

/// Dataset row, as training reads it.
#[derive(Serialize)]
struct LabelledRow<'a> {
    id: &'a str,
    request: &'a Value,
    scores: Scores,
    label: Label<Evaluator>,
    /// Percent, and whose reading it is; only where a request was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    judged: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<BTreeMap<&'a str, f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
}

/// The line of a labelled row, with its line feed. The strong answer is the measure: it scores 1.
pub fn line(
    record: &Record,
    evaluator: Evaluator,
    quality: f64,
    threshold: f64,
    weight: Option<f64>,
    reader: Option<&str>,
) -> Vec<u8> {
    // Six decimals: enough for any share, and the same on every platform.
    let quality = (quality * 1e6).round() / 1e6;
    let row = LabelledRow {
        id: &record.id,
        request: record.request.body(),
        scores: Scores { cheap: quality, strong: 1.0 },
        label: Label { cheap_ok: quality >= threshold, quality, evaluator },
        judged: reader.map(|_| percent(quality)),
        readings: reader.map(|reader| BTreeMap::from([(reader, percent(quality))])),
        sign: record.sign.map(Sign::name),
        source: record.source.as_deref(),
        path: record.path.as_deref(),
        weight,
    };
    let mut line = serde_json::to_vec(&row).unwrap_or_default();
    line.push(b'\n');
    line
}

fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// Counts of labelled rows.
#[derive(Debug, Default)]
pub struct Tally {
    pub labelled: u64,
    pub cheap_ok: u64,
    pub evaluators: BTreeMap<Evaluator, EvaluatorCounts>,
    pub judged: u64,
    pub contradicted: u64,
}

impl Tally {
    /// Counts a row.
    pub fn add(&mut self, evaluator: Evaluator, quality: f64, threshold: f64) {
        let ok = u64::from(quality >= threshold);
        self.labelled += 1;
        self.cheap_ok += ok;
        let counts = self.evaluators.entry(evaluator).or_default();
        counts.rows += 1;
        counts.cheap_ok += ok;
        counts.mean_quality += (quality - counts.mean_quality) / counts.rows as f64;
    }
}

/// Scores the rows of a plan.
pub struct Scorer<'a> {
    pub options: &'a LabelOptions,
    pub plan: &'a Plan,
    pub made: Made,
    pub sandbox: &'a Sandbox,
    pub ratings: &'a Ratings,
}

/// A row with all that its score needs.
struct Answered {
    row: usize,
    record: Record,
    cheap: ModelAnswer,
    verdicts: Option<[Verdict; 2]>,
    /// The probability that a reader gave.
    reading: Option<f64>,
}

impl Scorer<'_> {
    /// Writes all rows that can be scored. Rows without an answer are left out silently: they
    /// were counted when the call failed.
    ///
    /// # Errors
    /// The log, the journal or the output cannot be read or written.
    pub fn write(
        &mut self,
        out: &Path,
        problems: &mut Problems,
        observer: &dyn Observer,
    ) -> Result<Tally, LabelError> {
        let room = rayon::current_num_threads() * ROWS_PER_THREAD;
        let mut tally = Tally::default();
        let mut file = WholeFile::create_private(out).map_err(LabelError::io(out))?;
        let reader = self.options.judge.as_ref().map(|judge| judge.model.as_str());
        let mut rows = self.plan.reader();
        observer.begin("scoring", Some(self.plan.rows.len() as u64));
        loop {
            let mut chunk = Vec::new();
            while chunk.len() < room {
                let skipped = &self.made.skipped;
                let Some((row, record)) = rows.next(|row| !skipped.contains(&row))? else {
                    break;
                };
                chunk.extend(self.answered(row, record)?);
            }
            if chunk.is_empty() {
                break;
            }
            let scores: Vec<_> = chunk.par_iter().map(|row| self.score(row)).collect();
            for (answered, score) in chunk.iter().zip(scores) {
                observer.advance();
                let row = self.plan.rows[answered.row];
                match score {
                    Ok(quality) => {
                        let threshold = self.options.threshold;
                        let record = &answered.record;
                        file.write_all(&line(
                            record,
                            row.evaluator,
                            quality,
                            threshold,
                            row.weight,
                            answered.reading.and(reader),
                        ))
                        .map_err(LabelError::io(out))?;
                        tally.add(row.evaluator, quality, threshold);
                    }
                    Err(why) => {
                        let (path, line) = self.plan.place(answered.row);
                        problems.add(Problem::Unscorable, path, line, why.to_string())?;
                    }
                }
                if let Some([a, b]) = answered.verdicts {
                    tally.judged += 1;
                    tally.contradicted += u64::from(a != b);
                }
            }
            problems.take_named().iter().for_each(|line| observer.say(line));
        }
        // An empty file would take the place of an earlier, full one.
        if tally.labelled > 0 || out != self.options.out {
            file.finish().map_err(LabelError::io(out))?;
        }
        Ok(tally)
    }

    /// The pairs for a person to compare.
    ///
    /// # Errors
    /// The log or the journal cannot be read.
    pub fn pairs(&mut self) -> Result<Vec<HumanPair>, LabelError> {
        let mut pairs = Vec::new();
        let plan = self.plan;
        let mut reader = plan.reader();
        // What a sign has decided needs nobody's opinion.
        let open = |row: usize| plan.rows[row].evaluator != Evaluator::Sign;
        while let Some((row, record)) =
            reader.next(|row| open(row) && !self.made.skipped.contains(&row))?
        {
            if let Some(answered) = self.answered(row, record)? {
                pairs.push(HumanPair::new(&answered.record, &answered.cheap));
            }
        }
        Ok(pairs)
    }

    fn answered(&mut self, row: usize, record: Record) -> Result<Option<Answered>, LabelError> {
        if self.plan.rows[row].evaluator == Evaluator::Judged {
            let Some(judge) = &self.options.judge else { return Ok(None) };
            let body = reading::body(&record.request, &judge.model);
            let answer = self.made.journal.get(CallKey::of(&body))?;
            let reading = answer.as_ref().and_then(reading::read);
            let cheap = ModelAnswer::default();
            return Ok(reading.map(|_| Answered { row, record, cheap, verdicts: None, reading }));
        }
        let cheap = match replay_key(self.options, &record) {
            Some(key) => self.made.journal.get(key)?,
            None if self.plan.rows[row].evaluator == Evaluator::Sign => {
                Some(record.cheap.clone().unwrap_or_default())
            }
            None => record.cheap.clone(),
        };
        let Some(cheap) = cheap else { return Ok(None) };
        let mut verdicts = None;
        if let Some(model) = self.options.judge.as_ref().map(|judge| &judge.model)
            && self.plan.rows[row].evaluator == Evaluator::Judge
            && !cheap.is_empty()
        {
            let pair = Pair { request: &record.request, strong: &record.strong, cheap: &cheap };
            let [first, second] = judge::bodies(&pair, model);
            let mut verdict = |body: &Value, cheap_is_a| -> Result<Option<Verdict>, LabelError> {
                let answer = self.made.journal.get(CallKey::of(body))?;
                Ok(answer.and_then(|answer| judge::read(&answer, cheap_is_a)))
            };
            let (Some(first), Some(second)) = (verdict(&first, true)?, verdict(&second, false)?)
            else {
                return Ok(None);
            };
            verdicts = Some([first, second]);
        }
        Ok(Some(Answered { row, record, cheap, verdicts, reading: None }))
    }

    fn score(&self, answered: &Answered) -> Result<f64, Unscorable> {
        let evaluator = self.plan.rows[answered.row].evaluator;
        let Answered { record, cheap, verdicts, .. } = answered;
        if let Some(reading) = answered.reading {
            return Ok(reading);
        }
        match (evaluator, verdicts) {
            (Evaluator::Judge, Some(verdicts)) => Ok(judge::quality(*verdicts)),
            (Evaluator::Human, _) => self.ratings.quality(&record.id),
            _ => score_pair(evaluator, record, cheap, self.sandbox),
        }
    }
}

/// The score of an evaluator that makes no calls, if the strong answer passes it.
///
/// # Errors
/// Nothing can be learnt from the row.
pub fn score_pair(
    evaluator: Evaluator,
    record: &Record,
    cheap: &ModelAnswer,
    sandbox: &Sandbox,
) -> Result<f64, Unscorable> {
    let Record { request, strong, .. } = record;
    evaluator.check(request, strong, sandbox)?;
    evaluator.score(&Pair { request, strong, cheap }, sandbox)
}
