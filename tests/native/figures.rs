//! README's figures of speed, held against the raw results that they come from.

use std::path::PathBuf;

use pointsman_testkit::root;
use regex::Regex;
use serde_json::Value;

/// Of the newest full run, by date.
fn newest() -> (PathBuf, Value) {
    let entries = std::fs::read_dir(root().join("bench/results")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let full = paths.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".json") && !name.contains("quick")
    });
    let path = full.max().unwrap();
    let results = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    (path, results)
}

fn at<'r>(results: &'r Value, variant: &str, body_bytes: u64) -> Option<&'r Value> {
    let variants = results["variants"].as_array().unwrap();
    let found = variants.iter().find(|it| it["variant"] == variant)?;
    let sizes = found["sizes"].as_array().unwrap();
    sizes.iter().find(|it| it["body_bytes"] == body_bytes)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn micros(value: f64) -> String {
    if value < 1000.0 { format!("{value:.0} µs") } else { format!("{:.1} ms", value / 1000.0) }
}

/// What a row says: throughput kept, processor time of all processes, and what is added at idle at
/// the median and the 99th percentile.
fn cells(at: &Value) -> [String; 4] {
    let full = &at["full"];
    let kept = &full["kept"]["median"];
    let kept = kept.as_f64().map_or("1".to_owned(), |kept| {
        if kept < 0.1 { format!("{kept:.3}") } else { format!("{kept:.2}") }
    });
    let cpu = number(&full["envoy_cpu"]) + number(&full["sidecar_cpu"]);
    let idle = &at["idle"];
    let is_reference = full["kept"].is_null();
    let added = |percentile: &str| {
        if is_reference {
            return "–".to_owned();
        }
        let of = |latency: &Value| latency[percentile].as_f64();
        let added = of(&idle["latency"]).zip(of(&idle["reference"]));
        added.map_or("–".to_owned(), |(own, reference)| micros(own - reference))
    };
    [kept, micros(cpu), added("p50"), added("p99")]
}

fn table(readme: &str, name: &str) -> Vec<Vec<String>> {
    let (_, rest) = readme.split_once(&format!("| {name} |")).unwrap();
    let lines = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

#[test]
fn every_figure_of_the_comparison_is_of_the_newest_results() {
    let (path, results) = newest();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let file = path.file_name().unwrap().to_string_lossy();
    assert!(readme.contains(&format!("bench/results/{file}")), "README names {file}");

    let id = Regex::new(r"`([a-z-]+)`").unwrap();
    let rows = table(&readme, "way to route");
    for row in &rows {
        let variant = &id.captures(&row[0]).unwrap()[1];
        let measured = at(&results, variant, 2048).unwrap_or_else(|| panic!("no {variant}"));
        assert_eq!(row[1..], cells(measured), "{variant}");
    }
    assert_eq!(rows.len(), results["variants"].as_array().unwrap().len(), "none is left out");

    let rows = table(&readme, "body");
    let sizes: Vec<u64> = results["plan"]["sizes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_u64().unwrap())
        .collect();
    assert_eq!(rows.len(), sizes.len());
    for row in rows {
        let kibibytes: f64 = row[0].strip_suffix(" KiB").unwrap().parse().unwrap();
        let measured = at(&results, "route", (kibibytes * 1024.0) as u64).unwrap();
        assert_eq!(row[1..], cells(measured), "{}", row[0]);
    }
}

#[test]
fn the_first_claim_is_a_ratio_of_the_newest_results() {
    let (_, results) = newest();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (claim, _) = readme.split_once("\n\nMost requests").unwrap();
    let claim = claim.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept = Regex::new(r"([0-9.]+) of its plain throughput").unwrap();
    let said = &kept.captures(&claim).unwrap()[1];
    assert_eq!(said, cells(at(&results, "route", 2048).unwrap())[0]);
}
