//! `pointsman evaluate`: how good a model is on labelled rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{BadInput, DataArgs, bytes_bar, dataset_error, report_reading};
use crate::classifier::Classifier;
use crate::learn::metrics::{Metrics, Outcome, measure};
use crate::learn::{Split, read_rows};

/// Measure a model on labelled rows
///
/// Scores come from the engine that the filter runs. The positive class is "the strong model is
/// required".
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Directory with model.onnx and manifest.json; the built-in model when absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Part::Val)]
    split: Part,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Part {
    Val,
    Train,
    All,
}

impl Part {
    fn holds(self, split: Split) -> bool {
        match self {
            Part::Val => split == Split::Val,
            Part::Train => split == Split::Train,
            Part::All => true,
        }
    }
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    metrics: Metrics,
    threshold: f32,
    policy: Policy,
    by_source: BTreeMap<String, Metrics>,
}

/// What routing by score and threshold gives on the rows, beside the choices that need no model.
#[derive(Serialize)]
struct Policy {
    name: &'static str,
    model_version: String,
    /// Share of rows that go to the strong model.
    strong_share: f64,
    /// Mean quality of the routed answers, 0..=1.
    quality: f64,
    always_cheap_quality: f64,
    always_strong_quality: f64,
    /// As many strong calls, spread at random.
    random_quality: f64,
    /// The better answer of every row.
    oracle_quality: f64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let classifier = load(args.model.as_deref())?;
    let sources = outcomes(&args.data, args.split, &classifier)?;
    let all: Vec<Outcome> = sources.values().flatten().copied().collect();
    if all.is_empty() {
        let error = BadInput::new("no rows of this split");
        return Err(error.hint("--split all takes every row").into());
    }
    let report = report(&classifier, &all, &sources);
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_table(&report);
    }
    Ok(())
}

/// The outcome of every row of a split under a model, by source.
pub(super) fn outcomes(
    data: &DataArgs,
    split: Part,
    classifier: &Classifier,
) -> anyhow::Result<BTreeMap<String, Vec<Outcome>>> {
    let bar = bytes_bar(&data.data);
    let mut sources: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    let mut failure = None;
    let reading = read_rows(
        &data.data,
        data.strict,
        |bytes| bar.inc(bytes),
        |row, features| {
            if !split.holds(row.split) || failure.is_some() {
                return;
            }
            match classifier.scores(features) {
                Ok(scores) => sources
                    .entry(row.source.clone())
                    .or_default()
                    .push(row.outcome(scores.first().copied().unwrap_or_default())),
                Err(error) => failure = Some(anyhow::anyhow!("row {}: {error}", row.id)),
            }
        },
    )
    .map_err(dataset_error)?;
    bar.finish_and_clear();
    report_reading(&reading);
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(sources)
}

pub(super) fn load(directory: Option<&Path>) -> anyhow::Result<Classifier> {
    let Some(directory) = directory else {
        return Classifier::embedded().map_err(|error| anyhow::anyhow!("built-in model: {error}"));
    };
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|error| {
            BadInput::new(format!("{}: {error}", path.display()))
                .hint("--model takes a directory that `pointsman train --out` wrote")
        })
    };
    let (onnx, manifest) = (read("model.onnx")?, read("manifest.json")?);
    Classifier::load(&onnx, &manifest)
        .map_err(|error| BadInput::new(format!("{}: {error}", directory.display())).into())
}

/// Seed of the bootstrap: the same rows give the same intervals.
const SEED: u64 = 1;

fn report(
    classifier: &Classifier,
    all: &[Outcome],
    sources: &BTreeMap<String, Vec<Outcome>>,
) -> Report {
    let manifest = classifier.manifest();
    let threshold = manifest.targets.first().map_or(0.5, |target| target.threshold);
    let measured = |outcomes: &[Outcome]| measure(outcomes, threshold, SEED);
    Report {
        metrics: measured(all),
        threshold,
        policy: policy(manifest.version.clone(), all, threshold),
        by_source: sources.iter().map(|(s, rows)| (s.clone(), measured(rows))).collect(),
    }
}

fn policy(model_version: String, all: &[Outcome], threshold: f32) -> Policy {
    let mean = |f: &dyn Fn(&Outcome) -> f32| {
        all.iter().map(|o| f64::from(f(o))).sum::<f64>() / all.len() as f64
    };
    let is_strong = |o: &Outcome| o.score < threshold;
    let strong_share = mean(&|o| f32::from(u8::from(is_strong(o))));
    let (cheap, strong) = (mean(&|o| o.cheap), mean(&|o| o.strong));
    Policy {
        name: "classifier",
        model_version,
        strong_share,
        quality: mean(&|o| if is_strong(o) { o.strong } else { o.cheap }),
        always_cheap_quality: cheap,
        always_strong_quality: strong,
        random_quality: cheap + strong_share * (strong - cheap),
        oracle_quality: mean(&|o| o.strong.max(o.cheap)),
    }
}

fn print_table(report: &Report) {
    println!(
        "{:24} {:>6} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6}",
        "source", "rows", "majority", "accuracy", "AUROC", "APGR", "CPT50", "CPT80"
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let line = |name: &str, m: &Metrics| {
        println!(
            "{name:24} {:>6} {:>8.3} {:>8.3} {:>6} {:>6} {:>6} {:>6}",
            m.n,
            m.majority_accuracy,
            m.accuracy,
            number(m.auroc),
            number(m.apgr),
            number(m.cpt50),
            number(m.cpt80)
        );
    };
    for (source, metrics) in &report.by_source {
        line(if source.is_empty() { "(none)" } else { source }, metrics);
    }
    line("all", &report.metrics);
    let m = &report.metrics;
    if let Some([low, high]) = m.auroc_ci95 {
        println!("\nAUROC 95 % interval {low:.3} to {high:.3}");
    }
    println!("Brier {:.4}, calibration error {:.4}", m.brier, m.ece);
    let p = &report.policy;
    println!(
        "threshold {:.3}: {:.1} % strong calls, quality {:.3} (random {:.3}, always cheap {:.3}, \
         always strong {:.3}, oracle {:.3})",
        report.threshold,
        p.strong_share * 100.0,
        p.quality,
        p.random_quality,
        p.always_cheap_quality,
        p.always_strong_quality,
        p.oracle_quality
    );
}
