//! The plots of a study.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Behind, CLAIMED, CLAIMED_GAIN, Drift, Errors, Level, Mean, Study};
use pointsman_lab::report::canvas::{COLOURS, Failure, axes, axes_named, draw, legend, line, text};
use pointsman_lab::report::{Drawing, Drawn, Plot, PlotError, around, csv, draw_all};

const DRAWINGS: [Drawing<Study>; 7] = [
    Drawing {
        name: "strategies",
        title: "Strategies at traffic levels",
        caption: "Reward per request (quality less λ times cost, labelling included) compared with always the strong \
         target, over the whole period. Bars are two standard errors over the seeds.",
        draw: |study| levels(study, false, "reward above always strong", |level| level.gain),
    },
    Drawing {
        name: "strategies-drift",
        title: "The same, when the models change in the middle of the period",
        caption: "Both halves of the period count.",
        draw: |study| levels(study, true, "reward above always strong", |level| level.gain),
    },
    Drawing {
        name: "accuracy",
        title: "Routing accuracy at traffic levels",
        caption: "Share of the requests that went where they earn most.",
        draw: |study| levels(study, false, "routing accuracy", |level| level.accuracy),
    },
    Drawing {
        name: "compounding",
        title: "Effective cache hit rate by routing accuracy",
        caption: "Share of the requests that the right target's cache answers with an answer to their \
         question, when the router errs independently per request, per wording of a question, \
         or per question. Dots are real policies. The grey line is the claim: 14 points \
         between an accuracy of 72 % and of 91 %.",
        draw: |study| compounding(study, 0),
    },
    Drawing {
        name: "compounding-pairs",
        title: "The same, with paraphrases that people wrote",
        caption: "Questions and their duplicates from pairs; where each belongs is drawn.",
        draw: |study| compounding(study, 1),
    },
    Drawing {
        name: "spending",
        title: "Spending per million requests",
        caption: "US dollars at list prices, with and without a cache per target.",
        draw: |study| bars(study, "US dollars", |behind| behind.spend.mean),
    },
    Drawing {
        name: "waiting",
        title: "Seconds for an answer",
        caption: "Mean, with assumed speeds of the models.",
        draw: |study| bars(study, "seconds", |behind| behind.seconds.mean),
    },
];

/// All plots that there are numbers for.
pub(super) fn all(study: &Study) -> Result<Vec<Plot>, PlotError> {
    draw_all(&DRAWINGS, study)
}

/// The strategies that levels are drawn of, with their colours.
const SHOWN: [(&str, RGBColor); 5] = [
    ("rules", COLOURS[1]),
    ("classifier", COLOURS[0]),
    ("bandit", COLOURS[2]),
    ("classifier and bandit", COLOURS[4]),
    ("always cheap", COLOURS[3]),
];

fn levels(study: &Study, drift: bool, name: &str, value: fn(&Level) -> Mean) -> Option<Drawn> {
    let of = |strategy: &str| -> Vec<&Level> {
        let levels = study.levels.iter();
        levels.filter(|l| l.strategy == strategy && (l.drift != Drift::None) == drift).collect()
    };
    let requests = of(SHOWN[0].0).iter().map(|level| level.requests as f64).collect::<Vec<_>>();
    let (first, last) = (*requests.first()?, *requests.last()?);
    let ends = |level: &&Level| {
        let Mean { mean, error } = value(level);
        [mean - 2.0 * error, mean + 2.0 * error]
    };
    let drawn = draw(|area| -> Result<(), Failure> {
        let shown = SHOWN.iter().flat_map(|(strategy, _)| of(strategy));
        let y = around(shown.flat_map(|level| ends(&level)));
        // Room for the legend below all lines.
        let y = y.start - 0.5 * (y.end - y.start)..y.end;
        let x = (first * 0.85..last * 1.2).log_scale();
        let mut chart = axes_named(area, ["requests in the period", name], x, y, &count)?;
        for (strategy, colour) in SHOWN {
            let levels = of(strategy);
            let at = |level: &&Level| (level.requests as f64, value(level).mean);
            line(&mut chart, strategy, colour, levels.iter().map(at).collect())?;
            chart.draw_series(levels.iter().map(|l| Circle::new(at(l), 3, colour.filled())))?;
            chart.draw_series(levels.iter().map(|level| {
                let [low, high] = ends(level);
                let x = level.requests as f64;
                PathElement::new([(x, low), (x, high)], colour.stroke_width(1))
            }))?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    });
    let rows = SHOWN.iter().flat_map(|(strategy, _)| of(strategy)).map(|level| {
        let Mean { mean, error } = value(level);
        [level.strategy.to_owned(), level.requests.to_string(), mean.to_string(), error.to_string()]
    });
    Some(drawn.map(|svg| (svg, csv::lines("strategy,requests,mean,standard_error", rows))))
}

fn compounding(study: &Study, place: usize) -> Option<Drawn> {
    let forced = &study.caches.get(place)?.forced;
    let of = |errors: Errors| forced.iter().filter(move |point| point.errors == errors);
    let policies: Vec<&Behind> = study
        .behind
        .iter()
        .filter(|behind| behind.cached && place == 0 && behind.policy != "always strong")
        .collect();
    let range = |values: Vec<f64>| around(values.into_iter());
    let drawn = draw(|area| -> Result<(), Failure> {
        let accuracies = forced.iter().map(|point| point.achieved.mean);
        let shown = policies.iter().map(|policy| policy.accuracy.mean);
        let x = range(accuracies.chain(shown).collect());
        let y = range(
            forced
                .iter()
                .map(|point| point.effective.mean)
                .chain(policies.iter().map(|policy| policy.effective.mean))
                .collect(),
        );
        let names = ["routing accuracy", "effective hit rate"];
        let mut chart = axes(area, names, x, y)?;
        let lines = [
            (Errors::EachQuestion, "errors by question", COLOURS[2]),
            (Errors::EachWording, "errors by wording", COLOURS[0]),
            (Errors::EachRequest, "errors by request", COLOURS[1]),
        ];
        for (errors, name, colour) in lines {
            let points =
                of(errors).map(|point| (point.achieved.mean, point.effective.mean)).collect();
            line(&mut chart, name, colour, points)?;
        }
        let start = of(Errors::EachWording).find(|point| point.accuracy >= CLAIMED[0]);
        if let Some(start) = start {
            let from = start.effective.mean;
            let claim = vec![(CLAIMED[0], from), (CLAIMED[1], from + CLAIMED_GAIN)];
            line(&mut chart, "claimed", COLOURS[3], claim)?;
        }
        // Names stand to the left and on changing heights, where they cross neither edge nor
        // each other.
        chart.draw_series(policies.iter().enumerate().map(|(place, policy)| {
            let dot = Circle::new((0, 0), 5, COLOURS[4].filled());
            let side = text().pos(Pos::new(HPos::Right, VPos::Center));
            let name = Text::new(policy.policy, (-10, 16 * (place as i32 % 2) - 2), side);
            EmptyElement::at((policy.accuracy.mean, policy.effective.mean)) + dot + name
        }))?;
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    });
    let rows = forced.iter().map(|point| {
        [
            format!("{:?}", point.errors),
            point.achieved.mean.to_string(),
            point.hit.mean.to_string(),
            point.effective.mean.to_string(),
            point.false_hit.mean.to_string(),
        ]
    });
    let policies = policies.iter().map(|policy| {
        [
            policy.policy.to_owned(),
            policy.accuracy.mean.to_string(),
            policy.hit.mean.to_string(),
            policy.effective.mean.to_string(),
            policy.false_hit.mean.to_string(),
        ]
    });
    let csv = csv::lines(
        "router,accuracy,hit_rate,effective_hit_rate,false_hit_rate",
        rows.chain(policies),
    );
    Some(drawn.map(|svg| (svg, csv)))
}

/// Two bars a policy: without caches, and with them.
fn bars(study: &Study, unit: &str, value: fn(&Behind) -> f64) -> Option<Drawn> {
    let pairs: Vec<&[Behind]> = study.behind.chunks_exact(2).collect();
    let most = study.behind.iter().map(value).fold(0.0, f64::max);
    let count = pairs.len() as f64;
    if pairs.is_empty() {
        return None;
    }
    let drawn = draw(|area| -> Result<(), Failure> {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .set_label_area_size(LabelAreaPosition::Bottom, 46)
            .build_cartesian_2d(0.0..most * 1.15, 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.6))
            .x_desc(unit)
            .label_style(text())
            .axis_desc_style(text())
            .draw()?;
        for (row, pair) in pairs.iter().enumerate() {
            let top = count - row as f64;
            for (place, (behind, colour)) in pair.iter().zip([COLOURS[3], COLOURS[0]]).enumerate() {
                let y = top - 0.34 - 0.28 * place as f64;
                let end = value(behind);
                let bar = Rectangle::new([(0.0, y), (end, y - 0.26)], colour.filled());
                chart.draw_series([bar])?;
                let number = if most > 100.0 { format!("{end:.0}") } else { format!("{end:.2}") };
                chart.draw_series([Text::new(number, (end + most * 0.01, y - 0.03), text())])?;
            }
            let behind = if row == 0 { " (grey: no caches, blue: caches)" } else { "" };
            let name = format!("{}{behind}", pair[0].policy);
            chart.draw_series([Text::new(name, (most * 0.005, top - 0.08), text())])?;
        }
        Ok(())
    });
    let rows = study.behind.iter().map(|behind| {
        [behind.policy.to_owned(), behind.cached.to_string(), value(behind).to_string()]
    });
    Some(drawn.map(|svg| (svg, csv::lines("policy,cached,value", rows))))
}

/// 1K, 30K, 1M.
fn count(value: &f64) -> String {
    match *value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}K", value / 1e3),
        value => value.to_string(),
    }
}
