//! `pointsman train`: labelled rows to a model directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;

use super::args::{AlgorithmArg, DataArgs, ObjectiveArg};
use super::{BadInput, accept, bytes_bar, dataset_error, models, print, report_problems, style};
use pointsman_core::classifier::Objective;
use pointsman_lab::files::{Problem, check_writable};
use pointsman_lab::learn::scores::Metrics;
use pointsman_lab::learn::{
    self, Algorithm, Dataset, FileDigest, Initial, Provenance, ReadOptions, Reading, ScoredModels,
    Split, TrainError, TrainOptions, Trained, TrainedTarget,
};

/// Train a model on labelled rows
///
/// Tries candidates by cross-validation on the train rows, fits the best, calibrates it on the
/// validation rows, and writes model.onnx, manifest.json, golden.jsonl and CARD.md. The same rows
/// and seed give the same files. Rows without `split` are split by their question: near-duplicates
/// stay together.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Question that the score answers, and labels where rows record the quality of both answers
    #[arg(long, value_enum, default_value_t = ObjectiveArg::Gain)]
    objective: ObjectiveArg,
    /// Directory to write the model to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of shuffling and sampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kinds of model that compete
    #[arg(long, value_enum, default_value_t = AlgorithmArg::Auto)]
    algorithm: AlgorithmArg,
    /// Model directory to start from, for a log of a few hundred labels
    #[arg(long, value_name = "DIR")]
    init: Option<PathBuf>,
    /// Give both labels the same total weight in fitting
    #[arg(long)]
    balance: bool,
    /// Measure how quality grows with the train rows; write learning-curve.json
    #[arg(long)]
    learning_curve: bool,
    /// Non-strongest target, cheapest first, by its name in the rows' `scores` or `models`; may be
    /// repeated
    #[arg(long = "target", value_name = "NAME", requires = "strongest")]
    targets: Vec<String>,
    /// Name of the strongest model's score in the rows
    #[arg(long, value_name = "NAME", requires = "targets")]
    strongest: Option<String>,
    /// Rows with the quality of both answers, for a second score: would the strong one be better?
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "targets")]
    gain_data: Vec<PathBuf>,
    /// Markdown for the model's card: origin and licences of the data
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// Train a judge of answers instead, on rows with `cheap_answer`
    #[arg(
        long,
        conflicts_with_all = [
            "objective", "algorithm", "init", "balance", "learning_curve", "targets", "strongest",
            "gain_data"
        ]
    )]
    accept: bool,
    /// Measure the judge by N-fold cross-validation over all rows, next to the built-in routing model
    #[arg(long, requires = "accept", value_name = "N", value_parser = clap::value_parser!(u8).range(2..=20))]
    folds: Option<u8>,
    /// Print a summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    version: &'a str,
    seed: u64,
    data: &'a [FileDigest],
    targets: Vec<TargetSummary<'a>>,
}

#[derive(Serialize)]
struct TargetSummary<'a> {
    name: &'a str,
    algorithm: Algorithm,
    threshold: f32,
    /// Measures on the validation rows.
    validation: &'a Metrics,
    /// Lines that were skipped, by what was wrong with them.
    problems: &'a BTreeMap<Problem, u64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.accept {
        return accept::train(&accept::Wanted {
            data: &args.data.data,
            strict: args.data.strictness.strict,
            out: &args.out,
            seed: args.seed,
            folds: args.folds.map(usize::from),
            notes: args.notes.as_deref().map(read_text).transpose()?,
            json: args.json,
        });
    }
    // Before spending time on fitting.
    check_writable(&args.out)
        .map_err(|error| BadInput::new(format!("--out {}: {error}", args.out.display())))?;
    let notes = args.notes.as_deref().map(read_text).transpose()?;
    let initial = args.init.as_deref().map(read_initial).transpose()?.map(Arc::new);
    let options = TrainOptions {
        algorithm: args.algorithm.into(),
        seed: args.seed,
        initial: initial.clone(),
        balanced: args.balance,
    };
    let compared: Vec<(String, Option<ScoredModels>)> = match &args.strongest {
        None => vec![("cheap".to_owned(), None)],
        Some(strong) => args
            .targets
            .iter()
            .map(|name| {
                let models = ScoredModels { cheap: name.clone(), strong: strong.clone() };
                (name.clone(), Some(models))
            })
            .collect(),
    };
    let mut targets = Vec::new();
    let (mut readings, mut gain_files) = (Vec::new(), Vec::new());
    for (name, models) in compared {
        if models.is_some() {
            report!("target {name}");
        }
        let (mut target, reading) = train_target(args, &options, name, models)?;
        if !args.gain_data.is_empty() {
            report!("the gain");
            let (gain, reading) = train_gain(args, &options)?;
            target.gain = Some(gain);
            gain_files = reading.files;
        }
        targets.push(target);
        readings.push(reading);
    }
    // Every target reads the same files.
    let files = readings.last().map_or(&[][..], |reading| &reading.files);
    let provenance = Provenance {
        files,
        gain_files: &gain_files,
        objective: args.objective.into(),
        seed: args.seed,
        initial: initial.as_ref().map(|initial| initial.version()),
        notes: notes.as_deref(),
    };
    let manifest = learn::write_model(&args.out, &targets, &provenance)
        .with_context(|| format!("cannot write the model to {}", args.out.display()))?;
    for TrainedTarget { name, trained, gain, .. } in &targets {
        summarise(name, trained);
        if let Some(gain) = gain {
            summarise(&format!("{name}, gain"), gain);
        }
    }
    report!("model {} written to {}", manifest.version, args.out.display());
    if !args.json {
        return Ok(());
    }
    let target_summaries = targets.iter().zip(&readings).map(|(target, reading)| TargetSummary {
        name: &target.name,
        algorithm: target.trained.algorithm,
        threshold: target.trained.threshold,
        validation: &target.trained.validation,
        problems: reading.problems.counts(),
    });
    print(serde_json::to_string(&Summary {
        out: &args.out,
        version: &manifest.version,
        seed: args.seed,
        data: files,
        targets: target_summaries.collect(),
    })?)
}

fn summarise(name: &str, trained: &Trained) {
    let m = &trained.validation;
    report!(
        "{name}, {}: on {} validation rows accuracy {:.3} (majority {:.3}), AUROC {:.3}, APGR {}, \
         threshold {:.3}",
        trained.algorithm,
        m.n,
        m.accuracy,
        m.majority_accuracy,
        m.auroc.unwrap_or(0.5),
        number(m.apgr),
        trained.threshold,
    );
}

fn train_target(
    args: &Args,
    options: &TrainOptions,
    name: String,
    models: Option<ScoredModels>,
) -> anyhow::Result<(TrainedTarget, Reading)> {
    let dataset = read_dataset(args, &args.data.data, models, args.objective.into())?;
    let trained = fit(&dataset, options)?;
    let learning_curve = match args.learning_curve {
        true => learning_curve(&dataset, &trained, options)?,
        false => Vec::new(),
    };
    Ok((TrainedTarget { name, trained, gain: None, learning_curve }, dataset.reading))
}

fn train_gain(args: &Args, options: &TrainOptions) -> anyhow::Result<(Trained, Reading)> {
    let dataset = read_dataset(args, &args.gain_data, None, Objective::Gain)?;
    let options = TrainOptions { initial: None, ..options.clone() };
    Ok((fit(&dataset, &options)?, dataset.reading))
}

fn read_dataset(
    args: &Args,
    files: &[PathBuf],
    models: Option<ScoredModels>,
    objective: Objective,
) -> anyhow::Result<Dataset> {
    let bar = bytes_bar(files);
    let progress = |bytes| bar.inc(bytes);
    let strict = args.data.strictness.strict;
    let read = ReadOptions { strict, models, objective, trained_on: None };
    let mut dataset = Dataset::read(files, &read, progress).map_err(dataset_error)?;
    bar.finish_and_clear();
    report_problems(&mut dataset.reading.problems);
    warn(&dataset);
    Ok(dataset)
}

fn fit(dataset: &Dataset, options: &TrainOptions) -> anyhow::Result<Trained> {
    let bar = ProgressBar::no_length().with_style(style("{bar:30} {pos}/{len} {msg}"));
    bar.set_message("cross-validating");
    let trained = learn::train(dataset, options, |candidate, of| {
        bar.set_length(of as u64);
        bar.inc(1);
        let apgr = number(candidate.apgr);
        bar.suspend(|| report!("{}: AUROC {:.4}, APGR {apgr}", candidate.name, candidate.auroc));
    })
    .map_err(train_error)?;
    bar.finish_and_clear();
    Ok(trained)
}

fn learning_curve(
    dataset: &Dataset,
    trained: &Trained,
    options: &TrainOptions,
) -> anyhow::Result<Vec<learn::CurvePoint>> {
    let points = learn::learning_curve(dataset, trained, options, |point| {
        report!(
            "{} train rows: accuracy {:.3}, AUROC {}, APGR {}",
            point.rows,
            point.accuracy,
            number(point.auroc),
            number(point.apgr)
        );
    });
    points.map_err(train_error)
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// Warns of what makes the measures look better, or noisier, than they are.
fn warn(dataset: &Dataset) {
    /// Fewer rows of one label than this give no reliable recall.
    const FEW: usize = 20;
    let leaked = dataset.leaked();
    if leaked > 0 {
        report!("warning: {leaked} validation rows repeat a question of the train rows (leakage)");
    }
    for (split, name) in [(Split::Train, "train"), (Split::Val, "validation")] {
        let rows = dataset.indices(split);
        for (label, word) in [(true, "good enough"), (false, "not good enough")] {
            let count = rows.iter().filter(|&&i| dataset.rows[i].cheap_ok == label).count();
            if (1..FEW).contains(&count) {
                report!("warning: the cheap answer is {word} in only {count} {name} rows");
            }
        }
    }
    let (train, val) = (dataset.indices(Split::Train).len(), dataset.indices(Split::Val).len());
    if val > train {
        report!("warning: more validation rows ({val}) than train rows ({train})");
    }
}

fn read_text(path: &Path) -> Result<String, BadInput> {
    std::fs::read_to_string(path)
        .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))
}

fn read_initial(directory: &Path) -> anyhow::Result<Initial> {
    let (onnx, manifest) = models::files(directory)?;
    let initial = Initial::load(&onnx, &manifest);
    Ok(initial
        .map_err(|error| BadInput::new(format!("--init {}: {error}", directory.display())))?)
}

pub(super) fn train_error(error: TrainError) -> anyhow::Error {
    let hint = match &error {
        TrainError::NoRows(_) => {
            "give rows a `split` of train or val, or leave it out to have them split here"
        }
        TrainError::OneClass { .. } => "training needs both outcomes; label more rows",
        TrainError::Fit(_) => return error.into(),
    };
    BadInput::new(error).hint(hint).into()
}
