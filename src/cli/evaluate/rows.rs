//! Which rows are measured, and their scores.

use std::path::PathBuf;

use crate::cli::args::Partition;
use crate::cli::{BadInput, bad_line, bytes_bar, dataset_error, open_error, report_problems};
use pointsman_core::classifier::{Classifier, Objective};
use pointsman_core::features::Features;
use pointsman_lab::evaluate::ScoredRow;
use pointsman_lab::files::{Lines, Problem, Problems};
use pointsman_lab::learn::{ReadOptions, Row, ScoredModels, read_rows};

/// What rows to score.
pub(in crate::cli) struct Selection<'a> {
    pub(in crate::cli) data: &'a [PathBuf],
    pub(in crate::cli) strict: bool,
    pub(in crate::cli) partition: Partition,
    pub(in crate::cli) models: Option<ScoredModels>,
    pub(in crate::cli) objective: Objective,
}

/// Calls `visit` with every row of a partition of the data, scored; returns what was wrong with
/// bad rows.
pub(in crate::cli) fn score_rows(
    selection: &Selection,
    classifiers: &[&Classifier],
    score: impl Fn(&Row, &Features) -> anyhow::Result<ScoredRow>,
    mut visit: impl FnMut(ScoredRow, &Features, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Problems> {
    let &Selection { data, strict, partition, .. } = selection;
    let options = ReadOptions {
        strict,
        models: selection.models.clone(),
        objective: selection.objective,
        trained_on: (partition == Partition::HeldOut)
            .then(|| classifiers.iter().flat_map(|classifier| trained_on(classifier)).collect()),
    };
    let bar = bytes_bar(data);
    let (mut all, mut measured, mut failure) = (0_u64, 0_u64, None);
    let progress = |bytes| bar.inc(bytes);
    let mut reading = read_rows(data, &options, progress, |row, features, line| {
        all += 1;
        if !partition.holds(row.split) || failure.is_some() {
            return;
        }
        measured += 1;
        let visited = score(&row, features).and_then(|scored| visit(scored, features, line));
        failure = visited.err();
    })
    .map_err(dataset_error)?;
    bar.finish_and_clear();
    report_problems(&mut reading.problems);
    if let Some(failure) = failure {
        return Err(failure);
    }
    report!("{measured} of {all} rows measured (--split {partition})");
    if measured == 0 {
        let error = BadInput::new(format!("no rows in this split (--split {partition})"));
        return Err(error.hint("--split all measures every row").into());
    }
    Ok(reading.problems)
}

/// SHA-256 of the files that a model was trained on, by its manifest.
fn trained_on(classifier: &Classifier) -> Vec<String> {
    let training = &classifier.manifest().training;
    let files = ["data", "gain_data"].map(|name| training.get(name)?.as_array());
    let digest = |file: &serde_json::Value| file.get("sha256")?.as_str().map(str::to_owned);
    files.into_iter().flatten().flatten().filter_map(digest).collect()
}

/// Reads what `--rows` printed.
pub(super) fn read_scored(
    data: &[PathBuf],
    strict: bool,
) -> anyhow::Result<(Vec<ScoredRow>, Problems)> {
    let (mut rows, mut problems) = (Vec::new(), Problems::new(strict));
    for file in data {
        let mut lines = Lines::open(file).map_err(open_error(file))?;
        while let Some((number, line, _)) = lines.next_whole(&mut problems).map_err(bad_line)? {
            match ScoredRow::parse(line) {
                Ok(row) => rows.push(row),
                Err(why) => problems
                    .add(Problem::BrokenLine, file, number, format!("not a scored row: {why}"))
                    .map_err(bad_line)?,
            }
        }
    }
    report_problems(&mut problems);
    if rows.is_empty() {
        return Err(BadInput::new("no scored rows").into());
    }
    Ok((rows, problems))
}
