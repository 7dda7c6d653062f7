//! Plots of a run: bars of what each variant costs at the common size of body.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::table::added;
use crate::results::{Measured, Results};

const WIDTH: u32 = 760;
const ROW: u32 = 34;
/// For the variants' names.
const NAMES: i32 = 300;
const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb2);
const OTHERS: RGBColor = RGBColor(0x8a, 0x93, 0x9b);

/// Bars, one per variant; a logarithmic axis where values differ by powers of ten.
struct Chart {
    file: &'static str,
    title: &'static str,
    value: fn(&Measured, usize) -> Option<f64>,
    log: bool,
    digits: usize,
}

const CHARTS: &[Chart] = &[
    Chart {
        file: "bench-throughput.svg",
        title: "Throughput kept by one Envoy worker, relative to no filter",
        value: |variant, size| Some(variant.at(size)?.full.kept?.median),
        log: false,
        digits: 2,
    },
    Chart {
        file: "bench-latency.svg",
        title: "Latency added at the median when idle, in µs (logarithmic)",
        value: |variant, size| added(variant.at(size)?.idle.as_ref()?, |it| it.p50),
        log: true,
        digits: 0,
    },
    Chart {
        file: "bench-cpu.svg",
        title: "CPU time per request of all processes at full load, in µs (logarithmic)",
        value: |variant, size| {
            let full = &variant.at(size)?.full;
            Some(full.envoy_cpu + full.sidecar_cpu)
        },
        log: true,
        digits: 0,
    },
];

/// Writes all plots into a directory.
pub fn draw(results: &Results, directory: &Path) -> Result<()> {
    let size = results.plan.sizes.first().copied().unwrap_or_default();
    for chart in CHARTS {
        let bars: Vec<(&Measured, f64)> = results
            .variants
            .iter()
            .filter_map(|variant| Some((variant, (chart.value)(variant, size)?)))
            // A bar of a logarithmic axis has no place for what is not more than one.
            .filter(|(_, value)| !chart.log || *value > 1.0)
            .collect();
        if bars.is_empty() {
            continue;
        }
        let svg = chart.svg(&bars).map_err(|error| anyhow!("{}: {error}", chart.file))?;
        fs::write(directory.join(chart.file), svg)?;
    }
    Ok(())
}

type Failure = Box<dyn std::error::Error>;

impl Chart {
    fn svg(&self, bars: &[(&Measured, f64)]) -> Result<String, Failure> {
        let height = ROW * u32::try_from(bars.len())? + 50;
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
        root.draw(&Text::new(self.title, (12, 14), text(16)))?;
        let longest = bars.iter().map(|(_, value)| self.scaled(*value)).fold(0.0, f64::max);
        // Behind the longest bar is its number.
        let room = f64::from(WIDTH) - f64::from(NAMES) - 80.0;
        for (at, (variant, value)) in bars.iter().enumerate() {
            let top = i32::try_from(ROW)? * i32::try_from(at)? + 44;
            let end = NAMES + (self.scaled(*value) / longest * room).round() as i32;
            let color = if variant.label.contains("Pointsman") { OURS } else { OTHERS };
            root.draw(&Rectangle::new([(NAMES, top), (end, top + 22)], color.filled()))?;
            let name = variant.label.replace("**", "");
            root.draw(&Text::new(name, (12, top + 5), text(13)))?;
            let digits = self.digits;
            root.draw(&Text::new(format!("{value:.digits$}"), (end + 6, top + 5), text(13)))?;
        }
        root.present()?;
        drop(root);
        Ok(svg)
    }

    fn scaled(&self, value: f64) -> f64 {
        if self.log { value.log10() } else { value }
    }
}
