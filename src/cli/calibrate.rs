//! `pointsman calibrate`: a goal for quality or cost to a threshold.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{DataArgs, ObjectiveArg, Partition, amount, share};
use super::evaluate::{self, Selection};
use super::{BadInput, accept, models, print};
use pointsman_core::classifier::Objective;
use pointsman_core::config::Config;
use pointsman_core::router::Router;
use pointsman_lab::evaluate::accept::JointGoal;
use pointsman_lab::label::{Price, Usage, parse_price};
use pointsman_lab::learn::calibrate::{Calibration, Goal, Prices, calibrate};
use pointsman_lab::learn::scores::ScoredOutcome;

/// Find the threshold for a quality, a share of strong calls, or a budget
///
/// Prints the threshold with its 95 % interval, what it does and costs on the rows, and the
/// configuration to paste into the filter. With --with-model that configuration carries the model,
/// so that it reaches a running Envoy without a new .wasm.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("goal").required(true))]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Directory with model.onnx and manifest.json; the built-in model when omitted
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Directory of a judge of answers: find its threshold together with that of routing, on rows with
    /// `cheap_answer`
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["strong_share", "config", "with_model", "config_only"]
    )]
    accept: Option<PathBuf>,
    /// Question to answer, and of labels where rows record the quality of both answers [default:
    /// the model's]
    #[arg(long, value_enum)]
    objective: Option<ObjectiveArg>,
    /// Rows to calibrate on
    #[arg(long, value_enum, default_value_t = Partition::HeldOut)]
    split: Partition,
    /// Keep at least this share of the strong model's mean quality, 0 to 1
    #[arg(long, group = "goal", value_parser = share)]
    quality: Option<f64>,
    /// Send at most this share of requests to the strong model, 0 to 1
    #[arg(long, group = "goal", value_parser = share)]
    strong_share: Option<f64>,
    /// Spend at most this on --requests; needs prices
    #[arg(long, group = "goal", value_name = "USD", value_parser = amount)]
    budget: Option<f64>,
    /// Number of requests that the budget and the printed costs are for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Mean cost of a request to the cheap model
    #[arg(long, requires = "strong_cost", value_name = "USD", value_parser = amount)]
    cheap_cost: Option<f64>,
    /// Mean cost of a request to the strong model
    #[arg(long, requires = "cheap_cost", value_name = "USD", value_parser = amount)]
    strong_cost: Option<f64>,
    /// Instead of costs: USD per million input and output tokens of the cheap model
    #[arg(
        long,
        requires = "strong_price",
        conflicts_with = "cheap_cost",
        value_name = "INPUT,OUTPUT",
        value_parser = parse_price
    )]
    cheap_price: Option<Price>,
    /// USD per million input and output tokens of the strong model
    #[arg(
        long,
        requires_all = ["cheap_price", "tokens"],
        value_name = "INPUT,OUTPUT",
        value_parser = parse_price
    )]
    strong_price: Option<Price>,
    /// Mean tokens of a request and of its answer
    #[arg(long, requires = "strong_price", value_name = "INPUT,OUTPUT", value_parser = tokens)]
    tokens: Option<Usage>,
    /// Filter configuration (JSON) to print with the new threshold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Include the model in the printed configuration
    #[arg(long, requires = "model")]
    with_model: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "config_only")]
    json: bool,
    /// Print only the configuration, for a file; the rest goes to stderr
    #[arg(long)]
    config_only: bool,
}

fn tokens(text: &str) -> Result<Usage, String> {
    let parts = text.split_once(',').and_then(|(input, output)| {
        Some(Usage { input: input.trim().parse().ok()?, output: output.trim().parse().ok()? })
    });
    parts.ok_or_else(|| "must be INPUT,OUTPUT, such as 600,250".to_owned())
}

/// Seed of the bootstrap: the same rows give the same interval.
const SEED: u64 = 1;

#[derive(Serialize)]
struct Output<'a> {
    rows: usize,
    calibration: &'a Calibration,
    /// What is wrong with the threshold; empty when nothing is.
    warnings: &'a [String],
    config: &'a Value,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let prices = prices(args)?;
    let requests = args.requests as f64;
    let goal = match (args.quality, args.strong_share, args.budget) {
        (Some(quality), ..) => Goal::Quality(quality),
        (_, Some(share), _) => Goal::StrongShare(share),
        (.., budget) => Goal::Budget(budget.unwrap_or_default() / requests),
    };
    if let Some(judge) = &args.accept {
        return accept::calibrate(&accept::Asked {
            judge,
            router: args.model.as_deref(),
            objective: args.objective,
            data: &args.data.data,
            strict: args.data.strictness.strict,
            partition: args.split,
            goal: match goal {
                Goal::Quality(quality) => JointGoal::Quality(quality),
                Goal::Budget(budget) | Goal::StrongShare(budget) => JointGoal::Budget(budget),
            },
            prices,
            requests: args.requests,
            json: args.json,
        });
    }
    let (classifier, objective) = models::load_for(args.model.as_deref(), args.objective)?;
    let mut outcomes: Vec<ScoredOutcome> = Vec::new();
    let selection = Selection {
        data: &args.data.data,
        strict: args.data.strictness.strict,
        partition: args.split,
        models: None,
        objective,
    };
    evaluate::score_rows(
        &selection,
        &[&classifier],
        |row, features| Ok(evaluate::scored(evaluate::score(&classifier, 0, row, features)?, row)),
        |row, _, _| {
            outcomes.push(row.outcome());
            Ok(())
        },
    )?;
    let calibration = calibrate(&outcomes, goal, prices, SEED)
        .ok_or_else(|| BadInput::new("no rows to calibrate on"))?;
    let name = classifier.manifest().targets.first().map_or("cheap", |target| &target.name);
    let answered = classifier.objective().filter(|answered| *answered == objective);
    let config = config(args, name, calibration.threshold, answered)?;
    let warnings = warnings(&calibration, goal, prices);
    warnings.iter().for_each(|warning| report!("warning: {warning}"));
    if args.json {
        let rows = outcomes.len();
        let output =
            Output { rows, calibration: &calibration, warnings: &warnings, config: &config };
        return print(serde_json::to_string(&output)?);
    }
    let lines = describe(&calibration, outcomes.len(), args.requests);
    let config = serde_json::to_string_pretty(&config)?;
    if args.config_only {
        report!("{lines}");
        print(config)
    } else {
        print(format_args!("{lines}\n\n{config}"))
    }
}

fn prices(args: &Args) -> Result<Option<Prices>, BadInput> {
    let by_token = args.cheap_price.zip(args.strong_price).zip(args.tokens);
    let prices = match by_token {
        Some(((cheap, strong), tokens)) => Some((cheap.of(tokens), strong.of(tokens))),
        None => args.cheap_cost.zip(args.strong_cost),
    };
    match prices {
        Some((cheap, strong)) if cheap >= strong => Err(BadInput::new(format!(
            "a request costs {cheap} with the cheap model and {strong} with the strong one: \
             there is nothing to save"
        ))),
        Some((cheap, strong)) => Ok(Some(Prices { cheap, strong })),
        None if args.budget.is_some() => Err(BadInput::new("a budget needs prices").hint(
            "pass --cheap-cost and --strong-cost, or --cheap-price, --strong-price and --tokens",
        )),
        None => Ok(None),
    }
}

/// The configuration with the threshold, what it is a threshold of and, when asked for, the model,
/// accepted by the filter's own checks.
fn config(
    args: &Args,
    name: &str,
    threshold: f32,
    objective: Option<Objective>,
) -> anyhow::Result<Value> {
    let mut config = match &args.config {
        Some(path) => read_config(path)?,
        None => json!({"targets": [
            {"name": name, "cluster": name}, {"name": "strong", "cluster": "strong"}]}),
    };
    config["targets"][0]["threshold"] = json!(threshold);
    let says_more = objective.is_some() || args.with_model;
    if says_more && !config["policy"].is_object() {
        config["policy"] = json!({});
    }
    if let Some(objective) = objective {
        config["policy"]["objective"] = json!(objective.name());
    }
    if let Some(directory) = args.model.as_deref().filter(|_| args.with_model) {
        let (onnx, manifest) = models::files(directory)?;
        let manifest: Value = serde_json::from_slice(&manifest)?;
        config["policy"]["classifier"]["model"] =
            json!({"onnx": BASE64_STANDARD.encode(onnx), "manifest": manifest});
    }
    let checked = Config::from_json(config.to_string().as_bytes()).map_err(BadInput::new)?;
    Router::new(checked).map_err(BadInput::new)?;
    Ok(config)
}

fn read_config(path: &Path) -> Result<Value, BadInput> {
    let refused = |error: String| BadInput::new(format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    Config::from_json(&bytes).map_err(|errors| refused(errors.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))
}

fn warnings(calibration: &Calibration, goal: Goal, prices: Option<Prices>) -> Vec<String> {
    let mut warnings = Vec::new();
    let threshold = calibration.threshold;
    if calibration.strong_share == 1.0 {
        warnings.push(format!(
            "the threshold {threshold} never fires: no score reaches it, and every request goes \
             to the strong model"
        ));
    }
    if calibration.strong_share == 0.0 {
        warnings.push(format!(
            "the threshold {threshold} always fires: every score reaches it, and no request goes \
             to the strong model"
        ));
    }
    if let (Goal::Budget(budget), Some(prices)) = (goal, prices)
        && budget < prices.cheap
    {
        warnings.push("the budget does not even pay for the cheap model".to_owned());
    }
    warnings
}

fn describe(calibration: &Calibration, rows: usize, requests: u64) -> String {
    let percent = |[low, high]: [f64; 2]| format!("{:.1} to {:.1} %", low * 100.0, high * 100.0);
    let Calibration { threshold, threshold_ci95: [low, high], .. } = calibration;
    let [quality_low, quality_high] = calibration.quality_ci95;
    let mut lines = format!(
        "threshold     {threshold:.4} (95 % interval {low:.4} to {high:.4})\n\
         rows          {rows}\n\
         strong calls  {:.1} % ({})\n\
         quality       {:.4} ({quality_low:.4} to {quality_high:.4}); always cheap {:.4}, always \
         strong {:.4}",
        calibration.strong_share * 100.0,
        percent(calibration.strong_share_ci95),
        calibration.quality,
        calibration.always_cheap_quality,
        calibration.always_strong_quality
    );
    if let (Some(cost), Some(strong), Some(savings)) =
        (calibration.cost, calibration.always_strong_cost, calibration.savings)
    {
        let [cost, strong] = [cost, strong].map(|dollars| dollars * requests as f64);
        lines += &format!(
            "\ncost          {cost:.6} for {requests} requests, always strong {strong:.6}: \
             {:.1} % saved",
            savings * 100.0
        );
    }
    lines
}
