//! `pointsman evaluate`: how good a model is on labelled rows.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::{BadInput, bytes_bar, dataset_error, report_bad_lines, report_reading};
use crate::classifier::Classifier;
use crate::evaluate::figures::LearningStep;
use crate::evaluate::report::{self, Report};
use crate::evaluate::signal::{Signal, SignalReader};
use crate::evaluate::{
    Evaluation, HAND_RULES_THRESHOLD, ScoredRow, Scorer, Standing, evaluate, hand_rules,
};
use crate::features::Features;
use crate::learn::metrics::Metrics;
use crate::learn::{BadLine, Lines, Reject, Row, ScoredModels, Split, body_of, read_compared_rows};

/// Measure a model on labelled rows, beside every baseline
///
/// Scores come from the engine that the filter runs. The positive class is "the strong model is
/// required".
#[derive(clap::Args)]
pub(super) struct Args {
    /// JSONL or gzipped JSONL with labelled rows; several files are read in turn, `-` is standard
    /// input
    #[arg(long, num_args = 1.., value_name = "FILE", default_value = "-")]
    data: Vec<PathBuf>,
    /// Stop at the first line that is no row, instead of skipping it
    #[arg(long)]
    strict: bool,
    /// Directory with model.onnx and manifest.json; the built-in model when absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// One target of a model with several, by its name in the rows' `scores` or `models`
    #[arg(long, requires = "strongest", conflicts_with = "scored")]
    target: Option<String>,
    /// The strongest target's name in the rows
    #[arg(long, requires = "target")]
    strongest: Option<String>,
    /// Another model's directory: what is the gain over it?
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// Who decides: the model, or the shipped hand rules
    #[arg(long, value_enum, default_value_t = Decider::Classifier, conflicts_with_all = ["compare", "rows"])]
    policy: Decider,
    /// Which rows [default: val; all with --rows or --scored]
    #[arg(long, value_enum)]
    split: Option<Part>,
    /// Write a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the page's plots as SVG, and the numbers behind them as CSV
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Only score: a line for each row, in the same order, for a later --scored
    #[arg(long, conflicts_with_all = ["report", "plots", "scored", "json"])]
    rows: bool,
    /// The data are scored rows that --rows wrote
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

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Part {
    Val,
    Train,
    All,
}

impl Part {
    pub(super) fn holds(self, split: Split) -> bool {
        match self {
            Part::Val => split == Split::Val,
            Part::Train => split == Split::Train,
            Part::All => true,
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.data == [Path::new("-")] && std::io::stdin().is_terminal() {
        return Err(BadInput::new("no rows: give --data FILE, or pipe rows in").into());
    }
    let target = args.target.as_deref();
    let mut model = Model::load(args.model.as_deref(), target)?;
    let previous =
        args.compare.as_deref().map(|path| Model::load(Some(path), target)).transpose()?;
    if args.rows {
        return write_rows(args, &model, previous.as_ref());
    }
    let (mut rows, signal) = if args.scored {
        (read_scored(&args.data, args.strict)?, None)
    } else {
        collect(args, &model, previous.as_ref())?
    };
    if args.policy == Decider::Rules {
        model.scorer =
            Scorer { version: "rules/default.json".into(), threshold: HAND_RULES_THRESHOLD };
        rows.iter_mut().for_each(|row| row.score = row.rules);
    }
    let compared = previous.as_ref().map(|previous| &previous.scorer);
    let Some(mut evaluation) = evaluate(&rows, &model.scorer, compared) else {
        let error = BadInput::new("no rows of this split");
        return Err(error.hint("--split all takes every row").into());
    };
    if args.policy == Decider::Rules {
        evaluation.policy.name = "rules";
    }
    write_report(args, &evaluation, &rows, signal.as_ref())?;
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print_table(&evaluation);
    }
    Ok(())
}

/// A model with what is told of it.
struct Model {
    classifier: Classifier,
    /// Position of the target that is measured.
    target: usize,
    scorer: Scorer,
}

impl Model {
    fn load(directory: Option<&Path>, name: Option<&str>) -> anyhow::Result<Model> {
        let classifier = load(directory)?;
        let manifest = classifier.manifest();
        let target = match name {
            None => 0,
            Some(name) => {
                let found = manifest.targets.iter().position(|target| target.name == name);
                found.ok_or_else(|| {
                    let names: Vec<&str> =
                        manifest.targets.iter().map(|target| &*target.name).collect();
                    let known = names.join(", ");
                    BadInput::new(format!("--target {name}: the model scores {known}"))
                })?
            }
        };
        let threshold = manifest.targets.get(target).map_or(0.5, |target| target.threshold);
        let scorer = Scorer { version: manifest.version.clone(), threshold };
        Ok(Model { classifier, target, scorer })
    }

    fn score(&self, row: &Row, features: &Features) -> anyhow::Result<f32> {
        score(&self.classifier, self.target, row, features)
    }
}

pub(super) fn load(directory: Option<&Path>) -> anyhow::Result<Classifier> {
    let Some(directory) = directory else {
        return Classifier::embedded().map_err(|error| anyhow::anyhow!("built-in model: {error}"));
    };
    let (onnx, manifest) = files(directory)?;
    Classifier::load(&onnx, &manifest)
        .map_err(|error| BadInput::new(format!("{}: {error}", directory.display())).into())
}

/// `model.onnx` and `manifest.json` of a model's directory.
pub(super) fn files(directory: &Path) -> Result<(Vec<u8>, Vec<u8>), BadInput> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|error| {
            BadInput::new(format!("{}: {error}", path.display()))
                .hint("a model is a directory that `pointsman train --out` wrote")
        })
    };
    Ok((read("model.onnx")?, read("manifest.json")?))
}

/// Calls `visit` with every row of a part of the data, scored.
pub(super) fn score_rows(
    data: &[PathBuf],
    strict: bool,
    part: Part,
    models: Option<ScoredModels>,
    score: impl Fn(&Row, &Features) -> anyhow::Result<ScoredRow>,
    mut visit: impl FnMut(ScoredRow, &Features, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let bar = bytes_bar(data);
    let mut failure = None;
    let progress = |bytes| bar.inc(bytes);
    let reading = read_compared_rows(data, strict, models, progress, |row, features, line| {
        if !part.holds(row.split) || failure.is_some() {
            return;
        }
        let visited = score(&row, features).and_then(|scored| visit(scored, features, line));
        failure = visited.err();
    })
    .map_err(dataset_error)?;
    bar.finish_and_clear();
    report_reading(&reading);
    failure.map_or(Ok(()), Err)
}

/// The score of one target, by position.
pub(super) fn score(
    classifier: &Classifier,
    target: usize,
    row: &Row,
    features: &Features,
) -> anyhow::Result<f32> {
    let scores =
        classifier.scores(features).map_err(|error| anyhow::anyhow!("row {}: {error}", row.id))?;
    Ok(scores.get(target).copied().unwrap_or_default())
}

/// A row under a score, without a previous one.
pub(super) fn scored(score: f32, row: &Row, features: &Features) -> ScoredRow {
    ScoredRow {
        id: row.id.clone(),
        source: row.source.clone(),
        score,
        cheap_ok: row.cheap_ok,
        cheap: row.cheap,
        strong: row.strong,
        rules: hand_rules(features),
        previous: None,
    }
}

/// The two models whose answers make the label.
fn models(args: &Args) -> Option<ScoredModels> {
    let (cheap, strong) = args.target.clone().zip(args.strongest.clone())?;
    Some(ScoredModels { cheap, strong })
}

fn both(
    model: &Model,
    previous: Option<&Model>,
    row: &Row,
    features: &Features,
) -> anyhow::Result<ScoredRow> {
    let previous = previous.map(|previous| previous.score(row, features)).transpose()?;
    Ok(ScoredRow { previous, ..scored(model.score(row, features)?, row, features) })
}

fn write_rows(args: &Args, model: &Model, previous: Option<&Model>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    score_rows(
        &args.data,
        args.strict,
        args.split.unwrap_or(Part::All),
        models(args),
        |row, features| both(model, previous, row, features),
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
) -> anyhow::Result<(Vec<ScoredRow>, Option<Signal>)> {
    let mut signal = (args.report.is_some() || args.plots.is_some()).then(SignalReader::default);
    let mut rows = Vec::new();
    score_rows(
        &args.data,
        args.strict,
        args.split.unwrap_or(Part::Val),
        models(args),
        |row, features| both(model, previous, row, features),
        |row, features, line| {
            if let Some(signal) = &mut signal {
                signal.add(features, || body_of(line));
            }
            rows.push(row);
            Ok(())
        },
    )?;
    let signal = signal.map(|signal| signal.finish(&rows, &model.classifier)).transpose()?;
    Ok((rows, signal.flatten()))
}

fn read_scored(data: &[PathBuf], strict: bool) -> anyhow::Result<Vec<ScoredRow>> {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for file in data {
        let open = |error| BadInput::new(format!("{}: {error}", file.display()));
        let mut lines = Lines::open(file).map_err(open)?;
        while let Some((number, line, _)) = lines.next_line().map_err(open)? {
            match ScoredRow::parse(line) {
                Ok(row) => rows.push(row),
                Err(why) => {
                    let reject = Reject::Json(why);
                    let line = BadLine { file: file.clone(), line: number, reject };
                    if strict {
                        return Err(BadInput::new(line).into());
                    }
                    bad.push(line);
                }
            }
        }
    }
    report_bad_lines(&bad);
    Ok(rows)
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
    let report = Report { evaluation, rows, signal, learning_curve: &learning_curve };
    let plots = report.plots()?;
    let cannot = |path: &Path, error| anyhow::anyhow!("{}: {error}", path.display());
    if let Some(path) = &args.report {
        let page = report.html(&plots);
        report::replace(path, page.as_bytes()).map_err(|error| cannot(path, error))?;
    }
    if let Some(path) = &args.plots {
        report::write_plots(path, &plots).map_err(|error| cannot(path, error))?;
    }
    Ok(())
}

/// `learning-curve.json` of a model's directory, which training writes when it is asked to.
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

fn print_table(evaluation: &Evaluation) {
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
    for (source, metrics) in &evaluation.by_source {
        line(if source.is_empty() { "(none)" } else { source }, metrics);
    }
    line("all", &evaluation.metrics);
    let m = &evaluation.metrics;
    if let Some([low, high]) = m.auroc_ci95 {
        println!("\nAUROC 95 % interval {low:.3} to {high:.3}");
    }
    if let Some(within) = evaluation.auroc_within_source.filter(|_| evaluation.by_source.len() > 1)
    {
        println!("AUROC within sources {within:.3}");
    }
    println!("Brier {:.4}, calibration error {:.4}", m.brier, m.ece);
    println!(
        "\n{:24} {:>8} {:>8} {:>8} {:>26}",
        format!("threshold {:.3}", evaluation.threshold),
        "strong",
        "accuracy",
        "quality",
        "gain in quality (95 %)"
    );
    let standing = |name: &str, standing: &Standing| {
        let gain = standing.gain.map_or(String::new(), |gain| {
            let [low, high] = gain.quality.ci95;
            format!("{:+.3} ({low:+.3} to {high:+.3})", gain.quality.value)
        });
        println!(
            "{:24} {:>6.1} % {:>8.3} {:>8.3} {gain:>26}",
            name.replace('_', " "),
            standing.strong_share * 100.0,
            standing.accuracy.value,
            standing.quality.value
        );
    };
    standing("this model", &evaluation.policy.standing);
    for (name, baseline) in &evaluation.baselines {
        standing(name, baseline);
    }
}
