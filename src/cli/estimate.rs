//! `pointsman estimate`: what a policy would have earned, from a log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BadInput, bad_line, open_error, print, print_with, report_problems};
use pointsman_control_plane::bandit::{Estimate, Estimates, LEAST_SAMPLES, Sample, estimate};
use pointsman_core::packed::unpack;
use pointsman_core::policy::bandit::{Snapshot, segment_id};
use pointsman_core::reason::Source;
use pointsman_lab::files::{Lines, Problem, Problems};

/// Estimate what a policy would have earned, from the log of another one
///
/// The log is NDJSON: decision records and rewards, {"decision_id", "reward"}, in any order. Only
/// decisions that the bandit drew are used, because only they have the propensities that off-policy
/// estimates need.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Decision records and rewards, NDJSON or gzipped NDJSON
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Policy snapshot (GET /pointsman/v1/policy), or the name of a target that takes everything
    #[arg(long, required = true, num_args = 1.., value_name = "POLICY")]
    policy: Vec<String>,
    /// Names of the targets, cheapest first, when no snapshot names them
    #[arg(long, value_delimiter = ',', default_value = "cheap,strong")]
    targets: Vec<String>,
    /// λ times the cost of each target, subtracted from the rewards; the snapshot's when omitted
    #[arg(long, value_delimiter = ',')]
    penalties: Option<Vec<f32>>,
    /// Use only decisions of this policy of the filter's configuration
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Either kind of line: a record has a target, a reward has a reward.
#[derive(Deserialize)]
struct LogLine<'l> {
    #[serde(borrow)]
    decision_id: Cow<'l, str>,
    reward: Option<f32>,
    #[serde(borrow)]
    target: Option<Cow<'l, str>>,
    #[serde(borrow)]
    source: Option<Cow<'l, str>>,
    propensity: Option<f64>,
    #[serde(borrow)]
    context: Option<Cow<'l, str>>,
    #[serde(borrow)]
    policy: Option<Cow<'l, str>>,
}

#[derive(Serialize)]
struct EstimateReport {
    decisions: usize,
    /// Mean of the rewards in the log, less penalties.
    logged: Option<f64>,
    policies: Vec<PolicyEstimates>,
}

#[derive(Serialize)]
struct PolicyEstimates {
    policy: String,
    #[serde(flatten)]
    estimates: Estimates,
}

enum EvaluatedPolicy {
    Snapshot(Box<Snapshot>),
    Target(usize),
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut policies = Vec::new();
    let (mut targets, mut penalties) = (args.targets.clone(), args.penalties.clone());
    for name in &args.policy {
        let path = PathBuf::from(name);
        if !path.is_file() {
            continue;
        }
        let json = std::fs::read(&path).map_err(open_error(&path))?;
        let snapshot =
            Snapshot::parse(&json).map_err(|error| BadInput::new(format!("{name}: {error}")))?;
        targets.clone_from(&snapshot.targets);
        penalties.get_or_insert_with(|| snapshot.penalties.clone());
        policies.push((name.clone(), EvaluatedPolicy::Snapshot(Box::new(snapshot))));
    }
    for name in args.policy.iter().filter(|name| !PathBuf::from(name).is_file()) {
        let target = targets.iter().position(|target| target == name).ok_or_else(|| {
            BadInput::new(format!("{name}: must be a file or one of {}", targets.join(", ")))
        })?;
        policies.push((name.clone(), EvaluatedPolicy::Target(target)));
    }
    let penalties = penalties.unwrap_or_else(|| vec![0.0; targets.len()]);
    if penalties.len() != targets.len() {
        return Err(BadInput::new("--penalties needs one number per target").into());
    }
    let mut samples = read(&args.log, &targets, &penalties)?;
    if let Some(name) = &args.segment {
        samples.retain(|sample| sample.segment == segment_id(name));
    }
    let estimated = policies
        .iter()
        .map(|(name, policy)| estimate_policy(name, policy, &samples, targets.len()));
    let report = EstimateReport {
        decisions: samples.len(),
        logged: mean(&samples),
        policies: estimated.collect::<anyhow::Result<_>>()?,
    };
    for estimated in report.policies.iter().filter(|estimated| estimated.estimates.overlap.poor) {
        let overlap = estimated.estimates.overlap;
        report!(
            "warning: {}: the log says little about this policy (effective sample size {:.0} of {}, \
             mean weight {:.2}, largest {:.1})",
            estimated.policy,
            overlap.effective_sample_size,
            estimated.estimates.n,
            overlap.mean_weight,
            overlap.largest_weight
        );
    }
    if args.json {
        print(serde_json::to_string(&report)?)
    } else {
        print_with(|out| table(out, &report))
    }
}

fn read(paths: &[PathBuf], targets: &[String], penalties: &[f32]) -> anyhow::Result<Vec<Sample>> {
    let mut decisions: HashMap<String, Sample> = HashMap::new();
    let mut rewards: HashMap<String, f32> = HashMap::new();
    let mut order = Vec::new();
    let mut problems = Problems::default();
    for path in paths {
        let mut lines = Lines::open(path).map_err(open_error(path))?;
        while let Some((number, text, _)) = lines.next_whole(&mut problems).map_err(bad_line)? {
            let line = match serde_json::from_slice::<LogLine>(text) {
                Ok(line) => line,
                Err(error) => {
                    let what = format!("neither a decision record nor a reward: {error}");
                    problems.add(Problem::BrokenLine, path, number, what).map_err(bad_line)?;
                    continue;
                }
            };
            let id = line.decision_id.clone().into_owned();
            if let Some(reward) = line.reward.filter(|reward| reward.is_finite()) {
                rewards.insert(id.clone(), reward);
            }
            if let Some(sample) = drawn(&line, targets)
                && decisions.insert(id.clone(), sample).is_none()
            {
                order.push(id);
            }
        }
    }
    report_problems(&mut problems);
    let mut samples = Vec::new();
    for id in order {
        if let (Some(mut sample), Some(reward)) = (decisions.remove(&id), rewards.get(&id)) {
            sample.reward = reward - penalties[sample.target];
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// The decision of a line, if the bandit drew it.
fn drawn(line: &LogLine, targets: &[String]) -> Option<Sample> {
    let target = targets.iter().position(|name| Some(name.as_str()) == line.target.as_deref())?;
    let context = unpack(line.context.as_deref()?)?;
    let propensity = line.propensity.filter(|p| *p > 0.0 && *p <= 1.0)?;
    let segment = segment_id(line.policy.as_deref().unwrap_or_default());
    let sample = Sample { context, target, propensity, reward: 0.0, segment };
    (line.source.as_deref() == Some(Source::Bandit.name())).then_some(sample)
}

fn mean(samples: &[Sample]) -> Option<f64> {
    let sum: f64 = samples.iter().map(|sample| f64::from(sample.reward)).sum();
    (!samples.is_empty()).then(|| sum / samples.len() as f64)
}

fn estimate_policy(
    name: &str,
    policy: &EvaluatedPolicy,
    samples: &[Sample],
    targets: usize,
) -> anyhow::Result<PolicyEstimates> {
    let probabilities = |sample: &Sample| match policy {
        EvaluatedPolicy::Snapshot(snapshot) => {
            snapshot.probabilities(sample.segment, &sample.context, &vec![true; targets])
        }
        EvaluatedPolicy::Target(target) => {
            (0..targets).map(|other| f64::from(u8::from(other == *target))).collect()
        }
    };
    let estimates = estimate(samples, &probabilities).ok_or_else(|| {
        let found = samples.len();
        let rule = format!("must be at least {LEAST_SAMPLES}");
        BadInput::new(format!(
            "the log holds {found} decisions of the bandit with a reward: {rule}"
        ))
        .hint("the log needs records with source \"bandit\" and a context, and their rewards")
    })?;
    Ok(PolicyEstimates { policy: name.to_owned(), estimates })
}

fn table(out: &mut dyn Write, report: &EstimateReport) -> std::io::Result<()> {
    writeln!(
        out,
        "{} decisions, mean reward {:.4}\n",
        report.decisions,
        report.logged.unwrap_or(0.0)
    )?;
    writeln!(out, "{:24} {:5} {:>8}   95 % interval", "policy", "", "value")?;
    for estimated in &report.policies {
        let e = &estimated.estimates;
        let mut name = estimated.policy.as_str();
        for (estimator, Estimate { value, low, high }) in
            [("ips", e.ips), ("snips", e.snips), ("dm", e.dm), ("dr", e.dr)]
        {
            writeln!(out, "{name:24} {estimator:5} {value:>8.4}   {low:.4} to {high:.4}")?;
            name = "";
        }
        writeln!(out, "{:24} effective sample size {:.0}", "", e.overlap.effective_sample_size)?;
    }
    Ok(())
}
