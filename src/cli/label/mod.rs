//! `pointsman label`: from a production log to labelled rows.

mod progress;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Strictness;
use super::{BadInput, print, print_with, report_problems};
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use pointsman_lab::files::{Problem, Problems};
use pointsman_lab::label::audit::{self, Audit};
use pointsman_lab::label::evaluators::{Choice, Evaluator};
use pointsman_lab::label::filter::{self, FilterOptions};
use pointsman_lab::label::{
    self, CHEAP_KEY, CostEstimate, EndpointOptions, FieldMap, JUDGE_KEY, LabelError, LabelOptions,
    LabelOutcome, LabelSummary, Layout, Price, Source, parse_price,
};

use progress::Terminal;

/// Quality from which an answer is good enough, and probability from which it is taken to be.
const ANSWER_THRESHOLD: f64 = 0.8;
const READING_THRESHOLD: f64 = 0.6;

/// Make labelled rows from a production log
///
/// Replays its requests through the cheap model and compares the answers with the recorded ones.
/// Keys are read from the environment variables POINTSMAN_CHEAP_KEY and POINTSMAN_JUDGE_KEY only.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Log files (JSONL, a JSON array, CSV or TSV, plain or gzip): {id, request, response}; or batch
    /// inputs with outputs
    #[arg(value_name = "LOG")]
    inputs: Vec<PathBuf>,
    /// File to write the labelled rows to (gzip when it ends in .gz)
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Tool that wrote the log; recognised where it can be no other
    #[arg(long, value_parser = source_names(), value_name = "NAME", conflicts_with = "map")]
    from: Option<String>,
    /// JSON pointers to the fields of another log: id=/request_id,request=/messages,response=/response
    #[arg(long, value_parser = FieldMap::parse, value_name = "FIELD=/POINTER,…")]
    map: Option<FieldMap>,
    /// How to compare the answers
    #[arg(long, value_enum, default_value_t = EvaluatorArg::Auto)]
    evaluator: EvaluatorArg,
    /// What to label by
    #[arg(long, value_enum, default_value_t = ByArg::Answers)]
    by: ByArg,
    /// Quality from which the cheap answer is good enough [default: 0.8; by reading 0.6]
    #[arg(long)]
    threshold: Option<f64>,
    /// Sample N rows, stratified: rare kinds of prompts more often than their share
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
    /// Seed of the sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    strictness: Strictness,
    /// Any OpenAI-compatible endpoint that serves the cheap model: http://host:port/v1
    #[arg(long, value_name = "URL", conflicts_with = "no_replay")]
    cheap_url: Option<String>,
    /// The cheap model's name at that endpoint
    #[arg(long, value_name = "MODEL", default_value = "cheap")]
    cheap_model: String,
    /// USD per million input and output tokens of the cheap model: 0.15,0.60
    #[arg(long, value_name = "INPUT,OUTPUT", value_parser = parse_price)]
    cheap_price: Option<Price>,
    /// Score the cheap answers in the log (`cheap_response`) instead; a line filter without --out
    #[arg(long)]
    no_replay: bool,
    /// Endpoint of a model that judges what no other evaluator can
    #[arg(long, value_name = "URL")]
    judge_url: Option<String>,
    /// The judge's name at that endpoint
    #[arg(long, value_name = "MODEL", requires = "judge_url", default_value = "judge")]
    judge_model: String,
    /// USD per million input and output tokens of the judge
    #[arg(long, value_name = "INPUT,OUTPUT", value_parser = parse_price)]
    judge_price: Option<Price>,
    /// Stop before spending more than USD
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,
    /// Estimate the cost and exit
    #[arg(long)]
    dry_run: bool,
    /// Concurrent calls
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Maximum calls per second
    #[arg(long, value_name = "CALLS")]
    rate: Option<f64>,
    /// Retries of a call on 408, 409, 425, 429, 5xx, timeouts and malformed responses
    #[arg(long, default_value_t = 6)]
    retries: u32,
    /// Timeout of a call, in seconds
    #[arg(long, default_value_t = 120.0, value_name = "SECONDS")]
    timeout: f64,
    /// Run programs of models also where they cannot be isolated from this machine
    #[arg(long)]
    unsandboxed: bool,
    /// Ratings saved from the page that `--evaluator human` writes
    #[arg(long, value_name = "FILE")]
    ratings: Option<PathBuf>,
    /// Compare labelled rows (the LOG arguments) with known grades
    #[arg(long, value_name = "GRADES")]
    audit: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What labels come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ByArg {
    /// The answers of both models
    Answers,
    /// A model (--judge-url) that reads the requests alone, by a rubric
    Reading,
}

/// Which evaluator to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum EvaluatorArg {
    /// Per row, by what the request asks for and the strong model answered
    Auto,
    /// The final numbers agree
    Numeric,
    /// The same option of a multiple choice, by its label or its text
    Choice,
    /// The same text, ignoring case, punctuation and articles
    Exact,
    /// Short texts say the same; otherwise the share of words in common
    F1,
    /// Valid JSON, by the request's schema if it has one, with the same fields
    Json,
    /// The same functions are called with equivalent arguments
    ToolCall,
    /// The program compiles and gives the same outputs
    Code,
    /// The query yields the same rows in SQLite
    Sql,
    /// Another model compares the answers, in both orders
    Judge,
    /// A person compares the answers on an HTML page
    Human,
}

impl From<EvaluatorArg> for Choice {
    fn from(argument: EvaluatorArg) -> Self {
        Choice::Only(match argument {
            EvaluatorArg::Auto => return Choice::Auto,
            EvaluatorArg::Numeric => Evaluator::Numeric,
            EvaluatorArg::Choice => Evaluator::Choice,
            EvaluatorArg::Exact => Evaluator::Exact,
            EvaluatorArg::F1 => Evaluator::F1,
            EvaluatorArg::Json => Evaluator::Json,
            EvaluatorArg::ToolCall => Evaluator::ToolCall,
            EvaluatorArg::Code => Evaluator::Code,
            EvaluatorArg::Sql => Evaluator::Sql,
            EvaluatorArg::Judge => Evaluator::Judge,
            EvaluatorArg::Human => Evaluator::Human,
        })
    }
}

/// The names that `--from` takes.
fn source_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Source::ALL.map(|(name, _)| name))
}

fn layout(from: Option<&str>, map: Option<FieldMap>) -> Layout {
    let source = from.and_then(|from| Source::ALL.into_iter().find(|(name, _)| *name == from));
    match (source, map) {
        (Some((_, source)), _) => Layout::Known(source),
        (None, Some(map)) => Layout::Map(map),
        (None, None) => Layout::Detect,
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    if let Some(grades) = &args.audit {
        return run_audit(&args, grades);
    }
    if args.no_replay && args.out.is_none() && args.by == ByArg::Answers {
        return run_filter(args);
    }
    let json = args.json;
    let options = options(args)?;
    let outcome = {
        let terminal = Terminal::new();
        label::run(&options, &terminal)?
    };
    match outcome {
        LabelOutcome::Labelled(summary) if json => print_json(&*summary),
        LabelOutcome::Labelled(summary) => {
            report_summary(&summary);
            Ok(())
        }
        LabelOutcome::Estimate(estimate) if json => print_json(&estimate),
        LabelOutcome::Estimate(estimate) => print_with(|out| estimate_table(out, &estimate)),
        LabelOutcome::Page { page, pairs } => {
            report!("{pairs} pairs to compare: open {}", page.display());
            report!("then run the same command with --ratings FILE");
            Ok(())
        }
    }
}

fn options(args: Args) -> Result<LabelOptions, LabelError> {
    let bad = |what: &str| LabelError::BadInput(what.into());
    let reading = args.by == ByArg::Reading;
    if reading
        && (args.no_replay || args.cheap_url.is_some() || args.evaluator != EvaluatorArg::Auto)
    {
        return Err(bad(
            "--by reading compares no answers: leave out --cheap-url, --no-replay and --evaluator",
        ));
    }
    if !args.no_replay && args.cheap_url.is_none() && !reading {
        return Err(bad("pass --cheap-url, or --no-replay to score the cheap answers in the log"));
    }
    let timeout = Duration::try_from_secs_f64(args.timeout)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| bad("--timeout must be more than 0 seconds"))?;
    let endpoint = |url: Option<String>, model: String, key: &str| {
        url.map(|url| EndpointOptions {
            url,
            model,
            key: std::env::var(key).ok().filter(|key| !key.is_empty()),
            timeout,
            retries: args.retries,
            rate: args.rate,
            concurrency: args.concurrency.into(),
        })
    };
    Ok(LabelOptions {
        inputs: args.inputs,
        layout: layout(args.from.as_deref(), args.map),
        out: args.out.ok_or_else(|| bad("pass --out FILE to write the labelled rows to"))?,
        evaluator: match args.by {
            ByArg::Answers => args.evaluator.into(),
            ByArg::Reading => Choice::Only(Evaluator::Judged),
        },
        threshold: args.threshold.unwrap_or(match args.by {
            ByArg::Answers => ANSWER_THRESHOLD,
            ByArg::Reading => READING_THRESHOLD,
        }),
        sample: args.sample,
        seed: args.seed,
        strict: args.strictness.strict,
        cheap: endpoint(args.cheap_url, args.cheap_model, CHEAP_KEY),
        cheap_price: args.cheap_price,
        judge: endpoint(args.judge_url, args.judge_model, JUDGE_KEY),
        judge_price: args.judge_price,
        budget: args.budget,
        dry_run: args.dry_run,
        unsandboxed: args.unsandboxed,
        ratings: args.ratings,
    })
}

fn run_filter(args: Args) -> anyhow::Result<()> {
    if args.sample.is_some() {
        let what = "a line filter does not sample: pass --out, or sample its input";
        return Err(BadInput::new(what).into());
    }
    let inputs = if args.inputs.is_empty() { vec![PathBuf::from("-")] } else { args.inputs };
    let options = FilterOptions {
        inputs,
        layout: layout(args.from.as_deref(), args.map),
        evaluator: args.evaluator.into(),
        threshold: args.threshold.unwrap_or(ANSWER_THRESHOLD),
        strict: args.strictness.strict,
        unsandboxed: args.unsandboxed,
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let (tally, problems) = filter::run(&options, &mut output, &|line| report!("{line}"))?;
    report!("{} rows labelled, {} good enough", tally.labelled, tally.cheap_ok);
    report_counts(problems.counts());
    Ok(())
}

fn run_audit(args: &Args, grades: &Path) -> anyhow::Result<()> {
    if args.inputs.is_empty() {
        return Err(BadInput::new("pass the labelled rows to audit").into());
    }
    let mut problems = Problems::new(args.strictness.strict);
    let audit = audit::audit(&args.inputs, grades, &mut problems);
    report_problems(&mut problems);
    let audit = audit?;
    if args.json { print_json(&audit) } else { print_with(|out| audit_table(out, &audit)) }
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string(value)?)
}

fn report_summary(summary: &LabelSummary) {
    let LabelSummary { labelled, selected, cheap_ok, calls, .. } = summary;
    report!("{labelled} of {selected} rows labelled, written to {}", summary.out.display());
    let share = 100.0 * *cheap_ok as f64 / (*labelled).max(1) as f64;
    report!("{cheap_ok} ({share:.1} %) good enough at threshold {}", summary.threshold);
    for (evaluator, counts) in &summary.evaluators {
        let name = serde_json::to_string(evaluator).unwrap_or_default();
        report!(
            "  {:<10} {} rows, {} good enough, mean quality {:.3}",
            name.trim_matches('"'),
            counts.rows,
            counts.cheap_ok,
            counts.mean_quality
        );
    }
    report!(
        "calls: {} made, {} from the journal, {} retries; {} input and {} output tokens, ${:.4} in all runs",
        calls.made,
        calls.reused,
        calls.retried,
        calls.input_tokens,
        calls.output_tokens,
        calls.dollars
    );
    if let Some(disagreement) = summary.judge_disagreement {
        report!("the judge contradicted itself on {:.1} % of its rows", 100.0 * disagreement);
    }
    report_counts(&summary.problems);
}

fn report_counts(problems: &BTreeMap<Problem, u64>) {
    for (problem, count) in problems {
        report!("  {} {count}", problem.name());
    }
}

fn estimate_table(out: &mut dyn Write, estimate: &CostEstimate) -> io::Result<()> {
    let mut line = |name: &str, value: &dyn Display| writeln!(out, "{name:<24}{value}");
    line("rows", &estimate.rows)?;
    line("already in the journal", &estimate.already_paid)?;
    for (name, calls) in [("replay", estimate.replay), ("judge", estimate.judge)] {
        line(&format!("{name} calls"), &calls.calls)?;
        line(&format!("{name} input tokens"), &calls.input_tokens)?;
        line(&format!("{name} output tokens"), &calls.output_tokens)?;
    }
    if estimate.priced {
        line("cost in USD", &format!("{:.4}", estimate.dollars))?;
    } else {
        report!("hint: pass --cheap-price INPUT,OUTPUT to estimate the cost");
    }
    Ok(())
}

fn audit_table(out: &mut dyn Write, audit: &Audit) -> io::Result<()> {
    writeln!(out, "                     graded")?;
    writeln!(out, "labelled             equivalent   not equivalent   both wrong")?;
    writeln!(
        out,
        "cheap_ok             {:>10}   {:>14}   {:>10}",
        audit.ok_and_equivalent, audit.ok_but_not_equivalent, audit.both_wrong_ok
    )?;
    writeln!(
        out,
        "not cheap_ok         {:>10}   {:>14}   {:>10}",
        audit.not_ok_but_equivalent, audit.not_ok_and_not_equivalent, audit.both_wrong_not_ok
    )?;
    writeln!(
        out,
        "agreement {:.4} on {} rows (both wrong excluded), precision {:.4}, recall {:.4}, kappa {:.4}",
        audit.agreement, audit.rows, audit.precision, audit.recall, audit.kappa
    )?;
    if audit.ungraded > 0 {
        writeln!(out, "{} labelled rows have no grade", audit.ungraded)?;
    }
    Ok(())
}
