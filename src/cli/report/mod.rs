//! `pointsman report`: what routing would spend and save, from an access log alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::args::share;
use super::{BadInput, bad_line, open_error, print, print_with, report_problems};
use pointsman_core::policy::Preset;
use pointsman_lab::files::{Lines, Problem, Problems};
use pointsman_lab::label::{Price, parse_price};

mod request;
mod table;

use request::{Line, Request};
use table::table;

/// Report shares, spending and savings from an Envoy access log
///
/// Reads the JSON lines of `envoy.yaml`'s access log, or decision records by themselves, in any
/// mode; `observe` routes nothing and is enough. No label is needed: what each preset would send to
/// the strongest target follows from the scores. Spending is an estimate: the log has the size of
/// prompts, not of answers.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Access log or decision records, NDJSON or gzipped NDJSON; `-` reads stdin
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Names of the targets, cheapest first
    #[arg(long, value_delimiter = ',', default_value = "cheap,strong")]
    targets: Vec<String>,
    /// Price of each target in USD per million input and output tokens, in the order of the targets,
    /// such as `0.15,0.60 2.50,10`
    #[arg(long, num_args = 1.., value_name = "INPUT,OUTPUT", value_parser = parse_price)]
    prices: Vec<Price>,
    /// Tokens of an answer
    #[arg(long, default_value_t = 300, value_name = "TOKENS")]
    answer_tokens: u32,
    /// Field of the access log that names the tenant
    #[arg(long, value_name = "FIELD")]
    tenant: Option<String>,
    /// Share of requests that the strongest target should get: reports the threshold for it
    #[arg(long, value_name = "SHARE", value_parser = share)]
    strong_share: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Requests and what they cost, where prices are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Tally {
    requests: u64,
    /// By target, cheapest first.
    by_target: Vec<u64>,
    /// Dollars.
    spent: Option<f64>,
    /// Dollars that the strongest target alone would have cost.
    always_strongest: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    targets: Vec<String>,
    /// Requests that were not decided, by why.
    passed: BTreeMap<String, u64>,
    /// Decisions by what made them: `classifier`, `rule`, `gate` …
    sources: BTreeMap<String, u64>,
    /// As the log has it.
    decided: Tally,
    /// What each preset would have done where a score decided, all else as it was.
    presets: BTreeMap<&'static str, Tally>,
    /// The cheapest target's threshold that gives the strongest target the share that was asked for,
    /// or the nearest that is possible.
    threshold: Option<Wished>,
    routes: BTreeMap<String, Tally>,
    tenants: BTreeMap<String, Tally>,
}

#[derive(Debug, Serialize)]
struct Wished {
    strong_share: f64,
    threshold: f32,
    tally: Tally,
}

/// Names counted one by one; the rest count as `(others)`.
const MAX_NAMES: usize = 1000;
const OTHERS: &str = "(others)";
/// Where a log does not name a route or a tenant.
const UNNAMED: &str = "-";

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.targets.len() < 2 {
        return Err(BadInput::new("--targets: must name at least 2 targets").into());
    }
    if !args.prices.is_empty() && args.prices.len() != args.targets.len() {
        let (found, wanted) = (args.prices.len(), args.targets.len());
        let error = BadInput::new(format!("--prices: {found} given, must be {wanted}"));
        return Err(error.hint("one INPUT,OUTPUT per target, in the order of --targets").into());
    }
    let mut passed = BTreeMap::new();
    let mut requests = Vec::new();
    let mut problems = Problems::default();
    for path in &args.log {
        let mut lines = Lines::open(path).map_err(open_error(path))?;
        while let Some((number, text, _)) = lines.next_whole(&mut problems).map_err(bad_line)? {
            match request::read(text, &args.targets, args.tenant.as_deref()) {
                Ok(Line::Decided(request)) => requests.push(*request),
                Ok(Line::Passed(why)) => *passed.entry(why).or_default() += 1,
                Err(what) => {
                    problems.add(Problem::BrokenLine, path, number, what).map_err(bad_line)?
                }
            }
        }
    }
    report_problems(&mut problems);
    if requests.is_empty() {
        return Err(BadInput::new("the log holds no decision")
            .hint("log the filter state: decision: \"%FILTER_STATE(wasm.pointsman:PLAIN)%\"")
            .into());
    }
    let report = report(args, passed, &requests);
    if args.json {
        print(serde_json::to_string(&report)?)
    } else {
        print_with(|out| table(out, &report))
    }
}

fn report(args: &Args, passed: BTreeMap<String, u64>, requests: &[Request]) -> Report {
    let costs = Costs { args };
    let mut sources = BTreeMap::new();
    let mut routes = BTreeMap::new();
    let mut tenants = BTreeMap::new();
    for request in requests {
        *sources.entry(request.source.clone()).or_default() += 1;
        costs.add(named(&mut routes, &request.route), request, request.target);
        if args.tenant.is_some() {
            costs.add(named(&mut tenants, &request.tenant), request, request.target);
        }
    }
    let presets = Preset::NAMES.map(|(name, preset)| {
        (
            name,
            costs.tally(requests, |request| request.under(preset.threshold(), args.targets.len())),
        )
    });
    Report {
        targets: args.targets.clone(),
        passed,
        sources,
        decided: costs.tally(requests, |request| request.target),
        presets: presets.into(),
        threshold: args.strong_share.and_then(|share| wished(&costs, requests, share)),
        routes,
        tenants,
    }
}

fn named<'t>(tallies: &'t mut BTreeMap<String, Tally>, name: &str) -> &'t mut Tally {
    let known = tallies.contains_key(name) || tallies.len() < MAX_NAMES;
    tallies.entry(if known { name } else { OTHERS }.to_owned()).or_default()
}

/// The threshold whose share of strong calls is nearest to the one that is wished for.
fn wished(costs: &Costs, requests: &[Request], strong_share: f64) -> Option<Wished> {
    let targets = costs.args.targets.len();
    let strongest = targets - 1;
    let mut scores: Vec<f32> = requests.iter().filter_map(|request| request.decided_by).collect();
    scores.sort_by(f32::total_cmp);
    let fixed = requests.iter().filter(|it| it.decided_by.is_none() && it.target == strongest);
    let wanted = strong_share * requests.len() as f64 - fixed.count() as f64;
    let below = (wanted.round().max(0.0) as usize).min(scores.len());
    // On the shared scale, the strongest target gets what is below the last of the thresholds, which
    // is the cheapest one's share of it.
    let last = scores.get(below).copied().or_else(|| scores.last().map(|score| score + 1e-4))?;
    let threshold = (last * strongest as f32).min(1.0);
    let tally = costs.tally(requests, |request| request.under(threshold, targets));
    Some(Wished { strong_share, threshold, tally })
}

/// What requests cost.
struct Costs<'a> {
    args: &'a Args,
}

impl Costs<'_> {
    fn tally(&self, requests: &[Request], target: impl Fn(&Request) -> usize) -> Tally {
        let mut tally = Tally::default();
        requests.iter().for_each(|request| self.add(&mut tally, request, target(request)));
        tally
    }

    fn add(&self, tally: &mut Tally, request: &Request, target: usize) {
        tally.requests += 1;
        tally.by_target.resize(self.args.targets.len(), 0);
        tally.by_target[target] += 1;
        let cost = |target: usize| {
            let price = self.args.prices.get(target)?;
            let output = f64::from(self.args.answer_tokens);
            Some((request.prompt_tokens * price.input + output * price.output) / 1e6)
        };
        if let (Some(own), Some(strongest)) = (cost(target), cost(self.args.targets.len() - 1)) {
            *tally.spent.get_or_insert(0.0) += own;
            *tally.always_strongest.get_or_insert(0.0) += strongest;
        }
    }
}
