//! `pointsman train`: labelled rows to a model directory.

use std::path::PathBuf;

use anyhow::Context;
use indicatif::ProgressBar;

use super::{BadInput, DataArgs, bytes_bar, dataset_error, report_reading, style};
use crate::learn::{self, Algorithm, Dataset, Provenance, TrainError};

/// Train a model on labelled rows
///
/// Fits candidates on the train rows, chooses among them on the validation rows, and writes
/// model.onnx, manifest.json, golden.jsonl and CARD.md. The same rows and seed give the same files.
/// Rows without `split` are split by their question: near-duplicates stay together.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Directory of the model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kinds of model that compete
    #[arg(long, value_enum, default_value_t = Algorithm::Auto)]
    algorithm: Algorithm,
    /// Markdown for the model's card: origin and licences of the data
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let notes = args
        .notes
        .as_ref()
        .map(|path| {
            std::fs::read_to_string(path)
                .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))
        })
        .transpose()?;
    let bar = bytes_bar(&args.data.data);
    let dataset = Dataset::read(&args.data.data, args.data.strict, |bytes| bar.inc(bytes))
        .map_err(dataset_error)?;
    bar.finish_and_clear();
    report_reading(&dataset.reading);
    let leaked = dataset.leaked();
    if leaked > 0 {
        eprintln!("warning: {leaked} validation rows ask a question of the train rows (leakage)");
    }
    let bar = ProgressBar::no_length().with_style(style("{bar:30} {pos}/{len} {msg}"));
    bar.set_message("fitting");
    let trained = learn::train(&dataset, args.algorithm, args.seed, |candidate, of| {
        bar.set_length(of as u64);
        bar.inc(1);
        bar.suspend(|| {
            let apgr = candidate.apgr.map_or("–".to_owned(), |a| format!("{a:.3}"));
            eprintln!("{}: AUROC {:.4}, APGR {apgr}", candidate.name, candidate.auroc);
        });
    })
    .map_err(train_error)?;
    bar.finish_and_clear();
    let provenance =
        Provenance { files: &dataset.reading.files, seed: args.seed, notes: notes.as_deref() };
    let manifest = learn::write_model(&args.out, &trained, &provenance)
        .with_context(|| format!("cannot write the model to {}", args.out.display()))?;
    let m = &trained.validation;
    eprintln!(
        "model {} ({}): on {} validation rows accuracy {:.3} (majority {:.3}), AUROC {:.3}, \
         threshold {:.3}; written to {}",
        manifest.version,
        trained.algorithm,
        m.n,
        m.accuracy,
        m.majority_accuracy,
        m.auroc.unwrap_or(0.5),
        trained.threshold,
        args.out.display()
    );
    Ok(())
}

fn train_error(error: TrainError) -> anyhow::Error {
    let hint = match &error {
        TrainError::NoRows(_) => "rows say `split`: train or val, or leave it out to be split here",
        TrainError::OneClass { .. } => "both outcomes are needed to learn from; label more rows",
        TrainError::Fit(_) => return error.into(),
    };
    BadInput::new(error).hint(hint).into()
}
