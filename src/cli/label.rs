//! `pointsman label`: from a production log to labelled rows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{BadInput, print, print_with, report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pointsman_lab::input::{Problem, Problems};
use pointsman_lab::label::audit::{self, Audit};
use pointsman_lab::label::evaluators::Choice;
use pointsman_lab::label::filter::{self, FilterOptions};
use pointsman_lab::label::{
    self, EndpointOptions, Estimate, FieldMap, LabelError, Observer, Options, Outcome, Price,
    Summary,
};

/// The environment variables that hold the keys of the endpoints.
const CHEAP_KEY: &str = "POINTSMAN_CHEAP_KEY";
const JUDGE_KEY: &str = "POINTSMAN_JUDGE_KEY";

/// Make labelled rows from a production log
///
/// Replays its requests through the cheap model and compares the answers with the recorded ones.
/// Keys are read from the environment variables POINTSMAN_CHEAP_KEY and POINTSMAN_JUDGE_KEY only.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Log files (JSONL, also gzip): {id, request, response}; or OpenAI Batch inputs with outputs
    #[arg(value_name = "LOG")]
    inputs: Vec<PathBuf>,
    /// Where to write the labelled rows (gzip when it ends in .gz)
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Where fields are in other logs: id=/request_id,request=/messages,response=/response
    #[arg(long, value_parser = FieldMap::parse, value_name = "FIELD=/POINTER,…")]
    map: Option<FieldMap>,
    /// How the answers are compared
    #[arg(long, value_enum, default_value = "auto")]
    evaluator: Choice,
    /// Quality from which the cheap answer is good enough
    #[arg(long, default_value_t = 0.8)]
    threshold: f64,
    /// Draw so many rows, rare kinds of prompts more often than their share
    #[arg(long, value_name = "ROWS")]
    sample: Option<u64>,
    /// Seed of the draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End with code 2 at the first bad record
    #[arg(long)]
    strict: bool,
    /// Any OpenAI-compatible endpoint that serves the cheap model: http://host:port/v1
    #[arg(long, value_name = "URL", conflicts_with = "no_replay")]
    cheap_url: Option<String>,
    /// The cheap model's name at that endpoint
    #[arg(long, value_name = "MODEL", default_value = "cheap")]
    cheap_model: String,
    /// Dollars for a million input and output tokens of the cheap model: 0.15,0.60
    #[arg(long, value_name = "INPUT,OUTPUT")]
    cheap_price: Option<Price>,
    /// Score the cheap answers in the log (`cheap_response`) instead; without --out a line filter
    #[arg(long)]
    no_replay: bool,
    /// The endpoint of a model that judges what no other evaluator can
    #[arg(long, value_name = "URL")]
    judge_url: Option<String>,
    /// The judge's name at that endpoint
    #[arg(long, value_name = "MODEL", requires = "judge_url", default_value = "judge")]
    judge_model: String,
    /// Dollars for a million input and output tokens of the judge
    #[arg(long, value_name = "INPUT,OUTPUT")]
    judge_price: Option<Price>,
    /// Stop before more than so many dollars are spent
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<f64>,
    /// Only estimate what it would cost
    #[arg(long)]
    dry_run: bool,
    /// Calls at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Calls a second, at most
    #[arg(long, value_name = "CALLS")]
    rate: Option<f64>,
    /// How often a call is repeated on 408, 409, 425, 429, 5xx, time-outs and garbage
    #[arg(long, default_value_t = 6)]
    retries: u32,
    /// Seconds until a call is given up
    #[arg(long, default_value_t = 120.0, value_name = "SECONDS")]
    timeout: f64,
    /// Ratings saved from the page that `--evaluator human` writes
    #[arg(long, value_name = "FILE")]
    ratings: Option<PathBuf>,
    /// Compare labelled rows (the LOG arguments) with these known grades
    #[arg(long, value_name = "GRADES")]
    audit: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    if let Some(grades) = &args.audit {
        return run_audit(&args, grades);
    }
    if args.no_replay && args.out.is_none() {
        return run_filter(args);
    }
    let json = args.json;
    let options = options(args)?;
    let outcome = {
        let terminal = Terminal::new();
        label::run(&options, &terminal)?
    };
    match outcome {
        Outcome::Labelled(summary) if json => print_json(&*summary),
        Outcome::Labelled(summary) => {
            tell_summary(&summary);
            Ok(())
        }
        Outcome::Estimate(estimate) if json => print_json(&estimate),
        Outcome::Estimate(estimate) => print_with(|out| estimate_table(out, &estimate)),
        Outcome::Page { page, pairs } => {
            tell!("{pairs} pairs to compare: open {}", page.display());
            tell!("then run the same command with --ratings FILE");
            Ok(())
        }
    }
}

fn options(args: Args) -> Result<Options, LabelError> {
    let bad = |what: &str| LabelError::BadInput(what.into());
    if !args.no_replay && args.cheap_url.is_none() {
        return Err(bad("give --cheap-url, or --no-replay to score the cheap answers in the log"));
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
    Ok(Options {
        inputs: args.inputs,
        map: args.map.unwrap_or_default(),
        out: args.out.ok_or_else(|| bad("give --out: where to write the labelled rows"))?,
        evaluator: args.evaluator,
        threshold: args.threshold,
        sample: args.sample,
        seed: args.seed,
        strict: args.strict,
        cheap: endpoint(args.cheap_url, args.cheap_model, CHEAP_KEY),
        cheap_price: args.cheap_price,
        judge: endpoint(args.judge_url, args.judge_model, JUDGE_KEY),
        judge_price: args.judge_price,
        budget: args.budget,
        dry_run: args.dry_run,
        ratings: args.ratings,
    })
}

fn run_filter(args: Args) -> anyhow::Result<()> {
    if args.sample.is_some() {
        let what = "a line filter does not sample: give --out, or sample before it";
        return Err(BadInput::new(what).into());
    }
    let inputs = if args.inputs.is_empty() { vec![PathBuf::from("-")] } else { args.inputs };
    let options = FilterOptions {
        inputs,
        map: args.map.unwrap_or_default(),
        evaluator: args.evaluator,
        threshold: args.threshold,
        strict: args.strict,
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let (tally, problems) = filter::run(&options, &mut output, &|line| tell!("{line}"))?;
    tell!("{} rows labelled, {} good enough", tally.labelled, tally.cheap_ok);
    tell_problems(problems.counts());
    Ok(())
}

fn run_audit(args: &Args, grades: &Path) -> anyhow::Result<()> {
    if args.inputs.is_empty() {
        return Err(BadInput::new("give the labelled rows to audit").into());
    }
    let mut problems = Problems::new(args.strict);
    let audit = audit::audit(&args.inputs, grades, &mut problems);
    report(&mut problems);
    let audit = audit?;
    if args.json { print_json(&audit) } else { print_with(|out| audit_table(out, &audit)) }
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string(value)?)
}

fn tell_summary(summary: &Summary) {
    let Summary { labelled, selected, cheap_ok, calls, .. } = summary;
    tell!("{labelled} of {selected} rows labelled in {}", summary.out.display());
    let share = 100.0 * *cheap_ok as f64 / (*labelled).max(1) as f64;
    tell!("{cheap_ok} ({share:.1} %) good enough at threshold {}", summary.threshold);
    for (evaluator, counts) in &summary.evaluators {
        let name = serde_json::to_string(evaluator).unwrap_or_default();
        tell!(
            "  {:<10} {} rows, {} good enough, mean quality {:.3}",
            name.trim_matches('"'),
            counts.rows,
            counts.cheap_ok,
            counts.mean_quality
        );
    }
    tell!(
        "calls: {} made, {} from the journal, {} repeated attempts; {} + {} tokens, ${:.4} in all runs",
        calls.made,
        calls.reused,
        calls.retried,
        calls.input_tokens,
        calls.output_tokens,
        calls.dollars
    );
    if let Some(disagreement) = summary.judge_disagreement {
        tell!("the judge contradicted itself on {:.1} % of its rows", 100.0 * disagreement);
    }
    tell_problems(&summary.problems);
}

fn tell_problems(problems: &BTreeMap<Problem, u64>) {
    for (problem, count) in problems {
        tell!("  {} {count}", problem.name());
    }
}

fn estimate_table(out: &mut dyn Write, estimate: &Estimate) -> io::Result<()> {
    let mut line = |name: &str, value: &dyn Display| writeln!(out, "{name:<24}{value}");
    line("rows", &estimate.rows)?;
    line("already in the journal", &estimate.already_paid)?;
    for (name, calls) in [("replay", estimate.replay), ("judge", estimate.judge)] {
        line(&format!("{name} calls"), &calls.calls)?;
        line(&format!("{name} input tokens"), &calls.input_tokens)?;
        line(&format!("{name} output tokens"), &calls.output_tokens)?;
    }
    if estimate.priced {
        line("dollars", &format!("{:.4}", estimate.dollars))?;
    } else {
        tell!("hint: give --cheap-price INPUT,OUTPUT to see dollars");
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
        "agreement {:.4} on {} rows (both wrong apart), precision {:.4}, recall {:.4}, kappa {:.4}",
        audit.agreement, audit.rows, audit.precision, audit.recall, audit.kappa
    )?;
    if audit.ungraded > 0 {
        writeln!(out, "{} labelled rows have no grade", audit.ungraded)?;
    }
    Ok(())
}

/// Progress on standard error: a bar on a terminal, a line every few seconds otherwise.
struct Terminal {
    bar: ProgressBar,
    said: Mutex<Instant>,
    is_terminal: bool,
}

/// Time between two lines of progress where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

impl Terminal {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        let said = Mutex::new(Instant::now());
        Terminal { bar, said, is_terminal: io::stderr().is_terminal() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Terminal {
    fn begin(&self, stage: &'static str, rows: Option<u64>) {
        self.bar.reset();
        self.bar.set_message(stage);
        let template = match rows {
            Some(rows) => {
                self.bar.set_length(rows);
                "{msg} [{bar:30}] {pos}/{len} rows, {per_sec}, {eta} left"
            }
            None => "{msg} {pos} rows, {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
        if !self.is_terminal {
            let mut said = self.said.lock().unwrap_or_else(|e| e.into_inner());
            if said.elapsed() >= PLAIN_INTERVAL {
                *said = Instant::now();
                tell!("{}: {} rows", self.bar.message(), self.bar.position());
            }
        }
    }

    fn say(&self, line: &str) {
        if self.is_terminal { self.bar.println(line) } else { tell!("{line}") }
    }
}
