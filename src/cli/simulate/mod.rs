//! `pointsman simulate`: strategies side by side on recorded prompts.

use std::io::Write;
use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;

use self::drift::DriftArg;
use super::args::{Partition, explorer};
use super::{BadInput, dataset_error, models, print, print_with, style};
use crate::simulate::{Pool, Run, Strategy, run as play};
use pointsman_control_plane::bandit::{ControllerOptions, Event, Prior};
use pointsman_core::policy::bandit::Explorer;

mod drift;
mod study;

/// Simulate routing strategies on recorded prompts
///
/// Rows have the quality of both models' answers, so the reward of every choice is known: quality
/// less λ times cost. All strategies see the same prompts in the same order. Without a subcommand:
/// the frozen classifier and the bandit over time.
#[derive(clap::Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// JSONL or gzipped JSONL with the scores of both models
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Rows to play: `val` for a model that was trained on the others
    #[arg(long, value_enum, default_value = "all")]
    split: Partition,
    /// Directory with model.onnx and manifest.json; the built-in model when omitted
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Requests per run
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// Number of runs, each on its own stream
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// λ: reward that a call of the strong target costs
    #[arg(long, default_value_t = 0.2)]
    lambda: f32,
    /// Price of the cheap target, as a share of the strong one's
    #[arg(long, default_value_t = 0.04)]
    cheap_price: f32,
    /// What happens in the middle of the run
    #[arg(long, value_enum, default_value_t = DriftArg::None)]
    drift: DriftArg,
    /// Requests before the change
    #[arg(long, default_value_t = 50_000)]
    drift_at: usize,
    /// Requests between a decision and its reward
    #[arg(long, default_value_t = 200)]
    delay: usize,
    /// Requests between two steps of the control plane
    #[arg(long, default_value_t = 500)]
    publish_every: usize,
    /// Explorer, as JSON: {"kind": "square_cb", "gamma": 1000}
    #[arg(long, value_parser = explorer)]
    explorer: Option<Explorer>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    Study(study::Args),
}

/// Requests of a window in the report.
const WINDOW: usize = 2000;

#[derive(Serialize)]
struct SimulationReport {
    requests: usize,
    seeds: u64,
    threshold: f32,
    strategies: Vec<StrategyResult>,
}

/// Means over the seeds.
#[derive(Serialize)]
struct StrategyResult {
    name: &'static str,
    reward: f64,
    strong_share: f64,
    explored_share: f64,
    /// Mean reward in windows of 2,000 requests.
    windows: Vec<f64>,
    /// Events of the first seed.
    events: Vec<Event>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(Command::Study(args)) = &args.command {
        return study::run(args);
    }
    let classifier = models::load(args.model.as_deref())?;
    let mut pool = Pool::read(&args.data, &classifier).map_err(dataset_error)?;
    pool.items.retain(|item| args.split.holds(item.row.split));
    if pool.items.is_empty() {
        return Err(BadInput::new(
            "--data: no valid rows; a row needs `scores.cheap` and `scores.strong`",
        )
        .into());
    }
    let penalties = [args.lambda * args.cheap_price, args.lambda];
    // The frozen classifier gets the threshold that is best on these prompts.
    let threshold = pool.best_threshold(penalties);
    let report = SimulationReport {
        requests: args.requests,
        seeds: args.seeds,
        threshold,
        strategies: play_all(args, &pool, penalties, threshold),
    };
    if args.json {
        print(serde_json::to_string(&report)?)
    } else {
        print_with(|out| table(out, &report))
    }
}

fn play_all(args: &Args, pool: &Pool, penalties: [f32; 2], threshold: f32) -> Vec<StrategyResult> {
    let names = vec!["cheap".to_owned(), "strong".to_owned()];
    let mut options = ControllerOptions::new(names, penalties.to_vec());
    if let Some(explorer) = args.explorer {
        options.explorer = explorer;
    }
    let bandit = |prior| Strategy::Bandit { options: Box::new(options.clone()), prior };
    let strategies = [
        ("always_cheap", Strategy::AlwaysCheap),
        ("always_strong", Strategy::AlwaysStrong),
        ("classifier", Strategy::Classifier { threshold }),
        ("bandit_warm", bandit(Prior::warm(&[threshold], &penalties))),
        ("bandit_cold", bandit(Prior::cold(2))),
    ];
    let bar = ProgressBar::new(args.seeds * strategies.len() as u64)
        .with_style(style("{bar:30} {pos}/{len} runs"));
    let played = strategies.iter().map(|(name, strategy)| {
        let mut played = StrategyResult {
            name,
            reward: 0.0,
            strong_share: 0.0,
            explored_share: 0.0,
            windows: vec![0.0; args.requests.div_ceil(WINDOW)],
            events: Vec::new(),
        };
        let all = (args.requests as u64 * args.seeds) as f64;
        for seed in 0..args.seeds {
            let setup = Run {
                pool,
                requests: args.requests,
                penalties,
                drift: args.drift.into(),
                drift_at: args.drift_at,
                delay: args.delay,
                publish_every: args.publish_every,
                seed,
            };
            let earned = play(&setup, strategy);
            for (mean, rewards) in played.windows.iter_mut().zip(earned.rewards.chunks(WINDOW)) {
                let sum: f64 = rewards.iter().map(|reward| f64::from(*reward)).sum();
                *mean += sum / rewards.len() as f64 / args.seeds as f64;
            }
            played.reward += earned.rewards.iter().map(|r| f64::from(*r)).sum::<f64>() / all;
            played.strong_share += earned.strong_calls as f64 / all;
            played.explored_share += earned.explored as f64 / all;
            if seed == 0 {
                played.events = earned.events;
            }
            bar.inc(1);
        }
        played
    });
    let played = played.collect();
    bar.finish_and_clear();
    played
}

fn table(out: &mut dyn Write, report: &SimulationReport) -> std::io::Result<()> {
    writeln!(out, "{:14} {:>8} {:>8} {:>9}", "strategy", "reward", "strong", "explored")?;
    for played in &report.strategies {
        writeln!(
            out,
            "{:14} {:>8.4} {:>6.1} % {:>7.1} %",
            played.name,
            played.reward,
            played.strong_share * 100.0,
            played.explored_share * 100.0
        )?;
    }
    writeln!(
        out,
        "\nmean reward per {WINDOW} requests; threshold of the classifier {:.2}",
        report.threshold
    )?;
    let names: Vec<&str> = report.strategies.iter().map(|played| played.name).collect();
    writeln!(
        out,
        "{:>8} {}",
        "from",
        names.iter().map(|name| format!("{name:>14}")).collect::<String>()
    )?;
    for window in 0..report.requests.div_ceil(WINDOW) {
        let means: String =
            report.strategies.iter().map(|p| format!("{:>14.4}", p.windows[window])).collect();
        writeln!(out, "{:>8} {means}", window * WINDOW)?;
    }
    Ok(())
}
