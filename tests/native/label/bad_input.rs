//! Logs that are not what they should be.

use std::fs;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::label::run::{Case, cheap_sum, line, stderr, summary, sums};
use crate::label::upstream::{Reply, Upstream};

fn upstream() -> Upstream {
    Upstream::start(Duration::ZERO, |question, _| Reply::Text(cheap_sum(question)))
}

#[test]
fn every_kind_of_damage_is_counted_and_named() {
    let good = line("a", "How many are 1 + 1?", "2");
    let log = [
        good.as_bytes(),
        b"{\"id\": \"broken\n",
        b"\xff\xfe not utf-8\n",
        b"[1]\n",
        b"\n",
        good.as_bytes(),
        line("empty", "How many are 1 + 1?", " ").as_bytes(),
        b"{\"id\":\"x\",\"request\":{\"messages\":[]},\"response\":\"2\"}\n",
        b"{\"id\":\"y\",\"request\":{\"messages\":[{\"role\":\"user\",\"content\":\"?\"}]}}\n",
        line(
            "open",
            "Tell me about the sea and its many wonders.",
            "It is wide and deep and blue.",
        )
        .as_bytes(),
        line("b", "How many are 2 + 2?", "4").trim_end().as_bytes(),
    ]
    .concat();
    let case = Case::new("");
    fs::write(case.path("log.jsonl"), log).expect("the log");
    let upstream = upstream();
    let output = case.label(&upstream.url(), &["--json"]).output().expect("runs");
    let text = stderr(&output);
    for (number, what) in [
        (2, "not JSON"),
        (3, "not UTF-8"),
        (4, "not a JSON object"),
        (6, "duplicate ID `a`"),
        (7, "the strong answer is empty"),
        (8, "the request's messages are empty"),
        (9, "no response at /response"),
        (10, "needs a judge"),
    ] {
        let named = text
            .lines()
            .any(|line| line.contains(&format!("log.jsonl:{number}: ")) && line.contains(what));
        assert!(named, "line {number}, {what}: {text}");
    }
    let summary = summary(&output);
    let counts = serde_json::json!({"broken_line": 3, "missing_field": 2, "empty_response": 1,
        "duplicate_id": 1, "unscorable": 1});
    assert_eq!(summary["problems"], counts);
    assert_eq!((&summary["labelled"], &summary["lines"]), (&2.into(), &10.into()));
}

#[test]
fn strict_ends_at_the_first_bad_line_and_writes_nothing() {
    let case = Case::new(&format!("{}not json\n", sums(2)));
    let upstream = upstream();
    let output = case.label(&upstream.url(), &["--strict"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("log.jsonl:3: not JSON"), "{}", stderr(&output));
    assert!(!case.out().exists() && upstream.calls().is_empty());
}

#[test]
fn gzip_is_read_and_a_cut_one_is_reported() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(sums(500).as_bytes()).expect("compressed");
    let whole = encoder.finish().expect("compressed");
    let case = Case::new("");
    let upstream = upstream();
    fs::write(case.path("log.jsonl"), &whole).expect("the log");
    let full = summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    assert_eq!(full["labelled"], 500);
    fs::write(case.path("log.jsonl"), &whole[..whole.len() / 2]).expect("the log");
    let output = case.label(&upstream.url(), &["--json"]).output().expect("runs");
    assert!(stderr(&output).contains("the rest of the file cannot be read"), "{}", stderr(&output));
    let cut = summary(&output);
    assert_eq!(cut["problems"]["unreadable_file"], 1);
    assert!(cut["labelled"].as_u64() > Some(50) && cut["labelled"].as_u64() < Some(500));
}

#[test]
fn other_encodings_are_refused_by_name() {
    let upstream = upstream();
    for (bytes, name) in
        [(&b"\xff\xfe{\0"[..], "UTF-16"), (b"\x28\xb5\x2f\xfd\0", "zstd"), (b"PAR1", "Parquet")]
    {
        let case = Case::new("");
        fs::write(case.path("log.jsonl"), bytes).expect("the log");
        let output = case.label(&upstream.url(), &[]).output().expect("runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
}

#[test]
fn contradicting_options_are_refused() {
    let case = Case::new(&sums(1));
    for (arguments, what) in [
        (&["--threshold", "2"][..], "threshold"),
        (&["--evaluator", "judge"], "--judge-url"),
        (&["--budget", "1"], "prices"),
        (&["--sample", "0"], "sample"),
        (&["--rate", "0"], "rate"),
    ] {
        let output = case.label("http://127.0.0.1:1", arguments).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
    }
    let output = case.label("nowhere", &[]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
}
