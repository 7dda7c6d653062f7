//! From a production log to labelled rows.
//!
//! ```text
//! log files ─► scan (damage, evaluator, sample) ─► calls (cheap model, judge) ─► score ─► rows
//!              scan.rs   sample.rs                 calls.rs client.rs            score.rs
//!                                                      │  ▲
//!                                                      ▼  │
//!                                                    journal.rs
//! ```
//!
//! Every paid answer goes to the journal before it counts, and rows are made from the journal
//! alone, in the order of the log. So a run that was killed and started again writes the same file
//! as one that was left alone. The output is written beside its place and renamed at the end.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "no request is held open here; indices come from the same function's searches, and \
              constant patterns are compiled by the tests"
)]

use std::path::PathBuf;

mod answer;
pub mod audit;
mod calls;
mod client;
mod error;
mod estimate;
pub mod evaluators;
pub mod filter;
mod journal;
mod output;
mod price;
mod record;
mod request;
pub mod row;
mod sample;
mod scan;
mod score;
mod summary;

pub use answer::{Answer, ToolCall};
pub use client::EndpointOptions;
pub use error::LabelError;
pub(crate) use output::WholeFile;
pub use pointsman_core::target::{Price, Usage};
pub use record::FieldMap;
pub use request::Request;
pub use summary::{Estimate, Outcome, Summary};

use crate::input::Problems;
use evaluators::human::Ratings;
use evaluators::sandbox::Sandbox;
use evaluators::{Choice, Evaluator, human};
use journal::Journal;

/// What to label, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// JSONL, plain or gzip; OpenAI Batch inputs together with their outputs.
    pub inputs: Vec<PathBuf>,
    pub map: FieldMap,
    /// Gzip when it ends in `.gz`. The journal and the human page are named after it.
    pub out: PathBuf,
    pub evaluator: Choice,
    /// Quality from which the cheap answer is good enough.
    pub threshold: f64,
    /// Rows to draw; all when `None`.
    pub sample: Option<u64>,
    pub seed: u64,
    /// The first bad record ends the run.
    pub strict: bool,
    /// The model to replay through; `None` scores the cheap answers that the log has.
    pub cheap: Option<EndpointOptions>,
    pub cheap_price: Option<Price>,
    pub judge: Option<EndpointOptions>,
    pub judge_price: Option<Price>,
    /// Dollars, earlier runs on the same journal included.
    pub budget: Option<f64>,
    /// Only estimate.
    pub dry_run: bool,
    /// The ratings saved from the human page.
    pub ratings: Option<PathBuf>,
}

/// Told about the progress of a run.
pub trait Observer: Sync {
    /// A stage begins, of so many rows where that is known.
    fn begin(&self, stage: &'static str, rows: Option<u64>);
    /// Another row is done.
    fn advance(&self);
    /// Something to tell the person at the terminal.
    fn say(&self, line: &str);
}

/// Labels a log.
///
/// # Errors
/// See [`LabelError`]. Paid calls are in the journal whatever happens.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Outcome, LabelError> {
    check(options)?;
    let mut problems = Problems::new(options.strict);
    let plan = scan::scan(options, &mut problems, observer)?;
    let mut journal = Journal::open(&output::beside(&options.out, "journal"))?;
    if journal.damaged_lines() > 0 {
        let lines = journal.damaged_lines();
        observer.say(&format!("{lines} damaged lines of the journal are ignored"));
    }
    if options.dry_run {
        let estimate = estimate::estimate(options, &plan, &mut journal)?;
        journal.discard_if_empty()?;
        return Ok(Outcome::Estimate(estimate));
    }
    let sandbox = Sandbox::new();
    if plan.rows.iter().any(|row| row.evaluator == Evaluator::Code)
        && let Some(warning) = sandbox.warning()
    {
        observer.say(warning);
    }
    let ratings = match &options.ratings {
        Some(path) => Ratings::read(path)?,
        None => Ratings::default(),
    };
    let made = calls::make(options, &plan, journal, &sandbox, &mut problems, observer)?;
    let mut scorer =
        score::Scorer { options, plan: &plan, made, sandbox: &sandbox, ratings: &ratings };
    if options.evaluator == Choice::Human && options.ratings.is_none() {
        let page = output::beside(&options.out, "human.html");
        let pairs = scorer.pairs()?;
        human::write_page(&page, &pairs)?;
        return Ok(Outcome::Page { page, pairs: pairs.len() });
    }
    if scorer.made.out_of_budget {
        let partial = output::beside(&options.out, "partial");
        let done = scorer.write(&partial, &mut problems, observer)?.labelled;
        let wanted = plan.rows.len() as u64;
        let budget = options.budget.unwrap_or_default();
        return Err(LabelError::Budget { budget, done, wanted, partial });
    }
    let tally = scorer.write(&options.out, &mut problems, observer)?;
    scorer.made.journal.discard_if_empty()?;
    Ok(Outcome::Labelled(Box::new(summary::summarise(
        options,
        &plan,
        &scorer.made,
        tally,
        &problems,
    ))))
}

fn check(options: &Options) -> Result<(), LabelError> {
    let wrong = |what: &str| Err(LabelError::BadInput(what.into()));
    if options.inputs.is_empty() {
        return wrong("no log file is given");
    }
    if options.inputs.iter().any(|path| path.as_os_str() == "-") {
        return wrong("the log is read more than once and cannot come from standard input");
    }
    if !(0.0..=1.0).contains(&options.threshold) {
        return wrong("the threshold must be in 0..1");
    }
    if options.sample == Some(0) {
        return wrong("the sample must be at least 1 row");
    }
    if options.evaluator == Choice::Judge && options.judge.is_none() {
        return wrong("the judge evaluator needs a judge (--judge-url and --judge-model)");
    }
    if options.budget.is_some()
        && ((options.cheap.is_some() && options.cheap_price.is_none())
            || (options.judge.is_some() && options.judge_price.is_none()))
    {
        return wrong("a budget needs the prices of all models that are called");
    }
    Ok(())
}
