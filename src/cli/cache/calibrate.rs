//! `pointsman cache calibrate`: a threshold from labelled pairs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use crate::cli::{BadInput, bad_line, bytes_bar, open_error, print, report_problems};
use pointsman_cache::calibrate::{
    CalibrateError, Goal, Judged, LabelledPair, Report, Weights, calibrate, nearest_others,
};
use pointsman_cache::{Calibration, Embedder, Matcher};
use pointsman_lab::files::{Lines, Problem, Problems};

use super::embeddings::{self, knowing};
use super::trust;

/// Fit the similarity threshold from which an answer may serve another question
///
/// Fits weights and threshold to pairs of questions, each labelled 1 when one answer serves both.
/// The threshold is the lowest at which at most --false-hits of the hits are wrong. Prints recall
/// and false hits, cross-fitted. Pass the file to `pointsman cache --calibration`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// JSONL or gzipped JSONL: {"text_a", "text_b", "label": 0 or 1}
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pairs: Vec<PathBuf>,
    /// Largest share of the hits that may be false
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    false_hits: f64,
    /// Limit the share of different pairs that hit, instead of the share of false hits
    #[arg(long, conflicts_with = "false_hits", value_parser = share)]
    false_alarms: Option<f64>,
    /// Add the N nearest other questions to each pair labelled 1, as pairs labelled 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    nearest: usize,
    /// Fit the threshold only and keep the built-in weights, for a small number of pairs
    #[arg(long)]
    keep_weights: bool,
    #[command(flatten)]
    embeddings: embeddings::Args,
    /// Write the calibration to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plot false hits over recall to this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write each pair with its similarity and the guard that refuses it, as JSONL
    #[arg(long, value_name = "FILE")]
    scored: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| (0.0..1.0).contains(n));
    number.ok_or_else(|| "must be at least 0 and below 1".to_owned())
}

#[derive(Deserialize)]
struct Line {
    text_a: String,
    text_b: String,
    label: u8,
}

/// Seed of the intervals, so that the same pairs give the same ones.
const SEED: u64 = 1;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut pairs = read(&args.pairs)?;
    let matcher = Matcher::new(Embedder::built_in()?, Calibration::built_in()?);
    let texts = pairs.iter().flat_map(|pair| [&*pair.a, &*pair.b]);
    let endpoint = args.embeddings.endpoint(|| trust(None))?;
    let matcher = knowing(matcher, endpoint.as_ref(), texts)?;
    pairs.extend(nearest_others(&matcher, &pairs, args.nearest));
    let goal = args.false_alarms.map_or(Goal::FalseHits(args.false_hits), Goal::FalseAlarms);
    let weights = if args.keep_weights { Weights::Kept } else { Weights::Fitted };
    let (calibration, report, judged) =
        calibrate(&matcher, &pairs, goal, weights, SEED).map_err(|error| {
            let hint = match &error {
                CalibrateError::TooFew { .. } => "label more pairs of both kinds",
                CalibrateError::Unreachable { .. } => {
                    "raise --false-hits, or serve with --exact-only"
                }
            };
            BadInput::new(error).hint(hint)
        })?;
    if let Some(path) = &args.out {
        write(path, &serde_json::to_string_pretty(&calibration)?)?;
    }
    if let Some(path) = &args.plot {
        write(path, &plot(&report)?)?;
    }
    if let Some(path) = &args.scored {
        let lines = pairs.iter().zip(&judged).map(|(pair, judged)| {
            let guard = judged.guards.err();
            let Judged { similarity, .. } = judged;
            let LabelledPair { a, b, same } = pair;
            let line = json!({"text_a": a, "text_b": b, "label": u8::from(*same),
                "similarity": similarity, "guard": guard});
            format!("{line}\n")
        });
        write(path, &lines.collect::<String>())?;
    }
    if args.json {
        print(json!({"calibration": calibration, "report": report}))
    } else {
        print(describe(&report))
    }
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<LabelledPair>> {
    let bar = bytes_bar(files);
    let (mut pairs, mut problems) = (Vec::new(), Problems::default());
    for path in files {
        let mut lines = Lines::open(path).map_err(open_error(path))?;
        while let Some((number, line, size)) = lines.next_whole(&mut problems).map_err(bad_line)? {
            bar.inc(size);
            let (kind, why) = match serde_json::from_slice::<Line>(line) {
                Ok(Line { text_a: a, text_b: b, label: label @ 0..=1 }) => {
                    pairs.push(LabelledPair { a, b, same: label == 1 });
                    continue;
                }
                Ok(_) => (Problem::BadValue, "the label must be 0 or 1".to_owned()),
                Err(error) => (Problem::BrokenLine, error.to_string()),
            };
            problems.add(kind, path, number, why).map_err(bad_line)?;
        }
    }
    bar.finish_and_clear();
    report_problems(&mut problems);
    Ok(pairs)
}

fn write(path: &Path, text: &str) -> Result<(), BadInput> {
    std::fs::write(path, text)
        .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))
}

fn describe(report: &Report) -> String {
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let between = |[low, high]: [f64; 2]| format!("{} to {}", percent(low), percent(high));
    let [low, high] = report.threshold_ci95;
    format!(
        "threshold    {:.4} (95 % interval {low:.4} to {high:.4})\n\
         pairs        {}, of which {} are labelled 1\n\
         false hits   {} of the hits ({}), {} of the pairs labelled 0\n\
         recall       {} of the pairs labelled 1 ({})\n\
         cosine only  recall {} at {:.4}, without guards\n\
         guards       refuse {} of the pairs labelled 1, {} of those labelled 0",
        report.threshold,
        report.pairs,
        report.same,
        percent(report.false_hits),
        between(report.false_hits_ci95),
        percent(report.false_alarms),
        percent(report.recall),
        between(report.recall_ci95),
        percent(report.cosine_recall),
        report.cosine_threshold,
        percent(report.guards_refuse_same),
        percent(report.guards_refuse_other),
    )
}

/// False hits over recall, with the chosen threshold.
fn plot(report: &Report) -> anyhow::Result<String> {
    use plotters::prelude::*;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let most = report.curve.iter().map(|point| point[0]).fold(0.01, f64::max);
        let worst = report.curve.iter().map(|point| point[1]).fold(0.01, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .caption("False hits over recall", ("sans-serif", 18))
            .build_cartesian_2d(0.0..most, 0.0..worst)?;
        chart
            .configure_mesh()
            .x_desc("recall: hits of the pairs labelled 1")
            .y_desc("false hits: share of all hits")
            .draw()?;
        let curve = report.curve.iter().map(|[recall, false_hits]| (*recall, *false_hits));
        chart.draw_series(LineSeries::new(curve, &BLUE))?;
        let chosen = (report.recall, report.false_hits);
        chart.draw_series([Circle::new(chosen, 5, BLACK.filled())])?;
        area.present()?;
    }
    Ok(svg)
}
