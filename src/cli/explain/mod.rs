//! `pointsman explain`: why a request would go where it goes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::{BadInput, print, print_with};
use pointsman_core::config::Config;
use pointsman_core::exchange::{Exchange, Flow, Host, OfflineHost, Origin, Worker, memory};
use pointsman_core::features;
use pointsman_core::policy::gates::obstacles;
use pointsman_core::policy::rules::Rule;
use pointsman_core::policy::sticky::{self, Key};
use pointsman_core::policy::{Evidence, RequestContext};
use pointsman_core::prompt::Prompt;
use pointsman_core::reason::FallbackReason;
use pointsman_core::reason::Reason;
use pointsman_core::scope::Scope;
use pointsman_core::target::{Target, TargetSet};

mod answer;
mod contributions;

use contributions::{Contribution, GroupContribution};

/// Explain how one request would be routed, and what speaks for and against the cheap target
///
/// Runs the code of the filter; no model is called. What speaks for it is counted in log-odds: how
/// much they change when a group of features has its values instead of those of an average prompt,
/// or with --features, when one feature has its value instead of zero.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Request body (JSON); `-` reads stdin
    #[arg(default_value = "-", value_name = "FILE")]
    body: PathBuf,
    /// Filter configuration (JSON); the built-in model and its threshold when omitted
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Path of the request, which gives the API's format
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// Request header, `name: value`; may be repeated. The content type is JSON unless given
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Policy that the route's metadata names; the main one when omitted
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Target that the conversation went to before, as `sticky` remembers it
    #[arg(long, value_name = "TARGET")]
    previous: Option<String>,
    /// Recorded answer of the target, JSON or events, to judge as the filter does when it escalates
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// Print the contribution of single features, too
    #[arg(long)]
    features: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const DEFAULT_CONFIG: &[u8] =
    br#"{"targets": [{"name": "cheap", "cluster": "cheap"}, {"name": "strong", "cluster": "strong"}]}"#;

/// The explanation; stages that the decision did not reach are absent.
#[derive(Default, Serialize)]
struct Explanation<'a> {
    /// Why the request passes as if the filter were not there; `None` when it is decided.
    passes: Option<&'static str>,
    mode: &'static str,
    format: Option<&'static str>,
    target: Option<&'a str>,
    cluster: Option<&'a str>,
    source: Option<&'static str>,
    reason: Option<&'a str>,
    /// The policy that decided; empty for the main one.
    policy: Option<&'a str>,
    propensity: Option<f32>,
    score: Option<f32>,
    threshold: Option<f32>,
    model_version: &'a str,
    /// Of the configuration, as in records and metrics.
    policy_version: &'a str,
    /// The target that the conversation is remembered to have gone to.
    previous: Option<&'a str>,
    /// Why the classifier decides: there is no snapshot here for the bandit to draw from.
    bandit_fallback: Option<&'static str>,
    /// How unlike the training data the prompt is; the classifier abstains above the limit.
    novelty: Option<f32>,
    novelty_limit: Option<f32>,
    prompt_tokens_estimate: usize,
    targets: Vec<Prospect<'a>>,
    rules: Vec<RuleHit<'a>>,
    /// What speaks for the first target and against it, the strongest first.
    groups: Vec<GroupContribution>,
    contributions: Vec<Contribution>,
    /// Of the answer of `--answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<answer::Judgement>,
}

/// How a target stands.
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

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => read(path)?,
        None => DEFAULT_CONFIG.to_vec(),
    };
    let config = Config::from_json(&config).map_err(|errors| {
        let file = args.config.as_deref().unwrap_or(Path::new("-")).display();
        let lines: Vec<String> = errors.0.iter().map(|error| format!("{file}: {error}")).collect();
        BadInput::new(lines.join("\n       "))
    })?;
    let worker = Worker::new(config).map_err(BadInput::new)?;
    let body = read(&args.body)?;
    let host = OfflineHost::new(headers(args), body.clone());
    let mut explanation = explain(&worker, host, args)?;
    if let Some(path) = &args.answer {
        let (config, target) = (worker.config(), explanation.target);
        let judged = answer::judge(config, target, &args.path, &body, &read(path)?)?;
        explanation.answer = Some(judged);
    }
    if args.json {
        print(serde_json::to_string(&explanation)?)
    } else {
        print_with(|out| table(out, &explanation, args.features))
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

/// The request's headers; what is given wins over what is usual.
fn headers(args: &Args) -> BTreeMap<String, Vec<u8>> {
    let usual = [(":method", "POST"), (":path", &args.path)];
    let usual = usual.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let given = args.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
    // Of a header that is given twice, the first counts.
    usual.into_iter().chain(given.rev()).collect()
}

fn explain<'a>(
    worker: &'a Worker,
    mut host: OfflineHost,
    args: &Args,
) -> anyhow::Result<Explanation<'a>> {
    let (router, config) = (&worker.router, worker.config());
    let position = |known: &[&str], option: &str, name: &str| {
        known.iter().position(|known| *known == name).ok_or_else(|| {
            BadInput::new(format!("{option} {name}: must be one of {}", known.join(", ")))
        })
    };
    if let Some(name) = &args.policy {
        let named = config.policies.iter().map(|policy| policy.name.as_str());
        let named: Vec<&str> = named.filter(|name| !name.is_empty()).collect();
        position(&named, "--policy", name)?;
        host.route_metadata.insert("policy".to_owned(), name.clone());
    }
    let targets: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
    let previous = args.previous.as_ref().map(|name| position(&targets, "--previous", name));
    let previous = previous.transpose()?;
    let explanation = Explanation {
        mode: config.mode.name(),
        model_version: &router.classifier().manifest().version,
        policy_version: &config.version,
        ..Explanation::default()
    };
    let size = host.request_body.borrow().len();
    let mut exchange = Exchange::default();
    let flow = exchange.on_request_headers(worker, &host, size == 0);
    if let Some(why) = exchange.passed() {
        return Ok(Explanation { passes: Some(why.name()), ..explanation });
    }
    let header = |name: &str| host.request_header(name);
    let route = |name: &str| host.route_metadata(name);
    let Scope::InScope(scope) = Scope::of(config, &header, &route, size == 0) else {
        return Ok(explanation);
    };
    let explanation = Explanation { format: Some(scope.format.name()), ..explanation };
    if flow == Flow::Continue {
        return of_decision(explanation, worker, &exchange);
    }
    let limit = config.bytes_to_read(size, true);
    let mut body = host.request_body(limit);
    let origin = Origin::of(config, &host, &body);
    let Ok(mut prompt) = router.read(scope.format, &mut body, size > limit) else {
        exchange.on_request_body(worker, &host, size, true);
        return of_decision(explanation, worker, &exchange);
    };
    prompt.unread_bytes = size.saturating_sub(limit);
    let mut context = RequestContext {
        header: &header,
        policy: scope.policy,
        identity: origin.identity,
        history: origin.history,
        state: origin.state,
        ..RequestContext::default()
    };
    let conversation = config.sticky.as_ref().zip(previous).filter(|(_, previous)| {
        let key = router.conversation(&prompt, &context);
        key.is_some_and(|key| key.continues && remember(&host, config, key, *previous))
    });
    context.previous = conversation.map(|(_, previous)| previous);
    exchange.on_request_body(worker, &host, size, true);
    of_prompt(explanation, worker, &exchange, &prompt, &context)
}

/// Puts into the host's memory that a conversation went to a target before.
fn remember(host: &OfflineHost, config: &Config, key: Key, previous: usize) -> bool {
    let (Some(sticky), Some(target)) = (&config.sticky, config.targets.get(previous)) else {
        return false;
    };
    let place = sticky::remember(&[], key, target, 0, sticky.ttl_seconds);
    host.swap_shared(&memory::conversation(sticky, key), &place, None)
}

fn of_decision<'a>(
    explanation: Explanation<'a>,
    worker: &'a Worker,
    exchange: &Exchange,
) -> anyhow::Result<Explanation<'a>> {
    let (router, config) = (&worker.router, worker.config());
    let decided = exchange.decided().context("the exchange made no decision")?;
    let decision = &decided.decision;
    let target = router.target(decision).context("the decision names no target")?;
    Ok(Explanation {
        target: Some(&target.name),
        cluster: Some(&target.cluster),
        source: Some(decision.source().name()),
        reason: Some(config.reason_name(decision.reason)),
        policy: config.policies.get(decision.policy).map(|policy| policy.name.as_str()),
        propensity: Some(decision.propensity),
        score: decision.score,
        threshold: decision.threshold,
        bandit_fallback: decided.bandit.fallback.map(FallbackReason::name),
        prompt_tokens_estimate: decision.prompt_tokens_estimate,
        ..explanation
    })
}

fn of_prompt<'a>(
    explanation: Explanation<'a>,
    worker: &'a Worker,
    exchange: &Exchange,
    prompt: &Prompt,
    facts: &RequestContext,
) -> anyhow::Result<Explanation<'a>> {
    let (router, config) = (&worker.router, worker.config());
    let features = features::extract(prompt);
    let decided = exchange.decided().context("the exchange made no decision")?;
    // A canary's conversation is decided by another policy than the route's.
    let policy = if decided.decision.policy == 0 { facts.policy } else { decided.decision.policy };
    let scores = router.scores(&features);
    let thresholds = router.thresholds(policy);
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
    let rules = config.policies.get(policy).map_or(&[][..], |policy| &policy.rules);
    let previous = facts.previous.and_then(|previous| config.targets.get(previous));
    let novelty = router.classifier().manifest().novelty.as_ref();
    let explanation = Explanation {
        previous: previous.map(|target| target.name.as_str()),
        novelty: novelty.map(|it| it.of(&features)),
        novelty_limit: novelty.and_then(|it| it.limit_at(config.novelty_limit)),
        targets: config.targets.iter().zip(obstacles).enumerate().map(prospect).collect(),
        rules: rules.iter().map(hit).collect(),
        groups: contributions::of_groups(router, &features),
        contributions: contributions::of_features(router, &features),
        ..explanation
    };
    of_decision(explanation, worker, exchange)
}

fn table(out: &mut dyn Write, explanation: &Explanation, features: bool) -> std::io::Result<()> {
    let Explanation { mode, model_version, .. } = explanation;
    if let Some(why) = explanation.passes {
        return writeln!(out, "passed    untouched: {why} (mode {mode})");
    }
    writeln!(out, "config    {}", explanation.policy_version)?;
    writeln!(
        out,
        "target    {} (cluster {}, mode {mode})",
        explanation.target.unwrap_or_default(),
        explanation.cluster.unwrap_or_default()
    )?;
    writeln!(
        out,
        "decided   by {}: {}",
        explanation.source.unwrap_or_default(),
        explanation.reason.unwrap_or_default()
    )?;
    if let Some(policy) = explanation.policy.filter(|policy| !policy.is_empty()) {
        writeln!(out, "policy    {policy}")?;
    }
    if let Some(propensity) = explanation.propensity.filter(|propensity| *propensity < 1.0) {
        writeln!(out, "propensity {propensity}: the share of similar conversations that go there")?;
    }
    if let Some((score, threshold)) = explanation.score.zip(explanation.threshold) {
        writeln!(out, "score     {score:.4}, threshold {threshold:.4}, model {model_version}")?;
    }
    if let Some(previous) = explanation.previous {
        writeln!(out, "before    the conversation went to {previous}")?;
    }
    if let Some(why) = explanation.bandit_fallback {
        writeln!(out, "bandit    {why}: with a snapshot, the bandit would draw the target")?;
    }
    writeln!(out, "prompt    about {} tokens", explanation.prompt_tokens_estimate)?;
    if let Some(novelty) = explanation.novelty {
        let limit = explanation.novelty_limit.map(|limit| format!(", limit {limit}"));
        writeln!(out, "novelty   {novelty:.2}{}", limit.unwrap_or_default())?;
    }
    for Prospect { target, gate, score, threshold } in &explanation.targets {
        let chance =
            score.zip(*threshold).map(|(score, at)| format!("score {score:.4}, threshold {at:.4}"));
        let chance = chance.unwrap_or_else(|| "fallback".to_owned());
        let gate = gate.map_or("eligible".to_owned(), |gate| format!("excluded ({gate})"));
        writeln!(out, "{:9} {target}: {gate}, {chance}", "choice")?;
    }
    for RuleHit { rule, target, matches } in &explanation.rules {
        let matches = if *matches { "matches" } else { "does not match" };
        writeln!(out, "{:9} {rule} (to {target}): {matches}", "rule")?;
    }
    if let Some(answer) = &explanation.answer {
        writeln!(out, "answer    {answer}")?;
    }
    contributions::write_groups(out, &explanation.groups)?;
    if features {
        contributions::write_features(out, &explanation.contributions)?;
    }
    Ok(())
}
