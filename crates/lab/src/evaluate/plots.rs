//! The plots of an evaluation, one function each.

use plotters::prelude::*;

use super::figures::{self, Confusion};
use super::report::EvaluationReport;
use crate::report::canvas::{COLOURS, axes, draw, legend, line, text};
use crate::report::{Drawing, Drawn, Plot, PlotError, around, csv, draw_all};

impl EvaluationReport<'_> {
    /// All plots that there are numbers for.
    ///
    /// # Errors
    ///
    /// The plotting library refuses the numbers.
    pub fn plots(&self) -> Result<Vec<Plot>, PlotError> {
        draw_all(&drawings(), self)
    }
}

fn drawings<'a>() -> [Drawing<EvaluationReport<'a>>; 8] {
    [
        Drawing {
            name: "cost-quality",
            title: "Quality by share of strong calls",
            caption: "The dot is the threshold in use. Above the random line a router is worth its calls.",
            draw: |report| Some(cost_quality(report)),
        },
        Drawing {
            name: "calibration",
            title: "Calibration",
            caption: "How often the cheap answer was good enough where the score said so. On the diagonal, \
         scores are probabilities. Larger dots stand for more rows.",
            draw: |report| Some(calibration(report)),
        },
        Drawing {
            name: "confusion",
            title: "Decisions and labels",
            caption: "Cheap, but not good enough: quality lost. Strong, but not needed: money lost.",
            draw: |report| Some(confusion(report)),
        },
        Drawing {
            name: "scores",
            title: "Scores by label",
            caption: "The further apart the two are, the better a threshold can separate them.",
            draw: |report| Some(scores(report)),
        },
        Drawing {
            name: "sources",
            title: "AUROC by source",
            caption: "Within one source the kind of task gives nothing away. The bar is the 95 % interval.",
            draw: sources,
        },
        Drawing {
            name: "features",
            title: "Each feature: signal against cost",
            caption: "AUROC of the bare value, folded at 0.5, where there is no signal. A feature is charged the time of its \
         group, because one pass computes them together.",
            draw: features,
        },
        Drawing {
            name: "feature-groups",
            title: "Each group of features: gain against cost",
            caption: "What the model's AUROC loses without the group, and what the group takes for one prompt.",
            draw: feature_groups,
        },
        Drawing {
            name: "learning-curve",
            title: "Learning curve",
            caption: "Models fitted on growing numbers of train rows, measured on the validation rows. Still rising at the end: more \
         labels help.",
            draw: learning_curve,
        },
    ]
}

fn cost_quality(report: &EvaluationReport) -> Drawn {
    let curves = figures::cost_quality(report.rows, report.evaluation);
    let standing = &report.evaluation.policy.standing;
    let range = around(curves.iter().flat_map(|curve| &curve.points).map(|point| point[1]));
    let svg = draw(|area| {
        let mut chart = axes(area, ["share of strong calls", "mean quality"], 0.0..1.0, range)?;
        for curve in &curves {
            let colour = match curve.name {
                "this model" => COLOURS[0],
                "hand rules" => COLOURS[1],
                "previous model" => COLOURS[4],
                "oracle" => COLOURS[2],
                _ => COLOURS[3],
            };
            let points = curve.points.iter().map(|[x, y]| (*x, *y)).collect();
            line(&mut chart, curve.name, colour, points)?;
        }
        let chosen = (standing.strong_share, standing.quality.value);
        chart.draw_series([Circle::new(chosen, 6, COLOURS[0].filled())])?;
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })?;
    let rows = curves.iter().flat_map(|curve| {
        curve.points.iter().map(|[x, y]| [curve.name.to_owned(), x.to_string(), y.to_string()])
    });
    Ok((svg, csv::lines("policy,strong_share,quality", rows)))
}

fn calibration(report: &EvaluationReport) -> Drawn {
    let bins = figures::bins(report.rows, 10);
    let filled: Vec<_> = bins.into_iter().filter(|bin| bin.rows > 0).collect();
    let share = |bin: &figures::Bin| bin.cheap_ok as f64 / bin.rows as f64;
    let most = filled.iter().map(|bin| bin.rows).max().unwrap_or(1) as f64;
    let svg = draw(|area| {
        let names = ["mean score", "share of good cheap answers"];
        let mut chart = axes(area, names, 0.0..1.0, 0.0..1.0)?;
        line(&mut chart, "perfect", COLOURS[3], vec![(0.0, 0.0), (1.0, 1.0)])?;
        let points = filled.iter().map(|bin| (bin.mean_score, share(bin))).collect();
        line(&mut chart, "this model", COLOURS[0], points)?;
        chart.draw_series(filled.iter().map(|bin| {
            let size = 3.0 + 7.0 * (bin.rows as f64 / most).sqrt();
            Circle::new((bin.mean_score, share(bin)), size as i32, COLOURS[0].filled())
        }))?;
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })?;
    let rows = filled.iter().map(|bin| [bin.mean_score, share(bin), bin.rows as f64]);
    Ok((svg, csv::lines("mean_score,share_cheap_ok,rows", rows)))
}

fn confusion(report: &EvaluationReport) -> Drawn {
    let counts = figures::confusion(report.rows, report.evaluation.threshold);
    let Confusion { cheap_rightly, cheap_wrongly, strong_wrongly, strong_rightly } = counts;
    // x: the decision, y: the label.
    let cells = [
        (0, 1, cheap_rightly, "cheap, good enough", true),
        (0, 0, cheap_wrongly, "cheap, not good enough", false),
        (1, 1, strong_wrongly, "strong, not needed", false),
        (1, 0, strong_rightly, "strong, required", true),
    ];
    let svg = draw(|area| {
        let mut chart = ChartBuilder::on(area).margin(14).build_cartesian_2d(0..2, 0..2)?;
        for (x, y, count, name, right) in cells {
            let share = count as f64 / report.rows.len().max(1) as f64;
            let colour = if right { COLOURS[2] } else { COLOURS[1] };
            let shade = colour.mix(0.12 + 0.6 * share).filled();
            chart.draw_series([Rectangle::new([(x, y), (x + 1, y + 1)], shade)])?;
            let label = format!("{count} ({:.1} %)", share * 100.0);
            chart.draw_series([EmptyElement::at((x, y + 1))
                + Text::new(name, (16, 24), text())
                + Text::new(label, (16, 48), text())])?;
        }
        Ok(())
    })?;
    let rows = cells.map(|(x, y, count, ..)| {
        [["cheap", "strong"][x as usize].to_owned(), (y == 1).to_string(), count.to_string()]
    });
    Ok((svg, csv::lines("decision,cheap_ok,rows", rows)))
}

fn scores(report: &EvaluationReport) -> Drawn {
    let bins = figures::bins(report.rows, 25);
    let top = bins.iter().map(|bin| bin.cheap_ok.max(bin.rows - bin.cheap_ok)).max().unwrap_or(1);
    let threshold = f64::from(report.evaluation.threshold);
    let svg = draw(|area| {
        let range = 0.0..(top as f64 * 1.15).max(1.0);
        let mut chart = axes(area, ["score", "rows"], 0.0..1.0, range.clone())?;
        for (name, colour, ok) in
            [("cheap is good enough", COLOURS[2], true), ("strong is required", COLOURS[1], false)]
        {
            let bars = bins.iter().map(|bin| {
                let rows = if ok { bin.cheap_ok } else { bin.rows - bin.cheap_ok };
                Rectangle::new([(bin.from, 0.0), (bin.to, rows as f64)], colour.mix(0.5).filled())
            });
            chart.draw_series(bars)?.label(name).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 18, y + 5)], colour.mix(0.5).filled())
            });
        }
        let mark = vec![(threshold, 0.0), (threshold, range.end)];
        line(&mut chart, "threshold", COLOURS[0], mark)?;
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })?;
    let rows = bins.iter().map(|b| [b.from, b.to, b.cheap_ok as f64, (b.rows - b.cheap_ok) as f64]);
    Ok((svg, csv::lines("from,to,cheap_ok,strong_required", rows)))
}

fn sources(report: &EvaluationReport) -> Option<Drawn> {
    let sources: Vec<_> = report
        .evaluation
        .by_source
        .iter()
        .filter_map(|(name, m)| Some((name, m, m.auroc?, m.auroc_ci95?)))
        .collect();
    if sources.is_empty() {
        return None;
    }
    // The most rows first, as many as fit.
    let mut shown: Vec<_> = sources.clone();
    shown.sort_by_key(|(_, metrics, ..)| std::cmp::Reverse(metrics.n));
    shown.truncate(16);
    let count = shown.len() as f64;
    let drawn = draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .set_label_area_size(LabelAreaPosition::Bottom, 46)
            .build_cartesian_2d(0.0..1.0, 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.6))
            .x_desc("AUROC")
            .label_style(("sans-serif", 15))
            .draw()?;
        for (row, (name, metrics, auroc, [low, high])) in shown.iter().enumerate() {
            let y = count - row as f64 - 0.65;
            let bar = COLOURS[0].stroke_width(3);
            chart.draw_series([PathElement::new([(*low, y), (*high, y)], bar)])?;
            chart.draw_series([Circle::new((*auroc, y), 5, COLOURS[0].filled())])?;
            let name = if name.is_empty() { "(none)" } else { name };
            let label = format!("{name} ({} rows)", metrics.n);
            chart.draw_series([Text::new(label, (0.01, y + 0.4), text())])?;
        }
        Ok(())
    });
    let rows = sources.iter().map(|(name, metrics, auroc, [low, high])| {
        [
            (*name).clone(),
            metrics.n.to_string(),
            auroc.to_string(),
            low.to_string(),
            high.to_string(),
        ]
    });
    Some(drawn.map(|svg| (svg, csv::lines("source,rows,auroc,low,high", rows))))
}

fn features(report: &EvaluationReport) -> Option<Drawn> {
    let signal = report.signal?;
    let folded = |auroc: f64| auroc.max(1.0 - auroc);
    let best = signal.features.iter().map(|f| folded(f.auroc)).fold(0.6, f64::max);
    let drawn = draw(|area| {
        let names = ["nanoseconds a prompt, whole group", "AUROC of the value alone"];
        let x = time_axis(signal.groups.iter().map(|group| group.nanoseconds));
        let mut chart = axes(area, names, x.log_scale(), 0.5..best + 0.02)?;
        chart.draw_series(signal.features.iter().map(|feature| {
            let at = (feature.nanoseconds.max(1.0), folded(feature.auroc));
            Circle::new(at, 4, COLOURS[0].mix(0.6).filled())
        }))?;
        // The strongest of each group carry their names.
        let mut named: Vec<(&str, i32)> = Vec::new();
        for feature in &signal.features {
            let seen = named.iter().filter(|(group, _)| *group == feature.group).count();
            if seen < 3 {
                named.push((feature.group, 0));
                let at = (feature.nanoseconds.max(1.0), folded(feature.auroc));
                let label = Text::new(feature.name, (7, -7), text());
                chart.draw_series([EmptyElement::at(at) + label])?;
            }
        }
        Ok(())
    });
    let rows = signal.features.iter().map(|f| {
        [f.name.to_owned(), f.group.to_owned(), f.auroc.to_string(), f.nanoseconds.to_string()]
    });
    Some(drawn.map(|svg| (svg, csv::lines("feature,group,auroc,nanoseconds", rows))))
}

fn feature_groups(report: &EvaluationReport) -> Option<Drawn> {
    let groups = &report.signal?.groups;
    let drawn = draw(|area| {
        let names = ["nanoseconds per prompt", "AUROC gain"];
        let x = time_axis(groups.iter().map(|group| group.nanoseconds));
        let y = around(groups.iter().map(|group| group.auroc_gain));
        let mut chart = axes(area, names, x.log_scale(), y)?;
        for group in groups {
            let at = (group.nanoseconds.max(1.0), group.auroc_gain);
            let dot = Circle::new((0, 0), 6, COLOURS[0].filled());
            let label = Text::new(group.name, (10, -8), text());
            chart.draw_series([EmptyElement::at(at) + dot + label])?;
        }
        Ok(())
    });
    let rows = groups
        .iter()
        .map(|g| [g.name.to_owned(), g.nanoseconds.to_string(), g.auroc_gain.to_string()]);
    Some(drawn.map(|svg| (svg, csv::lines("group,nanoseconds,auroc_gain", rows))))
}

/// Whole decades around the times, with room for a label at the right.
fn time_axis(nanoseconds: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = nanoseconds.fold((1e9_f64, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    10_f64.powf(low.max(1.0).log10().floor())..10_f64.powf(high.log10().ceil() + 0.7)
}

fn learning_curve(report: &EvaluationReport) -> Option<Drawn> {
    let steps = report.learning_curve;
    let (first, last) = (steps.first()?, steps.last()?);
    let of = |value: fn(&figures::LearningStep) -> Option<f64>| -> Vec<(f64, f64)> {
        steps.iter().filter_map(|step| Some((step.rows as f64, value(step)?))).collect()
    };
    let lines = [
        ("accuracy", COLOURS[3], of(|step| Some(step.accuracy))),
        ("AUROC", COLOURS[0], of(|step| step.auroc)),
        ("APGR", COLOURS[2], of(|step| step.apgr)),
    ];
    let drawn = draw(|area| {
        let x = (first.rows.max(1) as f64)..(last.rows.max(first.rows + 1) as f64 * 1.1);
        let y = around(lines.iter().flat_map(|(.., points)| points).map(|point| point.1));
        let mut chart = axes(area, ["labelled rows", "on validation rows"], x.log_scale(), y)?;
        for (name, colour, points) in lines.clone() {
            chart.draw_series(points.iter().map(|at| Circle::new(*at, 4, colour.filled())))?;
            line(&mut chart, name, colour, points)?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    });
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let rows = steps.iter().map(|step| {
        [step.rows.to_string(), step.accuracy.to_string(), number(step.auroc), number(step.apgr)]
    });
    Some(drawn.map(|svg| (svg, csv::lines("rows,accuracy,auroc,apgr", rows))))
}
