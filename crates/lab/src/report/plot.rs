//! Plots with the numbers behind them.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::canvas::Failure;
use crate::files::replace;

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
    name: &'static str,
    problem: String,
}

/// A drawing with its numbers: SVG and CSV.
pub type Drawn = Result<(String, String), Failure>;

/// How a plot of some numbers is drawn.
pub struct Drawing<Numbers> {
    pub name: &'static str,
    pub title: &'static str,
    pub caption: &'static str,
    /// `None` without the numbers that it shows.
    pub draw: fn(&Numbers) -> Option<Drawn>,
}

/// All plots that there are numbers for.
///
/// # Errors
///
/// The plotting library refuses the numbers.
pub fn draw_all<Numbers>(
    drawings: &[Drawing<Numbers>],
    numbers: &Numbers,
) -> Result<Vec<Plot>, PlotError> {
    let mut plots = Vec::new();
    for &Drawing { name, title, caption, draw } in drawings {
        let Some(drawn) = draw(numbers) else { continue };
        let (svg, csv) = drawn.map_err(|error| PlotError { name, problem: error.to_string() })?;
        plots.push(Plot { name, title, caption: caption.to_owned(), svg, csv });
    }
    Ok(plots)
}

/// A range with some room around its values.
pub fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let room = ((high - low) * 0.06).max(0.01);
    low - room..high + room
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
