//! Which rows are measured, and their scores.

use std::fmt;
use std::path::PathBuf;

use crate::cli::{BadInput, bytes_bar, dataset_error, open_error, report, strict_error};
use pointsman_core::classifier::Classifier;
use pointsman_core::features::Features;
use pointsman_lab::evaluate::ScoredRow;
use pointsman_lab::input::{Lines, Problem, Problems};
use pointsman_lab::learn::{ReadOptions, Row, ScoredModels, Split, read_rows};

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(in crate::cli) enum Part {
    /// What the model was not fitted on: `val` and `test`. Rows that name no split are, too, except
    /// for four in five of a file that the model was trained on
    HeldOut,
    Val,
    Train,
    Test,
    All,
}

impl Part {
    pub(in crate::cli) fn holds(self, split: Split) -> bool {
        match self {
            Part::HeldOut => split != Split::Train,
            Part::Val => split == Split::Val,
            Part::Train => split == Split::Train,
            Part::Test => split == Split::Test,
            Part::All => true,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self);
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What rows to score.
pub(in crate::cli) struct Selection<'a> {
    pub(in crate::cli) data: &'a [PathBuf],
    pub(in crate::cli) strict: bool,
    pub(in crate::cli) part: Part,
    pub(in crate::cli) models: Option<ScoredModels>,
}

/// Calls `visit` with every row of a part of the data, scored; returns what was wrong with the
/// others.
pub(in crate::cli) fn score_rows(
    selection: &Selection,
    classifiers: &[&Classifier],
    score: impl Fn(&Row, &Features) -> anyhow::Result<ScoredRow>,
    mut visit: impl FnMut(ScoredRow, &Features, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Problems> {
    let &Selection { data, strict, part, .. } = selection;
    let options = ReadOptions {
        strict,
        models: selection.models.clone(),
        trained_on: (part == Part::HeldOut)
            .then(|| classifiers.iter().flat_map(|classifier| trained_on(classifier)).collect()),
    };
    let bar = bytes_bar(data);
    let (mut all, mut measured, mut failure) = (0_u64, 0_u64, None);
    let progress = |bytes| bar.inc(bytes);
    let mut reading = read_rows(data, &options, progress, |row, features, line| {
        all += 1;
        if !part.holds(row.split) || failure.is_some() {
            return;
        }
        measured += 1;
        let visited = score(&row, features).and_then(|scored| visit(scored, features, line));
        failure = visited.err();
    })
    .map_err(dataset_error)?;
    bar.finish_and_clear();
    report(&mut reading.problems);
    if let Some(failure) = failure {
        return Err(failure);
    }
    tell!("{measured} of {all} rows measured (--split {part})");
    if measured == 0 {
        let error = BadInput::new(format!("no rows of this split (--split {part})"));
        return Err(error.hint("--split all takes every row").into());
    }
    Ok(reading.problems)
}

/// SHA-256 of the files that a model was trained on, by its manifest.
fn trained_on(classifier: &Classifier) -> Vec<String> {
    let files = classifier.manifest().training.get("data").and_then(|files| files.as_array());
    let digest = |file: &serde_json::Value| file.get("sha256")?.as_str().map(str::to_owned);
    files.into_iter().flatten().filter_map(digest).collect()
}

/// Reads what `--rows` wrote.
pub(super) fn read_scored(
    data: &[PathBuf],
    strict: bool,
) -> anyhow::Result<(Vec<ScoredRow>, Problems)> {
    let (mut rows, mut problems) = (Vec::new(), Problems::new(strict));
    for file in data {
        let mut lines = Lines::open(file).map_err(open_error(file))?;
        while let Some((number, line, _)) = lines.next_whole(&mut problems).map_err(strict_error)? {
            match ScoredRow::parse(line) {
                Ok(row) => rows.push(row),
                Err(why) => problems
                    .add(Problem::BrokenLine, file, number, format!("not a scored row: {why}"))
                    .map_err(strict_error)?,
            }
        }
    }
    report(&mut problems);
    if rows.is_empty() {
        return Err(BadInput::new("no scored rows").into());
    }
    Ok((rows, problems))
}
