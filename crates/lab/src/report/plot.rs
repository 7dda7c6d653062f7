//! Plots with the numbers behind them.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::canvas::Failure;
use super::html::escape;
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

impl Plot {
    /// The drawing under its title and caption, for where nothing else says what it shows.
    fn titled(&self) -> String {
        /// Characters of a caption's line in a drawing of the usual width.
        const LINE: usize = 84;
        const LINE_HEIGHT: usize = 16;
        let mut lines = vec![String::new()];
        for word in self.caption.split_whitespace() {
            let line = lines.last_mut().filter(|line| line.len() + word.len() < LINE);
            match line {
                Some(line) => *line += &format!("{}{word}", if line.is_empty() { "" } else { " " }),
                None => lines.push(word.to_owned()),
            }
        }
        let text = |(row, line): (usize, &String)| {
            let (y, line) = (44 + row * LINE_HEIGHT, escape(line));
            format!("<text x=\"14\" y=\"{y}\" font-size=\"12\" fill=\"#444444\">{line}</text>\n")
        };
        let head = 44 + lines.len() * LINE_HEIGHT;
        let caption: String = lines.iter().enumerate().map(text).collect();
        let (width, height) = size(&self.svg).unwrap_or((560, 400));
        format!(
            "<svg width=\"{width}\" height=\"{all}\" viewBox=\"0 0 {width} {all}\" \
             xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\">\n\
             <rect width=\"{width}\" height=\"{all}\" fill=\"#FFFFFF\"/>\n\
             <text x=\"14\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n\
             {caption}<g transform=\"translate(0, {head})\">\n{svg}</g>\n</svg>\n",
            all = height + head,
            title = escape(self.title),
            svg = self.svg,
        )
    }
}

/// Width and height of a drawing.
fn size(svg: &str) -> Option<(usize, usize)> {
    let number = |name: &str| svg.split_once(name)?.1.split_once('"')?.0.parse().ok();
    Some((number("width=\"")?, number("height=\"")?))
}

/// Writes `NAME.svg` and `NAME.csv` of each plot.
///
/// # Errors
///
/// A file cannot be written.
pub fn write_plots(directory: &Path, plots: &[Plot]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for plot in plots {
        replace(&directory.join(format!("{}.svg", plot.name)), plot.titled().as_bytes())?;
        replace(&directory.join(format!("{}.csv", plot.name)), plot.csv.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_by_itself_says_what_it_shows() {
        let plot = Plot {
            name: "plot",
            title: "Costs & gains",
            caption: "Less than < one half. ".repeat(9),
            svg: "<svg width=\"560\" height=\"400\"><line/></svg>\n".to_owned(),
            csv: String::new(),
        };
        let titled = plot.titled();
        assert!(titled.contains("Costs &amp; gains") && titled.contains("than &lt; one"));
        assert!(titled.starts_with("<svg width=\"560\" height=\"492\""), "{titled}");
        assert_eq!(titled.matches("font-size=\"12\"").count(), 3);
        let directory = tempfile::tempdir().unwrap();
        write_plots(directory.path(), &[plot]).unwrap();
        let written = fs::read_to_string(directory.path().join("plot.svg")).unwrap();
        assert_eq!(written, titled);
    }
}
