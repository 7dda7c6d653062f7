//! `pointsman train --accept`: rows with answers to a judge's directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::super::train::train_error;
use super::super::{BadInput, print};
use super::{judged, load_router, read, table};
use pointsman_lab::evaluate::accept::{AcceptEvaluation, CHEAP_SHARE, evaluate_accept};
use pointsman_lab::files::{Problem, check_writable};
use pointsman_lab::learn::FileDigest;
use pointsman_lab::learn::accept::{
    AcceptOptions, AcceptProvenance, AnswerReading, cross_scores, train_accept, write_accept_model,
};
use pointsman_lab::learn::scores::Metrics;

/// What is asked of training.
pub(in crate::cli) struct Wanted<'a> {
    pub(in crate::cli) data: &'a [PathBuf],
    pub(in crate::cli) strict: bool,
    pub(in crate::cli) out: &'a Path,
    pub(in crate::cli) seed: u64,
    pub(in crate::cli) folds: Option<usize>,
    pub(in crate::cli) notes: Option<String>,
    pub(in crate::cli) json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    version: &'a str,
    seed: u64,
    data: &'a [FileDigest],
    accept_below: f32,
    /// Measures on the validation rows.
    validation: &'a Metrics,
    /// Of judges that had not seen the rows; with --folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_validated: Option<&'a AcceptEvaluation>,
    /// Lines that were skipped, by what was wrong with them.
    problems: &'a BTreeMap<Problem, u64>,
}

pub(in crate::cli) fn run(wanted: &Wanted) -> anyhow::Result<()> {
    check_writable(wanted.out)
        .map_err(|error| BadInput::new(format!("--out {}: {error}", wanted.out.display())))?;
    let router = wanted.folds.map(|_| load_router(None, None)).transpose()?;
    let reading = AnswerReading { strict: wanted.strict, trained_on: None };
    let data = read(wanted.data, &reading, router.as_ref())?;
    let options = AcceptOptions { seed: wanted.seed };
    let trained = train_accept(&data.rows, &options).map_err(train_error)?;
    let cross_validated = match wanted.folds {
        None => None,
        Some(folds) => {
            let scores = cross_scores(&data.rows, folds, &options).map_err(train_error)?;
            let rows: Vec<_> =
                data.rows.iter().zip(scores).map(|(row, score)| judged(row, score)).collect();
            evaluate_accept(&rows, CHEAP_SHARE, trained.accept_below)
        }
    };
    let provenance =
        AcceptProvenance { files: &data.files, seed: wanted.seed, notes: wanted.notes.as_deref() };
    let manifest = write_accept_model(wanted.out, &trained, &provenance)
        .with_context(|| format!("cannot write the model to {}", wanted.out.display()))?;
    let m = &trained.validation;
    report!(
        "on {} validation rows accuracy {:.3} (majority {:.3}), AUROC {:.3}, accept_below {:.3}",
        m.n,
        m.accuracy,
        m.majority_accuracy,
        m.auroc.unwrap_or(0.5),
        trained.accept_below,
    );
    if let Some(evaluation) = &cross_validated {
        report!("{}", table::text(evaluation));
    }
    report!("model {} written to {}", manifest.version, wanted.out.display());
    if !wanted.json {
        return Ok(());
    }
    print(serde_json::to_string(&Summary {
        out: wanted.out,
        version: &manifest.version,
        seed: wanted.seed,
        data: &data.files,
        accept_below: trained.accept_below,
        validation: &trained.validation,
        cross_validated: cross_validated.as_ref(),
        problems: data.problems.counts(),
    })?)
}
