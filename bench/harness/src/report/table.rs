//! Markdown tables of a run.

use std::fmt::Write;

use crate::results::{Measured, Open, Results};
use crate::stats::{Latency, Spread};

/// All tables of a run, with their conditions.
pub fn markdown(results: &Results) -> String {
    let mut text = conditions(results);
    let sizes = &results.plan.sizes;
    for (at, &size) in sizes.iter().enumerate() {
        let _ = writeln!(text, "\n### Bodies of {}\n", bytes(size));
        text += &throughput(results, size);
        text.push('\n');
        text += &latency(results, size);
        if at == 0 {
            text.push('\n');
            text += &footprint(results);
        }
    }
    for (name, reason) in &results.left_out {
        let _ = writeln!(text, "\nLeft out: `{name}` ({reason}).");
    }
    text
}

fn conditions(results: &Results) -> String {
    let it = &results.conditions;
    let envoy = it.versions.get("envoy").map_or("unknown", String::as_str);
    // commit/1.40.0/Clean/RELEASE/BoringSSL
    let envoy = envoy.split('/').nth(1).unwrap_or(envoy);
    format!(
        "{} run of {}: {}, {} cores, Linux {}, Envoy {envoy} with one worker; load average {} before and {} \
         after.\n",
        results.plan.name, it.date, it.cpu, it.cores, it.kernel, it.load_before, it.load_after
    )
}

/// The closed loop.
fn throughput(results: &Results, size: usize) -> String {
    let mut text =
        "| variant | throughput kept | requests per second | CPU per request, all processes, µs \
                    | of it Envoy, µs | Envoy's core busy |\n|---|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for (variant, at) in at(results, size) {
        let full = &at.full;
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {} | {:.1} | {:.0} % |",
            variant.label,
            full.kept.map_or_else(dash, kept),
            full.rate.median,
            number(full.envoy_cpu + full.sidecar_cpu),
            full.envoy_cpu,
            full.envoy_busy * 100.0
        );
    }
    text
}

/// The open loop.
fn latency(results: &Results, size: usize) -> String {
    let mut text =
        "| variant | idle: added p50, µs | added p99, µs | added p99.9, µs | half load: requests \
                    per second | added p50, µs | added p99, µs | added p99.9, µs |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for (variant, at) in at(results, size) {
        let (Some(idle), Some(half)) = (&at.idle, &at.half) else { continue };
        // The reference has nothing to be compared with: its own latency is what others add to.
        let own = variant.variant == crate::variants::REFERENCE;
        let cells = |open: &Open| {
            [|it: &Latency| it.p50, |it: &Latency| it.p99, |it: &Latency| it.p999]
                .map(|of| if own { of(&open.latency) } else { added(open, of) })
                .map(|value| value.map_or_else(dash, number))
        };
        let (idle, half_load) = (cells(idle), cells(half));
        let name = if own {
            format!("{} (its own latency)", variant.label)
        } else {
            variant.label.clone()
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {:.0} | {} |",
            idle.join(" | "),
            half.offered,
            half_load.join(" | ")
        );
    }
    text
}

/// Memory and start-up.
fn footprint(results: &Results) -> String {
    let mut text = "| variant | start to first answer, s | memory of Envoy, MiB | of the sidecar or proxy, MiB |\n\
                    |---|---:|---:|---:|\n"
        .to_owned();
    for variant in &results.variants {
        let of =
            |bytes: u64| if bytes == 0 { "–".to_owned() } else { format!("{}", bytes >> 20) };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            variant.label,
            variant.start_seconds.map_or_else(dash, |it| format!("{:.2}", it.median)),
            of(variant.envoy_bytes),
            of(variant.sidecar_bytes)
        );
    }
    for (name, size) in &results.wasm_bytes {
        let _ = writeln!(text, "\nModule of `{name}`: {:.2} MB.", *size as f64 / 1e6);
    }
    text
}

fn at(
    results: &Results,
    size: usize,
) -> impl Iterator<Item = (&Measured, &crate::results::AtSize)> {
    results.variants.iter().filter_map(move |it| Some((it, it.at(size)?)))
}

/// How much later than without a filter.
pub fn added(open: &Open, of: fn(&Latency) -> Option<f64>) -> Option<f64> {
    Some(of(&open.latency)? - of(&open.reference)?)
}

fn kept(spread: Spread) -> String {
    if spread.low == spread.high {
        return format!("{:.2}", spread.median);
    }
    let digits = if spread.median < 0.1 { 4 } else { 2 };
    format!("{:.digits$} ({:.digits$}–{:.digits$})", spread.median, spread.low, spread.high)
}

fn number(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn dash() -> String {
    "–".to_owned()
}

fn bytes(size: usize) -> String {
    if size < 1024 { format!("{size} bytes") } else { format!("{} KiB", size / 1024) }
}
