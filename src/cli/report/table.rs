//! The report for people to read.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use super::{Report, Tally};

pub(super) fn table(out: &mut dyn Write, report: &Report) -> Result<()> {
    let counted = |counts: &BTreeMap<String, u64>| {
        let counts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        counts.join(", ")
    };
    writeln!(out, "decided by  {}", counted(&report.sources))?;
    if !report.passed.is_empty() {
        writeln!(out, "untouched   {}", counted(&report.passed))?;
    }
    let mut header = format!("\n{:24} {:>9}", "", "requests");
    for target in &report.targets {
        header += &format!(" {target:>9}");
    }
    if report.decided.spent.is_some() {
        header += &format!(" {:>12} {:>8}", "dollars", "saved");
    }
    writeln!(out, "{header}")?;
    row(out, "as decided", &report.decided)?;
    for (name, tally) in &report.presets {
        row(out, &format!("preset {name}"), tally)?;
    }
    if let Some(wished) = &report.threshold {
        row(out, &format!("threshold {:.4}", wished.threshold), &wished.tally)?;
    }
    for (what, tallies) in [("route", &report.routes), ("tenant", &report.tenants)] {
        for (name, tally) in tallies {
            row(out, &format!("{what} {name}"), tally)?;
        }
    }
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, tally: &Tally) -> Result<()> {
    let mut line = format!("{name:24} {:>9}", tally.requests);
    for count in &tally.by_target {
        line += &format!(" {:>7.1} %", *count as f64 / tally.requests as f64 * 100.0);
    }
    if let (Some(spent), Some(strongest)) = (tally.spent, tally.always_strongest) {
        let saved = if strongest > 0.0 { (1.0 - spent / strongest) * 100.0 } else { 0.0 };
        line += &format!(" {spent:>12.4} {saved:>6.1} %");
    }
    writeln!(out, "{line}")
}
