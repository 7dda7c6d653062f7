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
//! as one that was left alone. The output is written next to its place and renamed at the end.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "no request is held open here; indices come from the same function's searches, and \
              constant patterns are compiled by the tests"
)]

mod answer;
pub mod audit;
mod calls;
pub mod capture;
mod client;
mod counts;
mod error;
mod estimate;
pub mod evaluators;
pub mod filter;
mod journal;
mod lines;
mod observer;
mod options;
mod otel;
mod price;
mod record;
mod request;
pub mod row;
mod sample;
mod scan;
mod score;
mod source;
mod stream;
mod summary;
mod thinking;

pub use answer::{ModelAnswer, ToolCall};
pub use client::EndpointOptions;
pub use error::LabelError;
pub use observer::Observer;
pub use options::LabelOptions;
pub use pointsman_core::target::{Price, Usage};
pub use price::parse_price;
pub use record::{Answers, FieldMap, Record, RecordError};
pub use request::Request;
pub use source::{Layout, Source};
pub use summary::{CostEstimate, LabelOutcome, LabelSummary};

use crate::files::{Problems, with_extension};
use evaluators::human::Ratings;
use evaluators::sandbox::Sandbox;
use evaluators::{Choice, Evaluator, human};
use journal::Journal;

/// The environment variable with the key of the cheap model's endpoint.
pub const CHEAP_KEY: &str = "POINTSMAN_CHEAP_KEY";
/// The environment variable with the key of the judge's endpoint.
pub const JUDGE_KEY: &str = "POINTSMAN_JUDGE_KEY";

/// Labels a log.
///
/// # Errors
/// See [`LabelError`]. Paid calls are in the journal whatever happens.
pub fn run(options: &LabelOptions, observer: &dyn Observer) -> Result<LabelOutcome, LabelError> {
    check(options)?;
    let mut problems = Problems::new(options.strict);
    let plan = scan::scan(options, &mut problems, observer)?;
    let mut journal = Journal::open(&with_extension(&options.out, "journal"))?;
    if journal.damaged_lines() > 0 {
        let lines = journal.damaged_lines();
        observer.say(&format!("ignoring {lines} damaged lines of the journal"));
    }
    if plan.rows.is_empty() && !options.dry_run {
        journal.discard_if_empty()?;
        return Err(LabelError::NothingUsable { lines: plan.lines });
    }
    if options.dry_run {
        let estimate = estimate::estimate(options, &plan, &mut journal)?;
        journal.discard_if_empty()?;
        return Ok(LabelOutcome::Estimate(estimate));
    }
    let sandbox = if options.unsandboxed { Sandbox::without_isolation() } else { Sandbox::new() };
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
    if options.evaluator == Choice::Only(Evaluator::Human) && options.ratings.is_none() {
        let page = with_extension(&options.out, "human.html");
        let pairs = scorer.pairs()?;
        human::write_page(&page, &pairs)?;
        return Ok(LabelOutcome::Page { page, pairs: pairs.len() });
    }
    if scorer.made.out_of_budget {
        let partial = with_extension(&options.out, "partial");
        let done = scorer.write(&partial, &mut problems, observer)?.labelled;
        let wanted = plan.rows.len() as u64;
        let budget = options.budget.unwrap_or_default();
        return Err(LabelError::Budget { budget, done, wanted, partial });
    }
    let tally = scorer.write(&options.out, &mut problems, observer)?;
    scorer.made.journal.discard_if_empty()?;
    if tally.labelled == 0 {
        return Err(LabelError::NothingLabelled { rows: plan.rows.len() as u64 });
    }
    Ok(LabelOutcome::Labelled(Box::new(summary::summarise(
        options,
        &plan,
        &scorer.made,
        tally,
        &problems,
    ))))
}

fn check(options: &LabelOptions) -> Result<(), LabelError> {
    let wrong = |what: &str| Err(LabelError::BadInput(what.into()));
    if options.inputs.is_empty() {
        return wrong("no log file given");
    }
    if options.inputs.iter().any(|path| path.as_os_str() == "-") {
        return wrong("the log is read more than once and cannot come from standard input");
    }
    if !(0.0..=1.0).contains(&options.threshold) {
        return wrong("the threshold must be between 0 and 1");
    }
    if options.sample == Some(0) {
        return wrong("the sample must have at least 1 row");
    }
    if options.evaluator == Choice::Only(Evaluator::Judge) && options.judge.is_none() {
        return wrong("the judge evaluator needs a judge (--judge-url and --judge-model)");
    }
    if options.reads_requests() && options.judge.is_none() {
        return wrong("reading requests needs a reader (--judge-url and --judge-model)");
    }
    if options.budget.is_some()
        && ((options.cheap.is_some() && options.cheap_price.is_none())
            || (options.judge.is_some() && options.judge_price.is_none()))
    {
        return wrong("a budget needs the prices of every model that is called");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
