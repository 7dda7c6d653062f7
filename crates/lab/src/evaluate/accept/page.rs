//! Router, net and both, to look at: a page with the curve of quality over spending.

use plotters::prelude::SeriesLabelPosition;

use super::super::page::interval;
use super::{AcceptEvaluation, Comparison, RouteStanding};
use crate::report::canvas::{self, COLOURS};
use crate::report::html::{escape, figure, head, table};
use crate::report::{Drawing, Drawn, Plot, PlotError, around, csv, draw_all};

const DRAWINGS: [Drawing<Comparison>; 1] = [Drawing {
    name: "quality-over-spending",
    title: "Quality over spending",
    caption: "Mean quality of the answers at equal spending, from every request to the cheap model \
              (0 %) to every request to the strong one (100 %). The net pays for the cheap answers \
              that it throws away.",
    draw: |comparison| Some(quality(comparison)),
}];

fn ways(comparison: &Comparison) -> [(&'static str, &RouteStanding); 3] {
    [("router", &comparison.router), ("net", &comparison.net), ("both", &comparison.both)]
}

fn quality(comparison: &Comparison) -> Drawn {
    let ways = ways(comparison);
    // All ways are measured at the same spendings, of which the last is all that there is.
    let steps = comparison.router.quality.len();
    let percent = |step: usize| step as f64 * 100.0 / steps.saturating_sub(1).max(1) as f64;
    let all = ways.iter().flat_map(|(_, way)| way.quality.iter().copied());
    let svg = canvas::draw(|area| {
        let names = ["spending between always cheap and always strong, %", "mean quality"];
        let mut chart = canvas::axes(area, names, 0.0..100.0, around(all))?;
        for ((name, way), colour) in ways.iter().zip(COLOURS) {
            let points = way.quality.iter().enumerate();
            let points = points.map(|(step, quality)| (percent(step), *quality)).collect();
            canvas::line(&mut chart, name, colour, points)?;
        }
        canvas::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })?;
    let rows = (0..steps).map(|step| {
        let at = |way: &RouteStanding| way.quality.get(step).map_or(String::new(), f64::to_string);
        let [router, net, both] = ways.map(|(_, way)| at(way));
        [percent(step).to_string(), router, net, both]
    });
    Ok((svg, csv::lines("spending_percent,router,net,both", rows)))
}

impl AcceptEvaluation {
    /// The curve of all rows.
    ///
    /// # Errors
    ///
    /// The plotting library refuses the numbers.
    pub fn plots(&self) -> Result<Vec<Plot>, PlotError> {
        draw_all(&DRAWINGS, &self.all)
    }

    /// A self-contained page, without any text of a prompt or an answer.
    pub fn html(&self, plots: &[Plot]) -> String {
        let mut page = head("Judging answers");
        page += "<h1>Judging answers</h1><p>Three ways to decide who answers: <b>router</b>, by the \
                 prompt alone; <b>net</b>, by the cheap answer, which is paid for and asked for again \
                 when it is refused; <b>both</b>, where what would most likely be refused goes \
                 straight to the strong model. APGR is the share of the quality gap that is \
                 recovered, averaged over all spendings; by chance it is 0.5. 95 % intervals are in \
                 small print.</p>";
        let named = self.by_pair.iter().map(|(name, it)| (name.as_str(), it));
        let rows = named.chain([("all", &self.all)]).map(|(name, comparison)| {
            vec![
                escape(name),
                comparison.n.to_string(),
                interval(comparison.auroc),
                interval(comparison.router.apgr),
                interval(comparison.net.apgr),
                interval(comparison.both.apgr),
                interval(comparison.both.gain),
            ]
        });
        let columns =
            ["cheap model", "rows", "AUROC", "router", "net", "both", "gain of both over router"];
        page += &table(&columns, rows);
        page += &format!(
            "<p class=note>A cheap request costs {:.3} of a strong one; answers with a probability \
             below {:.3} are refused.</p>",
            self.cheap_share, self.accept_below
        );
        plots.iter().for_each(|plot| page += &figure(plot));
        page + "</main></body></html>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JudgedRow, evaluate_accept};

    #[test]
    fn the_page_has_the_curve_of_the_three_ways_and_a_row_for_each_cheap_model() {
        let row = |number: usize| JudgedRow {
            pair: if number.is_multiple_of(2) { "a<b".to_owned() } else { "c".to_owned() },
            judged: (number % 10) as f32 / 10.0,
            router: (number % 7) as f32 / 10.0,
            cheap: f32::from(u8::from(number % 10 > 4)),
            strong: 1.0,
        };
        let rows: Vec<JudgedRow> = (0..200).map(row).collect();
        let evaluation = evaluate_accept(&rows, 0.06, 0.5).unwrap();
        let plots = evaluation.plots().unwrap();
        let page = evaluation.html(&plots);
        assert!(page.contains("<td>a&lt;b</td><td>100</td>") && page.contains("<td>c</td>"));
        assert_eq!(page.matches("<svg").count(), 1);
        for name in ["router", "net", "both"] {
            assert!(plots[0].svg.contains(name), "{name}");
        }
        let lines: Vec<&str> = plots[0].csv.lines().collect();
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert!(lines[0].starts_with("spending_percent") && lines[11].starts_with("100"));
    }
}
