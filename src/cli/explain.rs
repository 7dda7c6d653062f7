//! `pointsman explain`: why a request would go where it goes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{BadInput, print, print_with};
use crate::config::{Config, Target};
use crate::decision::{Decision, Reason};
use crate::features::{self, CHAR_BUCKETS, ENGINEERED, Features, LEN, SCHEMA};
use crate::policy::gates::{TargetSet, obstacles};
use crate::policy::rules::Rule;
use crate::policy::{Evidence, Facts};
use crate::prompt::{ApiFormat, Prompt};
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
    /// A request header, `name: value`; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The policy that the route's metadata names; the main one when absent
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The target that the conversation went to before
    #[arg(long, value_name = "TARGET")]
    previous: Option<String>,
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
    /// How unlike the training data the prompt is; the classifier abstains above the limit.
    novelty: Option<f32>,
    novelty_limit: Option<f32>,
    prompt_tokens_estimate: usize,
    targets: Vec<Prospect<'a>>,
    rules: Vec<RuleHit<'a>>,
    contributions: Vec<Contribution>,
}

/// What speaks for a target.
#[derive(Serialize)]
struct Prospect<'a> {
    target: &'a str,
    /// Why it cannot serve the request.
    gate: Option<&'static str>,
    /// Probability that its answer is good enough, and from where on that counts; the strongest
    /// target has neither.
    score: Option<f32>,
    threshold: Option<f32>,
}

/// A rule of the policy, in order.
#[derive(Serialize)]
struct RuleHit<'a> {
    rule: &'a str,
    target: &'a str,
    matches: bool,
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
    let (policies, targets) = (&router.config().policies, &router.config().targets);
    let position = |found: Option<usize>, option: &str, name: &str| {
        found.ok_or_else(|| BadInput::new(format!("{option} {name}: not in the configuration")))
    };
    let policy = match &args.policy {
        Some(name) => position(policies.iter().position(|it| it.name == *name), "--policy", name)?,
        None => 0,
    };
    let previous = args
        .previous
        .as_ref()
        .map(|name| position(targets.iter().position(|it| it.name == *name), "--previous", name));
    let header = |name: &str| {
        let given = args.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        let value = given.or_else(|| (name == ":path").then_some(&args.path));
        value.map(|value| value.as_bytes().to_vec())
    };
    let facts =
        Facts { header: &header, policy, previous: previous.transpose()?, ..Facts::default() };
    let explanation = match router.read(format, &mut body, truncated) {
        Ok(prompt) => explain_prompt(format, &router, &prompt, &facts)?,
        Err(error) => explain(format, &router, &router.fall_back(error.into()))?,
    };
    if args.json {
        print(serde_json::to_string(&explanation)?)
    } else {
        print_with(|out| table(out, &explanation))
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be `name: value`")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
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
        novelty: None,
        novelty_limit: router.config().novelty_limit,
        prompt_tokens_estimate: decision.prompt_tokens_estimate,
        targets: Vec::new(),
        rules: Vec::new(),
        contributions: Vec::new(),
    })
}

fn explain_prompt<'a>(
    format: ApiFormat,
    router: &'a Router,
    prompt: &Prompt,
    facts: &Facts,
) -> anyhow::Result<Explanation<'a>> {
    let config = router.config();
    let features = features::extract(prompt);
    let scores = router.classifier().scores(&features)?;
    let thresholds = router.thresholds(facts.policy);
    let obstacles = obstacles(&config.targets, prompt, TargetSet::default());
    let prospect =
        |(position, (target, obstacle)): (usize, (&'a Target, Option<Reason>))| Prospect {
            target: &target.name,
            gate: obstacle.map(Reason::name),
            score: scores.get(position).copied(),
            threshold: thresholds.get(position).copied(),
        };
    let evidence = Evidence { prompt, features: &features, facts };
    let hit = |rule: &'a Rule| RuleHit {
        rule: config.reason_name(Reason::Rule(rule.name)),
        target: config.targets.get(rule.target).map_or("", |target| &target.name),
        matches: rule.matches(&evidence),
    };
    let policy = config.policies.get(facts.policy);
    Ok(Explanation {
        novelty: router.classifier().manifest().novelty.as_ref().map(|it| it.of(&features)),
        targets: config.targets.iter().zip(obstacles).enumerate().map(prospect).collect(),
        rules: policy.map_or(&[][..], |policy| &policy.rules).iter().map(hit).collect(),
        contributions: contributions(router, &features)?,
        ..explain(format, router, &router.decide_prompt(prompt, facts))?
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

fn table(out: &mut dyn Write, explanation: &Explanation) -> std::io::Result<()> {
    let Explanation { target, cluster, source, reason, model_version, .. } = explanation;
    writeln!(out, "target    {target} (cluster {cluster})")?;
    writeln!(out, "decided   by {source}: {reason}")?;
    if let Some((score, threshold)) = explanation.score.zip(explanation.threshold) {
        writeln!(out, "score     {score:.4}, threshold {threshold:.4}, model {model_version}")?;
    }
    writeln!(out, "prompt    about {} tokens", explanation.prompt_tokens_estimate)?;
    if let Some(novelty) = explanation.novelty {
        let limit = explanation.novelty_limit.map(|limit| format!(", limit {limit}"));
        writeln!(out, "novelty   {novelty:.2}{}", limit.unwrap_or_default())?;
    }
    for Prospect { target, gate, score, threshold } in &explanation.targets {
        let chance =
            score.zip(*threshold).map(|(score, at)| format!("score {score:.4} of {at:.4}"));
        let chance = chance.unwrap_or_else(|| "takes what the others do not".to_owned());
        let gate = gate.map_or("can serve it".to_owned(), |gate| format!("closed: {gate}"));
        writeln!(out, "{:9} {target}: {gate}, {chance}", "choice")?;
    }
    for RuleHit { rule, target, matches } in &explanation.rules {
        let matches = if *matches { "matches" } else { "does not match" };
        writeln!(out, "{:9} {rule} (to {target}): {matches}", "rule")?;
    }
    const SHOWN: usize = 15;
    if !explanation.contributions.is_empty() {
        writeln!(out, "\n{:28} {:>8} {:>12}", "feature", "value", "contribution")?;
    }
    for line in explanation.contributions.iter().take(SHOWN) {
        writeln!(out, "{:28} {:>8.3} {:>+12.3}", line.feature, line.value, line.contribution)?;
    }
    Ok(())
}
