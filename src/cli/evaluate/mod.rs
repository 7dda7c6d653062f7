//! `pointsman evaluate`: how good a model is on labelled rows.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{ObjectiveArg, Partition, Strictness, amount};
use super::{BadInput, accept, print, print_with, write_page};
use pointsman_core::classifier::Classifier;
use pointsman_lab::evaluate::figures::LearningStep;
use pointsman_lab::evaluate::signal::{Signal, SignalReader};
use pointsman_lab::evaluate::{Evaluation, EvaluationReport, ScoredRow, Scorer, evaluate};
use pointsman_lab::files::{Problem, Problems};
use pointsman_lab::learn::{ScoredModels, body_of};
use pointsman_lab::rules::HAND_RULES_THRESHOLD;

mod model;
mod rows;
mod table;

use model::Model;
pub(super) use model::{score, scored};
use rows::read_scored;
pub(super) use rows::{Selection, score_rows};
use table::table;

/// Measure a model on labelled rows, next to every baseline
///
/// Scores come from the engine that the filter runs. The positive class is "the strong model is
/// required".
#[derive(clap::Args)]
pub(super) struct Args {
    /// JSONL or gzipped JSONL with labelled rows; several files are read in turn, `-` is standard
    /// input
    #[arg(long, num_args = 1.., value_name = "FILE", default_value = "-")]
    data: Vec<PathBuf>,
    #[command(flatten)]
    strictness: Strictness,
    /// Directory with model.onnx and manifest.json; the built-in model when omitted
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// One target of a model with several, by its name in the rows' `scores` or `models`
    #[arg(long, requires = "strongest", conflicts_with = "scored")]
    target: Option<String>,
    /// The strongest target's name in the rows
    #[arg(long, requires = "target")]
    strongest: Option<String>,
    /// Directory of a judge of answers: compare routing, judging and both at equal spending, on rows
    /// with `cheap_answer`
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["target", "compare", "policy", "rows", "scored"]
    )]
    accept: Option<PathBuf>,
    /// Mean cost of a request to the cheap model [default: 0.06 of one to the strong model]
    #[arg(long, requires_all = ["strong_cost", "accept"], value_name = "USD", value_parser = amount)]
    cheap_cost: Option<f64>,
    /// Mean cost of a request to the strong model
    #[arg(long, requires = "cheap_cost", value_name = "USD", value_parser = amount)]
    strong_cost: Option<f64>,
    /// Directory of another model to measure the gain over
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// What decides: the model, or the shipped hand rules
    #[arg(long, value_enum, default_value_t = Decider::Classifier, conflicts_with_all = ["compare", "rows"])]
    policy: Decider,
    /// Question to answer, and of labels where rows record the quality of both answers [default:
    /// the model's]
    #[arg(long, value_enum)]
    objective: Option<ObjectiveArg>,
    /// Rows to measure [default: held-out; all with --rows or --scored]
    #[arg(long, value_enum)]
    split: Option<Partition>,
    /// Write a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the page's plots as SVG, and the numbers behind them as CSV
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Only score: print one line per row, in the same order, for a later --scored
    #[arg(long, conflicts_with_all = ["report", "plots", "scored", "json"])]
    rows: bool,
    /// Read scored rows that --rows printed
    #[arg(long)]
    scored: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Decider {
    Classifier,
    Rules,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    /// Lines that were skipped, by what was wrong with them.
    problems: &'a BTreeMap<Problem, u64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.data == [Path::new("-")] && std::io::stdin().is_terminal() {
        return Err(BadInput::new("no rows: pass --data FILE, or pipe rows in").into());
    }
    if let Some(judge) = &args.accept {
        return accept::evaluate(&accept::Measured {
            judge,
            router: args.model.as_deref(),
            objective: args.objective,
            data: &args.data,
            strict: args.strictness.strict,
            partition: args.split.unwrap_or(Partition::HeldOut),
            costs: args.cheap_cost.zip(args.strong_cost),
            report: args.report.as_deref(),
            plots: args.plots.as_deref(),
            json: args.json,
        });
    }
    let target = args.target.as_deref();
    let mut model = Model::load(args.model.as_deref(), target, args.objective)?;
    let previous = args
        .compare
        .as_deref()
        .map(|path| Model::load(Some(path), target, args.objective))
        .transpose()?;
    if args.rows {
        return write_rows(args, &model, previous.as_ref());
    }
    let (mut rows, problems, signal) = if args.scored {
        let (rows, problems) = read_scored(&args.data, args.strictness.strict)?;
        (rows, problems, None)
    } else {
        collect(args, &model, previous.as_ref())?
    };
    if args.policy == Decider::Rules {
        model.scorer =
            Scorer { version: "rules/default.json".into(), threshold: HAND_RULES_THRESHOLD };
        rows.iter_mut().for_each(|row| row.score = row.rules);
    }
    let compared = previous.as_ref().map(|previous| &previous.scorer);
    let mut evaluation = evaluate(&rows, &model.scorer, compared)
        .ok_or_else(|| BadInput::new("no rows to measure"))?;
    if args.policy == Decider::Rules {
        evaluation.policy.name = "rules";
    }
    write_report(args, &evaluation, &rows, signal.as_ref())?;
    if args.json {
        let output = Output { evaluation: &evaluation, problems: problems.counts() };
        print(serde_json::to_string(&output)?)
    } else {
        print_with(|out| table(out, &evaluation))
    }
}

/// The rows to measure.
fn selection<'a>(args: &'a Args, model: &Model, default: Partition) -> Selection<'a> {
    let models = args.target.clone().zip(args.strongest.clone());
    Selection {
        data: &args.data,
        strict: args.strictness.strict,
        partition: args.split.unwrap_or(default),
        models: models.map(|(cheap, strong)| ScoredModels { cheap, strong }),
        objective: model.objective,
    }
}

fn write_rows(args: &Args, model: &Model, previous: Option<&Model>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    score_rows(
        &selection(args, model, Partition::All),
        &classifiers(model, previous),
        |row, features| model.score(previous, row, features),
        |row, _, _| {
            serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
            Ok(out.write_all(b"\n")?)
        },
    )?;
    Ok(out.flush()?)
}

fn collect(
    args: &Args,
    model: &Model,
    previous: Option<&Model>,
) -> anyhow::Result<(Vec<ScoredRow>, Problems, Option<Signal>)> {
    let mut signal = (args.report.is_some() || args.plots.is_some()).then(SignalReader::default);
    let mut rows = Vec::new();
    let problems = score_rows(
        &selection(args, model, Partition::HeldOut),
        &classifiers(model, previous),
        |row, features| model.score(previous, row, features),
        |row, features, line| {
            if let Some(signal) = &mut signal {
                signal.add(features, || body_of(line));
            }
            rows.push(row);
            Ok(())
        },
    )?;
    let signal = signal.map(|signal| signal.finish(&rows, &model.classifier)).transpose()?;
    Ok((rows, problems, signal.flatten()))
}

fn classifiers<'a>(model: &'a Model, previous: Option<&'a Model>) -> Vec<&'a Classifier> {
    std::iter::once(model).chain(previous).map(|model| &model.classifier).collect()
}

fn write_report(
    args: &Args,
    evaluation: &Evaluation,
    rows: &[ScoredRow],
    signal: Option<&Signal>,
) -> anyhow::Result<()> {
    if args.report.is_none() && args.plots.is_none() {
        return Ok(());
    }
    let learning_curve = learning_curve(args.model.as_deref())?;
    let report = EvaluationReport { evaluation, rows, signal, learning_curve: &learning_curve };
    let plots = report.plots()?;
    write_page(args.report.as_deref(), args.plots.as_deref(), &plots, || report.html(&plots))
}

/// `learning-curve.json` of a model's directory, which `train --learning-curve` writes.
fn learning_curve(model: Option<&Path>) -> anyhow::Result<Vec<LearningStep>> {
    let Some(path) = model.map(|directory| directory.join("learning-curve.json")) else {
        return Ok(Vec::new());
    };
    let Ok(bytes) = std::fs::read(&path) else { return Ok(Vec::new()) };
    let mut steps: Vec<LearningStep> = serde_json::from_slice(&bytes)
        .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))?;
    steps.sort_by_key(|step| step.rows);
    Ok(steps)
}
