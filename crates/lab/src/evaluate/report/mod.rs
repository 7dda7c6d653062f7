//! The report: one HTML page that needs nothing else, and its plots as SVG and CSV files.

use std::fmt::{Display, Write};
use std::fs;
use std::io;
use std::path::Path;

use super::figures::{self, LearningStep};
use super::signal::Signal;
use super::{Estimate, Evaluation, ScoredRow};

pub(crate) mod canvas;
pub(crate) mod plots;

/// Everything that a report shows. There is no text of a prompt in it.
pub struct Report<'a> {
    pub evaluation: &'a Evaluation,
    pub rows: &'a [ScoredRow],
    pub signal: Option<&'a Signal>,
    /// From small to large.
    pub learning_curve: &'a [LearningStep],
}

/// One plot with the numbers behind it.
pub struct Plot {
    /// The name of its files.
    pub name: &'static str,
    pub title: &'static str,
    pub caption: String,
    pub svg: String,
    pub csv: String,
}

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("plot {name}: {problem}")]
pub struct PlotError {
    pub(crate) name: &'static str,
    pub(crate) problem: String,
}

impl Report<'_> {
    /// All plots that there are numbers for.
    ///
    /// # Errors
    ///
    /// The plotting library refuses the numbers.
    pub fn plots(&self) -> Result<Vec<Plot>, PlotError> {
        plots::all(self)
    }

    /// The page.
    pub fn html(&self, plots: &[Plot]) -> String {
        let evaluation = self.evaluation;
        let mut page = head("Pointsman: evaluation");
        let version = escape(&evaluation.policy.model_version);
        let metrics = &evaluation.metrics;
        let _ = write!(
            page,
            "<h1>Model {version}</h1><p>{} labelled rows, threshold {:.3}. Positive class: the \
             strong model is required. Intervals are 95 % bootstrap intervals.</p>",
            metrics.n, evaluation.threshold
        );
        page += "<h2>Against every baseline, on the same rows</h2>";
        page += &self.standings();
        page += "<p class=note>Gain: quality of this model minus the baseline's, on the same \
                 resamples. The cost-matched shuffle calls the strong model as often as this model \
                 does, on rows drawn at random (its mean over all draws): gain over it is what the \
                 model knows. The oracle asks the strong model where, and only where, it is \
                 better.</p><h2>Measures</h2>";
        page += &self.measures();
        plots.iter().for_each(|plot| page += &figure(plot));
        page += "<h2>By source</h2>";
        page += &self.sources();
        page += "</main></body></html>\n";
        page
    }

    fn standings(&self) -> String {
        let policy = &self.evaluation.policy.standing;
        let mut rows = vec![("this model", policy)];
        rows.extend(self.evaluation.baselines.iter().map(|(name, standing)| (*name, standing)));
        let cells = rows.iter().map(|(name, standing)| {
            vec![
                escape(&name.replace('_', " ")),
                format!("{:.1} %", standing.strong_share * 100.0),
                interval(Some(standing.accuracy)),
                interval(Some(standing.quality)),
                interval(standing.gain.map(|gain| gain.quality)),
                interval(standing.auroc),
                interval(standing.apgr),
            ]
        });
        let head = ["policy", "strong calls", "accuracy", "quality", "gain", "AUROC", "APGR"];
        table(&head, cells)
    }

    fn measures(&self) -> String {
        let metrics = &self.evaluation.metrics;
        let share = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let rows = [
            ("accuracy of the majority", Some(metrics.majority_accuracy)),
            ("accuracy", Some(metrics.accuracy)),
            ("balanced accuracy", metrics.balanced_accuracy),
            ("AUROC", metrics.auroc),
            ("AUROC within sources", self.evaluation.auroc_within_source),
            ("APGR", metrics.apgr),
            ("strong calls for 50 % of the gap (CPT50)", metrics.cpt50),
            ("strong calls for 80 % of the gap (CPT80)", metrics.cpt80),
            ("Brier score", Some(metrics.brier)),
            ("expected calibration error", Some(metrics.ece)),
        ];
        let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), share(value)]);
        table(&["measure", "value"], rows)
    }

    fn sources(&self) -> String {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let rows = self.evaluation.by_source.iter().map(|(source, m)| {
            vec![
                escape(if source.is_empty() { "(none)" } else { source }),
                m.n.to_string(),
                format!("{:.3}", m.majority_accuracy),
                format!("{:.3}", m.accuracy),
                number(m.auroc),
                number(m.apgr),
            ]
        });
        table(&["source", "rows", "majority", "accuracy", "AUROC", "APGR"], rows)
    }
}

/// Writes `NAME.svg` and `NAME.csv` of each plot.
///
/// # Errors
///
/// A file cannot be written.
pub fn write_plots(directory: &Path, plots: &[Plot]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for plot in plots {
        replace(&directory.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
        replace(&directory.join(format!("{}.csv", plot.name)), plot.csv.as_bytes())?;
    }
    Ok(())
}

/// Writes a file next to its place, then renames it: a partial file never looks complete.
///
/// # Errors
///
/// The file cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}

fn interval(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".to_owned(), |Estimate { value, ci95: [low, high] }| {
        format!("{value:.3} <small>{low:.3} to {high:.3}</small>")
    })
}

/// A table; cells are HTML.
pub(crate) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<div class=wide><table><thead><tr>");
    head.iter().for_each(|name| out += &format!("<th>{name}</th>"));
    out += "</tr></thead><tbody>";
    for row in rows {
        out += "<tr>";
        row.iter().for_each(|cell| out += &format!("<td>{cell}</td>"));
        out += "</tr>";
    }
    out + "</tbody></table></div>"
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Comma-separated lines (RFC 4180) of a header and rows.
pub(crate) fn csv<R: IntoIterator<Item = C>, C: Display>(
    head: &str,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut out = format!("{head}\n");
    for row in rows {
        let cells: Vec<String> = row
            .into_iter()
            .map(|cell| {
                let cell = cell.to_string();
                match cell.contains([',', '"', '\n', '\r']) {
                    true => format!("\"{}\"", cell.replace('"', "\"\"")),
                    false => cell,
                }
            })
            .collect();
        out += &cells.join(",");
        out.push('\n');
    }
    out
}

/// A plot under its title.
pub(crate) fn figure(plot: &Plot) -> String {
    format!(
        "<h2>{}</h2><figure>{}<figcaption>{}</figcaption></figure>",
        plot.title, plot.svg, plot.caption
    )
}

/// The beginning of a page, up to `<main>`.
pub(crate) fn head(title: &str) -> String {
    HEAD.replace("TITLE", title)
}

/// Plots are drawn black on white; the page maps both to its own colours, so that one drawing is
/// readable in light and in dark.
const HEAD: &str = r##"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>TITLE</title>
<style>
:root { --ink: #1c2330; --paper: #ffffff; --line: #d5dae3; --soft: #5b6678; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8f0; --paper: #12161d; --line: #333c4b; --soft: #9aa6b8; }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; }
small { color: var(--soft); white-space: nowrap; display: block; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: 0; }
svg { width: 100%; height: auto; }
svg [fill="#000000"] { fill: var(--ink); } svg [stroke="#000000"] { stroke: var(--ink); }
svg [fill="#FFFFFF"] { fill: var(--paper); } svg [stroke="#FFFFFF"] { stroke: var(--paper); }
</style></head><body><main>
"##;
