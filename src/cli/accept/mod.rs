//! What `train`, `evaluate` and `calibrate` do with `--accept`: judges of answers.

mod calibrate;
mod evaluate;
mod table;
mod train;

use std::path::{Path, PathBuf};

pub(super) use calibrate::{Asked, run as calibrate};
pub(super) use evaluate::{Measured, run as evaluate};
pub(super) use train::{Wanted, run as train};

use super::args::{ObjectiveArg, Partition};
use super::{BadInput, bytes_bar, dataset_error, models, report_problems};
use pointsman_core::acceptance::AcceptanceModel;
use pointsman_core::classifier::Classifier;
use pointsman_core::features::extract;
use pointsman_core::prompt::Prompt;
use pointsman_lab::evaluate::accept::JudgedRow;
use pointsman_lab::learn::accept::{AnswerData, AnswerReading, AnswerRow, read_answers};

/// The judge in a directory.
fn load(directory: &Path) -> anyhow::Result<AcceptanceModel> {
    let (onnx, manifest) = models::files(directory)?;
    AcceptanceModel::load(&onnx, &manifest)
        .map_err(|error| BadInput::new(format!("{}: {error}", directory.display())).into())
}

/// The routing model that a judge is compared with; the built-in one without a directory.
fn load_router(
    directory: Option<&Path>,
    objective: Option<ObjectiveArg>,
) -> anyhow::Result<Classifier> {
    Ok(models::load_for(directory, objective)?.0)
}

/// Reads rows with answers, scored by a routing model where there is one.
fn read(
    files: &[PathBuf],
    reading: &AnswerReading,
    router: Option<&Classifier>,
) -> anyhow::Result<AnswerData> {
    let bar = bytes_bar(files);
    let mut failure = None;
    let score = |prompt: &str| {
        let Some(router) = router else { return 0.5 };
        match router.scores(&extract(&Prompt::from_text(prompt))) {
            Ok(scores) => scores.first().copied().unwrap_or(0.5),
            Err(error) => {
                failure = Some(error);
                0.5
            }
        }
    };
    let mut data =
        read_answers(files, reading, score, |bytes| bar.inc(bytes)).map_err(dataset_error)?;
    bar.finish_and_clear();
    report_problems(&mut data.problems);
    match failure {
        Some(error) => Err(anyhow::anyhow!("the routing model: {error}")),
        None => Ok(data),
    }
}

/// SHA-256 of the files that a judge was trained on, by its manifest.
fn trained_on(judge: &AcceptanceModel) -> Vec<String> {
    let files = judge.manifest().training.get("data").and_then(|data| data.as_array());
    let digest = |file: &serde_json::Value| file.get("sha256")?.as_str().map(str::to_owned);
    files.into_iter().flatten().filter_map(digest).collect()
}

/// The rows of a partition, judged.
fn judge_rows(
    judge: &AcceptanceModel,
    data: &AnswerData,
    partition: Partition,
) -> anyhow::Result<Vec<JudgedRow>> {
    let rows = data.rows.iter().filter(|row| partition.holds(row.split));
    let judged = rows.map(|row| {
        let score = judge.judge(&row.features);
        let score = score.map_err(|error| anyhow::anyhow!("row {}: {error}", row.id))?;
        Ok(judged(row, score))
    });
    let judged = judged.collect::<anyhow::Result<Vec<JudgedRow>>>()?;
    report!("{} of {} rows measured (--split {partition})", judged.len(), data.rows.len());
    if judged.is_empty() {
        let error = BadInput::new(format!("no rows in this split (--split {partition})"));
        return Err(error.hint("--split all measures every row").into());
    }
    Ok(judged)
}

fn judged(row: &AnswerRow, score: f32) -> JudgedRow {
    JudgedRow {
        pair: row.cheap_model.clone(),
        judged: score,
        router: row.router,
        cheap: row.cheap,
        strong: row.strong,
    }
}
