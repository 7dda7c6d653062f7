//! `pointsman evaluate --accept`: router, net and both at equal spending.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{ObjectiveArg, Partition};
use super::super::{BadInput, print, write_page};
use super::{judge_rows, load, load_router, read, table, trained_on};
use pointsman_lab::evaluate::accept::{AcceptEvaluation, CHEAP_SHARE, evaluate_accept};
use pointsman_lab::files::Problem;
use pointsman_lab::learn::accept::AnswerReading;

/// What is measured.
pub(in crate::cli) struct Measured<'a> {
    pub(in crate::cli) judge: &'a Path,
    pub(in crate::cli) router: Option<&'a Path>,
    pub(in crate::cli) objective: Option<ObjectiveArg>,
    pub(in crate::cli) data: &'a [PathBuf],
    pub(in crate::cli) strict: bool,
    pub(in crate::cli) partition: Partition,
    /// Mean costs of a cheap and of a strong request.
    pub(in crate::cli) costs: Option<(f64, f64)>,
    /// Where a page, and a directory of its plots, are to be written.
    pub(in crate::cli) report: Option<&'a Path>,
    pub(in crate::cli) plots: Option<&'a Path>,
    pub(in crate::cli) json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    evaluation: &'a AcceptEvaluation,
    /// Lines that were skipped, by what was wrong with them.
    problems: &'a BTreeMap<Problem, u64>,
}

pub(in crate::cli) fn run(measured: &Measured) -> anyhow::Result<()> {
    let judge = load(measured.judge)?;
    let router = load_router(measured.router, measured.objective)?;
    let cheap_share = match measured.costs {
        None => CHEAP_SHARE,
        Some((cheap, strong)) if cheap < strong => cheap / strong,
        Some((cheap, strong)) => {
            return Err(BadInput::new(format!(
                "a request costs {cheap} with the cheap model and {strong} with the strong one: \
                 there is nothing to save"
            ))
            .into());
        }
    };
    let known = (measured.partition == Partition::HeldOut).then(|| trained_on(&judge));
    let reading = AnswerReading { strict: measured.strict, trained_on: known };
    let data = read(measured.data, &reading, Some(&router))?;
    let rows = judge_rows(&judge, &data, measured.partition)?;
    let evaluation = evaluate_accept(&rows, cheap_share, judge.accept_below())
        .ok_or_else(|| BadInput::new("no rows to measure"))?;
    if measured.report.is_some() || measured.plots.is_some() {
        let plots = evaluation.plots()?;
        write_page(measured.report, measured.plots, &plots, || evaluation.html(&plots))?;
    }
    if measured.json {
        let output = Output { evaluation: &evaluation, problems: data.problems.counts() };
        print(serde_json::to_string(&output)?)
    } else {
        print(table::text(&evaluation))
    }
}
