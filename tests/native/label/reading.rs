//! Labels from a model that reads the requests alone.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::label::run::{Case, pointsman, stderr, summary};
use crate::label::upstream::{Reply, Upstream};

fn reader() -> Upstream {
    Upstream::start(Duration::ZERO, |question, before| {
        let score = if question.contains("Prove") { 12 } else { 91 };
        match before {
            // The first answer has no score, and is asked for again.
            0 if question.contains("capital") => Reply::Text("It is easy.".into()),
            _ => Reply::Text(format!("One sentence.\nSCORE: {score}")),
        }
    })
}

fn log() -> String {
    let rows = [
        json!({"id": "easy", "source": "app", "request": {"messages": [{"role": "user", "content": "The capital of Italy?"}]},
            "response": "Rome"}),
        json!({"id": "hard", "path": "/v1/messages", "request": {"model": "c", "max_tokens": 9, "top_k": 3,
            "messages": [{"role": "user", "content": "Prove that there are infinitely many primes."}]}}),
        json!({"id": "same", "request": {"messages": [{"role": "user", "content": "The capital of Italy?"}]}}),
    ];
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn read(case: &Case, url: &str, more: &[&str]) -> Command {
    let mut command = pointsman();
    command.args([
        "label",
        "--by",
        "reading",
        "--json",
        "--judge-model",
        "strong",
        "--judge-url",
        url,
    ]);
    command.arg(case.path("log.jsonl")).arg("--out").arg(case.out()).args(more);
    command
}

#[test]
fn requests_are_read_by_a_rubric_and_become_judged_rows() {
    let (upstream, case) = (reader(), Case::new(&log()));
    let result = summary(&read(&case, &upstream.url(), &[]).output().expect("runs"));
    assert_eq!((&result["labelled"], &result["calls"]["made"]), (&3.into(), &2.into()));
    let rows = case.rows();
    assert_eq!(
        rows[0],
        json!({"id": "easy", "source": "app",
            "request": {"messages": [{"role": "user", "content": "The capital of Italy?"}]},
            "judged": 91.0, "readings": {"strong": 91.0}, "scores": {"cheap": 0.91, "strong": 1.0},
            "label": {"cheap_ok": true, "quality": 0.91, "evaluator": "judged"}})
    );
    let label = |row: &Value| row["label"]["cheap_ok"].clone();
    assert_eq!((label(&rows[1]), label(&rows[2])), (false.into(), true.into()));
    assert_eq!(rows[1]["path"], "/v1/messages");
    let call = &upstream.calls()[0].body;
    let told = call["messages"][0]["content"].as_str().expect("text");
    assert!(told.contains("Rubric 1") && call["model"] == "strong", "{told}");
    // A second run reads nothing again and writes the same.
    let (calls, first) = (upstream.calls().len(), fs::read(case.out()).expect("the output"));
    summary(&read(&case, &upstream.url(), &[]).output().expect("runs"));
    assert_eq!((upstream.calls().len(), fs::read(case.out()).expect("the output")), (calls, first));
}

#[test]
fn a_budget_ends_the_reading_and_a_larger_one_resumes_it() {
    let (upstream, case) = (reader(), Case::new(&log()));
    let priced = |budget: &str| {
        let arguments = ["--judge-price", "10,10", "--concurrency", "1", "--budget", budget];
        read(&case, &upstream.url(), &arguments).output().expect("runs")
    };
    let output = priced("0.0001");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("budget"), "{}", stderr(&output));
    assert_eq!(summary(&priced("10"))["labelled"], 3);
    let estimate = summary(&read(&case, &upstream.url(), &["--dry-run"]).output().expect("runs"));
    assert_eq!((&estimate["already_paid"], &estimate["judge"]["calls"]), (&3.into(), &0.into()));
}

#[test]
fn readers_that_fail_and_options_that_contradict_are_named() {
    let case = Case::new(&log());
    let silent = Upstream::start(Duration::ZERO, |_, _| Reply::Text("I would rather not.".into()));
    let output = read(&case, &silent.url(), &["--retries", "0"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the reader gave no score"), "{}", stderr(&output));
    for more in
        [&["--cheap-url", "http://127.0.0.1:1"][..], &["--no-replay"], &["--evaluator", "f1"]]
    {
        let output = read(&case, &silent.url(), more).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr(&output).contains("--by reading"), "{}", stderr(&output));
    }
    let mut command = pointsman();
    command
        .args(["label", "--by", "reading"])
        .arg(case.path("log.jsonl"))
        .arg("--out")
        .arg(case.out());
    let output = command.output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--judge-url"), "{}", stderr(&output));
}
