//! What the cheap endpoint may do.

use std::time::{Duration, Instant};

use crate::label::run::{Case, cheap_sum, line, stderr, summary, sums};
use crate::label::upstream::{Reply, Upstream};

const FAST: Duration = Duration::from_millis(1);

#[test]
fn retry_after_is_waited_for() {
    let upstream = Upstream::start(FAST, |question, before| match before {
        0 => Reply::Raw(429, Some("1"), "{}".into()),
        _ => Reply::Text(cheap_sum(question)),
    });
    let case = Case::new(&sums(1));
    let begin = Instant::now();
    let summary = summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    let calls = upstream.calls();
    assert!(calls[1].at - calls[0].at >= Duration::from_secs(1));
    assert_eq!((&summary["labelled"], &summary["calls"]["retried"]), (&1.into(), &1.into()));
}

#[test]
fn errors_garbage_and_silence_are_retried() {
    let upstream = Upstream::start(FAST, |question, before| match before {
        0 => Reply::Raw(500, None, "oops".into()),
        1 => Reply::Raw(200, None, "<html>".into()),
        2 => Reply::Raw(200, None, "{\"object\":\"list\"}".into()),
        3 => Reply::Hang,
        _ => Reply::Text(cheap_sum(question)),
    });
    let case = Case::new(&sums(2));
    let output = case.label(&upstream.url(), &["--json", "--timeout", "0.4"]).output();
    let summary = summary(&output.expect("runs"));
    assert_eq!(summary["labelled"], 2);
    assert_eq!(summary["calls"]["retried"], 8);
    assert_eq!(case.rows()[1]["label"]["cheap_ok"], true);
}

#[test]
fn a_refused_row_is_named_and_the_others_go_on() {
    let upstream = Upstream::start(FAST, |question, _| {
        if question.contains(" 1 ") {
            Reply::Raw(400, None, "context too long".into())
        } else {
            Reply::Text(cheap_sum(question))
        }
    });
    let case = Case::new(&sums(3));
    let output = case.label(&upstream.url(), &["--json"]).output().expect("runs");
    let text = stderr(&output);
    assert!(text.contains("log.jsonl:2: status 400: context too long"), "{text}");
    let summary = summary(&output);
    assert_eq!((&summary["labelled"], &summary["problems"]["call_failed"]), (&2.into(), &1.into()));
    assert_eq!(upstream.calls().len(), 3, "a refusal is not retried");
    let strict = case.label(&upstream.url(), &["--strict"]).output().expect("runs");
    assert_eq!(strict.status.code(), Some(2), "{}", stderr(&strict));
}

#[test]
fn a_wrong_key_ends_the_run_at_once() {
    let upstream = Upstream::start(FAST, |_, _| Reply::Raw(401, None, "{}".into()));
    let case = Case::new(&sums(50));
    let output = case.label(&upstream.url(), &["--concurrency", "2"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("check the API key"));
    assert!(upstream.calls().len() < 10);
    assert!(!case.out().exists());
}

#[test]
fn a_dead_endpoint_ends_the_run() {
    let upstream = Upstream::start(FAST, |_, _| Reply::Raw(500, None, String::new()));
    let case = Case::new(&sums(200));
    let arguments = ["--retries", "0", "--concurrency", "4"];
    let output = case.label(&upstream.url(), &arguments).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("20 calls in a row failed"), "{}", stderr(&output));
    assert!(upstream.calls().len() < 40 && !case.out().exists());
}

#[test]
fn the_key_comes_from_the_environment_and_goes_nowhere_else() {
    let upstream = Upstream::start(FAST, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(2));
    let mut command = case.label(&upstream.url(), &["--json"]);
    let output = command.env("POINTSMAN_CHEAP_KEY", "canary-key").output().expect("runs");
    assert!(output.status.success());
    assert!(
        upstream.calls().iter().all(|call| call.headers["authorization"] == "Bearer canary-key")
    );
    let mut written = output.stdout.clone();
    written.extend(&output.stderr);
    for entry in std::fs::read_dir(case.directory.path()).expect("the directory") {
        written.extend(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    assert!(!String::from_utf8_lossy(&written).contains("canary-key"));
}

#[test]
fn the_rate_is_kept() {
    let upstream = Upstream::start(FAST, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(11));
    let output = case.label(&upstream.url(), &["--rate", "20"]).output().expect("runs");
    assert!(output.status.success());
    let calls = upstream.calls();
    let span = calls[10].at - calls[0].at;
    assert!(span >= Duration::from_millis(450), "{span:?}");
}

#[test]
fn the_same_request_is_paid_once() {
    let upstream = Upstream::start(FAST, |question, _| Reply::Text(cheap_sum(question)));
    let log = (0..5).map(|n| line(&n.to_string(), "How many are 7 + 7?", "14")).collect::<String>();
    let case = Case::new(&log);
    let output = case.label(&upstream.url(), &[]).output().expect("runs");
    assert!(output.status.success());
    assert_eq!((case.rows().len(), upstream.calls().len()), (5, 1));
}

#[test]
fn the_budget_stops_the_run_and_a_larger_one_continues_it() {
    let upstream = Upstream::start(FAST, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(40));
    // 100 + 50 tokens a call at $10 a million: $0.0015.
    let price = ["--cheap-price", "10,10", "--concurrency", "2", "--budget"];
    let run = |budget| {
        let mut arguments = price.to_vec();
        arguments.push(budget);
        case.label(&upstream.url(), &arguments).output().expect("runs")
    };
    let output = run("0.0151");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("the budget of $0.0151 is used up"), "{}", stderr(&output));
    assert!(!case.out().exists() && case.path("out.jsonl.partial").exists());
    let paid = upstream.calls().len();
    assert!((8..=10).contains(&paid), "{paid}");
    assert!(run("1").status.success());
    assert_eq!((upstream.calls().len(), case.rows().len()), (40, 40));
}

#[test]
fn a_dry_run_estimates_and_makes_no_calls() {
    let upstream = Upstream::start(FAST, |question, _| Reply::Text(cheap_sum(question)));
    let case = Case::new(&sums(40));
    let arguments = ["--dry-run", "--json", "--cheap-price", "1,2"];
    let estimate = summary(&case.label(&upstream.url(), &arguments).output().expect("runs"));
    assert_eq!((&estimate["rows"], &estimate["replay"]["calls"]), (&40.into(), &40.into()));
    let (input, output) =
        (&estimate["replay"]["input_tokens"], &estimate["replay"]["output_tokens"]);
    let dollars =
        (input.as_f64().expect("a number") + 2.0 * output.as_f64().expect("a number")) / 1e6;
    assert!((estimate["dollars"].as_f64().expect("a number") - dollars).abs() < 1e-12);
    assert!(dollars > 0.0 && upstream.calls().is_empty() && !case.out().exists());
}
