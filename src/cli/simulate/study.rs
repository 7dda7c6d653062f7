//! `pointsman simulate study`: the report.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::super::args::AlgorithmArg;
use super::super::{BadInput, dataset_error, open_error, print, print_with, style};
use super::drift::DriftArg;
use crate::simulate::{
    CacheOptions, Drift, LevelOptions, Models, PairsError, Pool, Questions, Study, Trace,
    TraceError, behind, compounding, levels, uniform, wordings,
};
use pointsman_lab::files::replace;
use pointsman_lab::report::write_plots;

/// Compare strategies at traffic levels, and write a report
///
/// Compares rules, a classifier that is trained on labels of the traffic, and the bandit, at one
/// thousand to one million requests per period, without and with a change of the models in the
/// middle.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// JSONL or gzipped JSONL with the scores of both models
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Recorded arrivals and answer sizes: CSV of the Azure LLM inference traces; Poisson when omitted
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// JSONL with `text_a`, `text_b` and `label`, 1 where both ask the same: traffic for the caches
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Write report.html, study.json, and each plot as SVG and CSV to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Requests per period
    #[arg(long, value_delimiter = ',', default_values_t = LevelOptions::default().levels,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    levels: Vec<usize>,
    /// Number of runs, each with its own traffic
    #[arg(long, default_value_t = LevelOptions::default().seeds,
          value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// λ: reward that a call of the strong target costs
    #[arg(long, default_value_t = LevelOptions::default().lambda)]
    lambda: f32,
    /// Price of the cheap target, as a share of the strong one's
    #[arg(long, default_value_t = LevelOptions::default().cheap_price)]
    cheap_price: f32,
    /// What happens in the middle of the period, in the runs with a change
    #[arg(long, value_enum, default_value_t = DriftArg::Swap)]
    drift: DriftArg,
    /// Share of the requests that repeat an earlier one
    #[arg(long, default_value_t = LevelOptions::default().repeat_share, value_parser = share)]
    repeat_share: f64,
    /// Share of the requests that are labelled
    #[arg(long, default_value_t = LevelOptions::default().label_share, value_parser = share)]
    label_share: f64,
    /// Share of the bandit's decisions that get a reward
    #[arg(long, default_value_t = LevelOptions::default().feedback_share, value_parser = share)]
    feedback_share: f64,
    /// Kind of classifier to train
    #[arg(long, value_enum, default_value_t = AlgorithmArg::Trees)]
    algorithm: AlgorithmArg,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Most questions that are taken from pairs.
const MOST_PAIRED: usize = 20_000;

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| "must be 0 to 1".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let pool = Pool::read_unscored(&args.data).map_err(dataset_error)?;
    if pool.items.is_empty() {
        return Err(BadInput::new(
            "--data: no valid rows; a row needs `scores.cheap` and `scores.strong`",
        )
        .into());
    }
    let trace = match &args.trace {
        Some(path) => Trace::read(path).map_err(|error| match error {
            TraceError::Io { file, error } => open_error(Path::new(&file))(error),
            error => BadInput::new(error),
        })?,
        None => Trace::poisson(&mut SmallRng::seed_from_u64(0)),
    };
    let pairs = args.pairs.as_ref().map(|path| Questions::of_pairs(path, MOST_PAIRED));
    let pairs = pairs.transpose().map_err(|error| match error {
        PairsError::Io { file, error } => open_error(Path::new(&file))(error),
        error => BadInput::new(error),
    })?;
    let study = study(args, &pool, &trace, pairs.as_ref())?;
    if let Some(directory) = &args.out {
        write(&study, directory)?;
    }
    if args.json {
        print(serde_json::to_string(&study)?)
    } else {
        print_with(|out| {
            levels_table(out, &study)?;
            behind_table(out, &study)
        })
    }
}

fn study(
    args: &Args,
    pool: &Pool,
    trace: &Trace,
    pairs: Option<&Questions>,
) -> anyhow::Result<Study> {
    let options = LevelOptions {
        levels: args.levels.clone(),
        seeds: args.seeds,
        lambda: args.lambda,
        cheap_price: args.cheap_price,
        drift: args.drift.into(),
        repeat_share: args.repeat_share,
        label_share: args.label_share,
        feedback_share: args.feedback_share,
        algorithm: args.algorithm.into(),
        ..LevelOptions::default()
    };
    let bar = ProgressBar::new(args.seeds * args.levels.len() as u64)
        .with_style(style("{bar:30} {pos}/{len} runs at traffic levels"));
    let levels = levels(pool, trace, &options, || bar.inc(1));
    bar.finish_and_clear();

    let cache_options = CacheOptions::default();
    let models = Models::default();
    let seconds = [0, 1].map(|target| models.seconds(target, trace.mean_answer_tokens()));
    let rows = Questions::of_rows(pool, cache_options.wordings);
    let of_rows = wordings(&rows)?;
    let right = pool.right(options.penalties());
    let forced = |name, wordings: &_, right: &(dyn Fn(u64) -> Vec<usize> + Sync)| {
        compounding(name, wordings, trace, &cache_options, seconds, right)
    };
    let mut caches = vec![forced("rows, made-up paraphrases", &of_rows, &|_| right.clone())];
    let behind = behind(pool, &rows, &of_rows, trace, &options, &cache_options, &models);
    if let Some(pairs) = pairs {
        let of_pairs = wordings(pairs)?;
        let drawn = |seed: u64| {
            let strong = |question| uniform(!seed, question) >= cache_options.cheap_share;
            (0..pairs.of_question.len()).map(|question| usize::from(strong(question))).collect()
        };
        caches.push(forced("pairs that people wrote", &of_pairs, &drawn));
    }
    let prompts = pool.items.len();
    Ok(Study { prompts, options, levels, cache_options, caches, models, behind })
}

fn write(study: &Study, directory: &Path) -> anyhow::Result<()> {
    let plots = study.plots()?;
    write_plots(directory, &plots)?;
    replace(&directory.join("study.json"), &serde_json::to_vec_pretty(study)?)?;
    let report = directory.join("report.html");
    replace(&report, study.html(&plots).as_bytes())?;
    report!("report: {}", report.display());
    Ok(())
}

fn levels_table(out: &mut dyn Write, study: &Study) -> std::io::Result<()> {
    writeln!(
        out,
        "{:>9} {:8} {:22} {:>16} {:>16} {:>8} {:>7} {:>7}",
        "requests", "change", "strategy", "reward", "above strong", "accuracy", "strong", "labels"
    )?;
    for level in &study.levels {
        writeln!(
            out,
            "{:>9} {:8} {:22} {:>7.4} ± {:.4} {:>7.4} ± {:.4} {:>8.3} {:>5.1} % {:>7.0}",
            level.requests,
            if level.drift == Drift::None { "no" } else { "yes" },
            level.strategy,
            level.reward.mean,
            2.0 * level.reward.error,
            level.gain.mean,
            2.0 * level.gain.error,
            level.accuracy.mean,
            level.strong_share.mean * 100.0,
            level.labels
        )?;
    }
    Ok(())
}

fn behind_table(out: &mut dyn Write, study: &Study) -> std::io::Result<()> {
    writeln!(
        out,
        "\n{:22} {:6} {:>8} {:>7} {:>9} {:>7} {:>12} {:>7} {:>7}",
        "policy",
        "caches",
        "accuracy",
        "hits",
        "effective",
        "false",
        "USD/million",
        "mean s",
        "p95 s"
    )?;
    for behind in &study.behind {
        writeln!(
            out,
            "{:22} {:6} {:>8.3} {:>5.1} % {:>7.1} % {:>5.2} % {:>12.0} {:>7.2} {:>7.2}",
            behind.policy,
            if behind.cached { "yes" } else { "no" },
            behind.accuracy.mean,
            behind.hit.mean * 100.0,
            behind.effective.mean * 100.0,
            behind.false_hit.mean * 100.0,
            behind.spend.mean,
            behind.seconds.mean,
            behind.seconds_p95.mean
        )?;
    }
    Ok(())
}
