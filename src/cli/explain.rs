//! `pointsman explain`: why a request would go where it goes.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::BadInput;
use crate::config::Config;
use crate::decision::Decision;
use crate::features::{self, CHAR_BUCKETS, ENGINEERED, Features, LEN, SCHEMA};
use crate::policy::Facts;
use crate::prompt::ApiFormat;
use crate::router::Router;

/// Show how one request body would be routed, and which features speak for it
///
/// Decides with the code that the filter runs; no model is called. A contribution is how much the
/// cheap target's log-odds change when the feature is there instead of zero.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Request body (JSON); `-` reads stdin
    #[arg(default_value = "-", value_name = "FILE")]
    body: PathBuf,
    /// The filter's configuration (JSON); the built-in model and its threshold when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The request's path, which tells the API's format
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const DEFAULT_CONFIG: &[u8] =
    br#"{"targets": [{"name": "cheap", "cluster": "cheap"}, {"name": "strong", "cluster": "strong"}]}"#;

#[derive(Serialize)]
struct Explanation<'a> {
    format: &'static str,
    target: &'a str,
    cluster: &'a str,
    source: &'static str,
    reason: &'a str,
    score: Option<f32>,
    threshold: Option<f32>,
    model_version: &'a str,
    prompt_tokens_estimate: usize,
    contributions: Vec<Contribution>,
}

#[derive(Serialize)]
struct Contribution {
    feature: &'static str,
    /// The feature's value; for a block of n-grams, how many buckets are filled.
    value: f32,
    /// Change of the first target's log-odds.
    contribution: f32,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => read(path)?,
        None => DEFAULT_CONFIG.to_vec(),
    };
    let config = Config::from_json(&config).map_err(|errors| {
        let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        BadInput::new(lines.join("\n       "))
    })?;
    let router = Router::new(config).map_err(BadInput::new)?;
    let mut body = read(&args.body)?;
    let limit = router.config().max_body_bytes;
    let truncated = body.len() > limit;
    body.truncate(limit);
    let format = ApiFormat::of_path(args.path.as_bytes()).ok_or_else(|| {
        let error = BadInput::new(format!("--path {}: requests there pass undecided", args.path));
        error.hint("paths of ours end in /chat/completions, /completions, /responses, /v1/messages")
    })?;
    let facts = Facts { path: args.path.as_bytes(), ..Facts::default() };
    let (decision, contributions) = match router.read(format, &mut body, truncated) {
        Ok(prompt) => (
            router.decide_prompt(&prompt, &facts),
            contributions(&router, &features::extract(&prompt))?,
        ),
        Err(error) => (router.fall_back(error.into()), Vec::new()),
    };
    let explanation = explain(format, &router, &decision, contributions)?;
    if args.json {
        println!("{}", serde_json::to_string(&explanation)?);
    } else {
        print(&explanation);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, BadInput> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    result.map_err(|error| BadInput::new(format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

fn explain<'a>(
    format: ApiFormat,
    router: &'a Router,
    decision: &Decision,
    contributions: Vec<Contribution>,
) -> anyhow::Result<Explanation<'a>> {
    let target =
        router.target(decision).ok_or_else(|| anyhow::anyhow!("the decision names no target"))?;
    Ok(Explanation {
        format: format.name(),
        target: &target.name,
        cluster: &target.cluster,
        source: decision.source().name(),
        reason: router.config().reason_name(decision.reason),
        score: decision.score,
        threshold: decision.threshold,
        model_version: &router.classifier().manifest().version,
        prompt_tokens_estimate: decision.prompt_tokens_estimate,
        contributions,
    })
}

/// Contributions by occlusion: the log-odds with a feature minus those without it.
fn contributions(router: &Router, features: &Features) -> anyhow::Result<Vec<Contribution>> {
    let log_odds = |features: &Features| -> anyhow::Result<f32> {
        let score = router.classifier().scores(features)?.first().copied().unwrap_or_default();
        let score = score.clamp(1e-6, 1.0 - 1e-6);
        Ok((score / (1.0 - score)).ln())
    };
    let whole = log_odds(features)?;
    let words = ENGINEERED..LEN - CHAR_BUCKETS;
    let characters = LEN - CHAR_BUCKETS..LEN;
    let engineered = SCHEMA.iter().enumerate().map(|(at, feature)| (feature.name, at..at + 1));
    let blocks = [("(word n-grams)", words), ("(character n-grams)", characters)];
    let mut contributions = Vec::new();
    for (feature, range) in engineered.chain(blocks) {
        let values = &features.as_slice()[range.clone()];
        let filled = values.iter().filter(|value| **value != 0.0).count();
        if filled == 0 {
            continue;
        }
        let contribution = whole - log_odds(&features.without(range.clone()))?;
        let value = if range.len() == 1 { values[0] } else { filled as f32 };
        contributions.push(Contribution { feature, value, contribution });
    }
    contributions.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    Ok(contributions)
}

fn print(explanation: &Explanation) {
    let Explanation { target, cluster, source, reason, model_version, .. } = explanation;
    println!("target    {target} (cluster {cluster})");
    println!("decided   by {source}: {reason}");
    if let Some((score, threshold)) = explanation.score.zip(explanation.threshold) {
        println!("score     {score:.4}, threshold {threshold:.4}, model {model_version}");
    }
    println!("prompt    about {} tokens", explanation.prompt_tokens_estimate);
    const SHOWN: usize = 15;
    if !explanation.contributions.is_empty() {
        println!("\n{:28} {:>8} {:>12}", "feature", "value", "contribution");
    }
    for line in explanation.contributions.iter().take(SHOWN) {
        println!("{:28} {:>8.3} {:>+12.3}", line.feature, line.value, line.contribution);
    }
}
