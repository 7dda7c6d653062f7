//! `pointsman calibrate --accept`: a goal to the thresholds of routing and of acceptance together.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::{ObjectiveArg, Partition};
use super::super::{BadInput, print};
use super::{judge_rows, load, load_router, read, trained_on};
use pointsman_lab::evaluate::accept::{
    CHEAP_SHARE, JointCalibration, JointGoal, JointWay, calibrate_jointly,
};
use pointsman_lab::learn::accept::AnswerReading;
use pointsman_lab::learn::calibrate::Prices;

/// What is asked of calibration.
pub(in crate::cli) struct Asked<'a> {
    pub(in crate::cli) judge: &'a Path,
    pub(in crate::cli) router: Option<&'a Path>,
    pub(in crate::cli) objective: Option<ObjectiveArg>,
    pub(in crate::cli) data: &'a [PathBuf],
    pub(in crate::cli) strict: bool,
    pub(in crate::cli) partition: Partition,
    pub(in crate::cli) goal: JointGoal,
    /// Without prices, a strong request costs 1.
    pub(in crate::cli) prices: Option<Prices>,
    pub(in crate::cli) requests: u64,
    pub(in crate::cli) json: bool,
}

#[derive(Serialize)]
struct Output<'a> {
    rows: usize,
    /// Of routing and of acceptance, as configured for the goal.
    threshold: f32,
    accept_below: f32,
    #[serde(flatten)]
    calibration: &'a JointCalibration,
    warnings: &'a [String],
}

pub(in crate::cli) fn run(asked: &Asked) -> anyhow::Result<()> {
    let judge = load(asked.judge)?;
    let router = load_router(asked.router, asked.objective)?;
    let prices = asked.prices.unwrap_or(Prices { cheap: CHEAP_SHARE, strong: 1.0 });
    let known = (asked.partition == Partition::HeldOut).then(|| trained_on(&judge));
    let reading = AnswerReading { strict: asked.strict, trained_on: known };
    let data = read(asked.data, &reading, Some(&router))?;
    let rows = judge_rows(&judge, &data, asked.partition)?;
    let calibration = calibrate_jointly(&rows, asked.goal, prices)
        .ok_or_else(|| BadInput::new("no rows to calibrate on"))?;
    let warnings = warnings(&calibration, asked);
    warnings.iter().for_each(|warning| report!("warning: {warning}"));
    if asked.json {
        return print(serde_json::to_string(&Output {
            rows: rows.len(),
            threshold: calibration.chosen.threshold,
            accept_below: calibration.chosen.accept_below,
            calibration: &calibration,
            warnings: &warnings,
        })?);
    }
    print(describe(&calibration, rows.len(), asked))
}

fn warnings(calibration: &JointCalibration, asked: &Asked) -> Vec<String> {
    let mut warnings = Vec::new();
    if !calibration.pays {
        warnings.push(
            "judging answers does not pay on these rows: it is switched off (accept_below 0)"
                .to_owned(),
        );
    }
    let missed = match asked.goal {
        JointGoal::Quality(share) => {
            calibration.chosen.quality < share * calibration.always_strong_quality - 1e-9
        }
        JointGoal::Budget(budget) => calibration.chosen.cost > budget + 1e-12,
    };
    if missed {
        warnings.push("the goal is out of reach; this is as near as it gets".to_owned());
    }
    warnings
}

fn describe(calibration: &JointCalibration, rows: usize, asked: &Asked) -> String {
    let requests = asked.requests as f64;
    let way = |name: &str, way: &JointWay| {
        format!(
            "{name:13} threshold {:.4}, accept_below {:.4}: quality {:.4}, cost {:.6}, straight to \
             the strong model {:.1} %, refused {:.1} %",
            way.threshold,
            way.accept_below,
            way.quality,
            way.cost * requests,
            way.straight_share * 100.0,
            way.refused_share * 100.0
        )
    };
    let [low, high] = calibration.saved_ci95;
    let [worse, better] = calibration.quality_gain_ci95;
    format!(
        "{}\n{}\n{}\nrows          {rows}; always cheap {:.4}, always strong {:.4}\nover routing  \
         cost {:+.6} ({:+.6} to {:+.6}), quality {:+.4} ({worse:+.4} to {better:+.4}), by thresholds \
         of the other half of the rows",
        way("chosen", &calibration.chosen),
        way("router alone", &calibration.router_alone),
        way("with answers", &calibration.joint),
        calibration.always_cheap_quality,
        calibration.always_strong_quality,
        -calibration.saved * requests,
        -high * requests,
        -low * requests,
        calibration.quality_gain,
    )
}
