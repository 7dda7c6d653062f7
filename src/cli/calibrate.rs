//! `pointsman calibrate`: a wish about quality or cost to a threshold.

use std::path::PathBuf;

use serde_json::json;

use super::evaluate::{self, Part};
use super::{BadInput, DataArgs};
use crate::learn::calibrate::{Calibration, Goal, Prices, calibrate};

/// Find the threshold for a wanted quality, share of strong calls, or budget
///
/// Prints the threshold with its 95 % interval, what it does on the rows, and the configuration to
/// paste into the filter.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("goal").required(true))]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Directory with model.onnx and manifest.json; the built-in model when absent
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Part::Val)]
    split: Part,
    /// Keep at least this share of the strong model's mean quality, 0 to 1
    #[arg(long, group = "goal", value_parser = share)]
    quality: Option<f64>,
    /// Send at most this share of requests to the strong model, 0 to 1
    #[arg(long, group = "goal", value_parser = share)]
    strong_share: Option<f64>,
    /// Spend at most this on a mean request; needs both costs
    #[arg(long, group = "goal", requires = "cheap_cost", requires = "strong_cost")]
    budget: Option<f64>,
    /// Mean cost of a request to the cheap model, in any currency
    #[arg(long, requires = "strong_cost")]
    cheap_cost: Option<f64>,
    /// Mean cost of a request to the strong model
    #[arg(long, requires = "cheap_cost")]
    strong_cost: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("must be from 0 to 1".to_owned()) }
}

/// Seed of the bootstrap: the same rows give the same interval.
const SEED: u64 = 1;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let goal = match (args.quality, args.strong_share, args.budget) {
        (Some(quality), ..) => Goal::Quality(quality),
        (_, Some(share), _) => Goal::StrongShare(share),
        (.., budget) => Goal::Budget(budget.unwrap_or_default()),
    };
    let prices =
        args.cheap_cost.zip(args.strong_cost).map(|(cheap, strong)| Prices { cheap, strong });
    if let Some(Prices { cheap, strong }) = prices
        && !(0.0 <= cheap && cheap < strong)
    {
        let message = format!("--cheap-cost {cheap} must be below --strong-cost {strong}");
        return Err(BadInput::new(message).into());
    }
    let classifier = evaluate::load(args.model.as_deref())?;
    let sources = evaluate::outcomes(&args.data, args.split, &classifier)?;
    let all: Vec<_> = sources.into_values().flatten().collect();
    let calibration =
        calibrate(&all, goal, prices, SEED).ok_or_else(|| BadInput::new("no rows to look at"))?;
    warn_when_degenerate(&calibration);
    let target = classifier.manifest().targets.first().map_or("cheap", |target| &target.name);
    let snippet = json!({"targets": [
        {"name": target, "cluster": target, "threshold": calibration.threshold},
        {"name": "strong", "cluster": "strong"}]});
    if args.json {
        println!("{}", json!({"rows": all.len(), "calibration": calibration, "config": snippet}));
        return Ok(());
    }
    print(&calibration, all.len());
    println!("\n{}", serde_json::to_string_pretty(&snippet)?);
    Ok(())
}

fn warn_when_degenerate(calibration: &Calibration) {
    if calibration.strong_share == 0.0 {
        eprintln!("warning: this threshold never fires: no request goes to the strong model");
    }
    if calibration.strong_share == 1.0 {
        eprintln!("warning: this threshold always fires: every request goes to the strong model");
    }
}

fn print(calibration: &Calibration, rows: usize) {
    let [low, high] = calibration.threshold_ci95;
    println!("threshold {:.4} (95 % interval {low:.4} to {high:.4})", calibration.threshold);
    println!(
        "on {rows} rows: {:.1} % strong calls, quality {:.4} of {:.4} always strong",
        calibration.strong_share * 100.0,
        calibration.quality,
        calibration.always_strong_quality
    );
    if let Some((cost, savings)) = calibration.cost.zip(calibration.savings) {
        println!("cost {cost:.6} a request, {:.1} % less than always strong", savings * 100.0);
    }
}
