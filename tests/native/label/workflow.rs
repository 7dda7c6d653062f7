//! Sampling, other log formats, judges, people, and line filters.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::label::run::{Case, cheap_sum, line, pointsman, rows, stderr, summary, sums};
use crate::label::upstream::{Reply, Upstream};

fn sum_upstream() -> Upstream {
    Upstream::start(Duration::ZERO, |question, _| Reply::Text(cheap_sum(question)))
}

#[test]
fn a_labelled_row_is_what_training_reads() {
    let upstream = sum_upstream();
    let case = Case::new(&sums(4));
    summary(&case.label(&upstream.url(), &["--json"]).output().expect("runs"));
    let request = json!({"model": "strong",
        "messages": [{"role": "user", "content": "How many are 3 + 3?"}]});
    assert_eq!(
        case.rows()[3],
        json!({"id": "sum-3", "request": request, "scores": {"cheap": 0.0, "strong": 1.0},
            "label": {"cheap_ok": false, "quality": 0.0, "evaluator": "numeric"}})
    );
    let ids: Vec<Value> = case.rows().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["sum-0", "sum-1", "sum-2", "sum-3"]);
    assert!(upstream.calls().iter().all(|call| call.body["model"] == "cheap-model"));
}

#[test]
fn a_sample_sees_rare_kinds_and_its_weights_undo_it() {
    let upstream = Upstream::start(Duration::ZERO, |_, _| Reply::Text("#### 4".into()));
    let mut log = sums(300);
    for n in 0..3 {
        let question = format!("How many lines has this?\n```python\nprint({n})\nx = {n}\n```");
        log.push_str(&line(&format!("code-{n}"), &question, "#### 4"));
    }
    let case = Case::new(&log);
    let arguments = ["--json", "--sample", "40", "--seed", "7"];
    let result = summary(&case.label(&upstream.url(), &arguments).output().expect("runs"));
    assert_eq!((&result["selected"], upstream.calls().len()), (&40.into(), 40));
    let sampled = case.rows();
    let code = sampled.iter().filter(|row| row["id"].as_str().unwrap_or("").starts_with("code"));
    assert!(code.count() >= 2);
    let weights: f64 = sampled.iter().map(|row| row["weight"].as_f64().expect("a weight")).sum();
    assert!((weights - 40.0).abs() < 0.01, "{weights}");
    // The same seed draws the same rows, another one others.
    let first = fs::read(case.out()).expect("the output");
    summary(&case.label(&upstream.url(), &arguments).output().expect("runs"));
    assert_eq!(fs::read(case.out()).expect("the output"), first);
    summary(
        &case
            .label(&upstream.url(), &["--json", "--sample", "40", "--seed", "8"])
            .output()
            .expect("runs"),
    );
    assert_ne!(fs::read(case.out()).expect("the output"), first);
}

#[test]
fn batch_inputs_and_outputs_are_paired() {
    let upstream = sum_upstream();
    let case = Case::new("");
    let (mut input, mut output) = (String::new(), String::new());
    for n in 0..3 {
        let body = json!({"model": "strong",
            "messages": [{"role": "user", "content": format!("How many are {n} + {n}?")}]});
        input += &format!(
            "{}\n",
            json!({"custom_id": format!("r{n}"), "method": "POST",
            "url": "/v1/chat/completions", "body": body})
        );
        let body = json!({"choices": [{"message": {"content": format!("{}", 2 * n)}}]});
        // Batch outputs come in any order.
        output = format!(
            "{}\n{output}",
            json!({"id": format!("b{n}"), "custom_id": format!("r{n}"),
            "response": {"status_code": 200, "body": body}, "error": null})
        );
    }
    output += &format!(
        "{}\n",
        json!({"id": "b9", "custom_id": "r9", "response": null,
        "error": {"code": "expired"}})
    );
    fs::write(case.path("log.jsonl"), input).expect("the input");
    fs::write(case.path("batch_output.jsonl"), output).expect("the output");
    let mut command = case.label(&upstream.url(), &["--json"]);
    let output = command.arg(case.path("batch_output.jsonl")).output().expect("runs");
    assert!(stderr(&output).contains("batch_output.jsonl:4: no custom_id or no response"));
    assert_eq!(summary(&output)["labelled"], 3);
    assert_eq!(case.rows()[2]["id"], "r2");
}

#[test]
fn a_map_reads_other_logs() {
    let upstream = sum_upstream();
    let row = json!({"request_id": "g1", "messages": [{"role": "user", "content": "How many are 4 + 4?"}],
        "out": {"text": "8"}});
    let case = Case::new(&format!("{row}\n"));
    let map = "id=/request_id,request=/messages,response=/out/text";
    summary(&case.label(&upstream.url(), &["--json", "--map", map]).output().expect("runs"));
    assert_eq!(case.rows()[0]["id"], "g1");
}

fn pairs() -> String {
    (0..50)
        .map(|n| {
            let row = json!({"id": n, "request": format!("How many are {n} + {n}?"),
                "response": format!("#### {}", 2 * n),
                "cheap_response": cheap_sum(&format!("How many are {n} + {n}?"))});
            format!("{row}\n")
        })
        .collect()
}

#[test]
fn a_line_filter_gives_the_same_rows_as_a_run_on_files_and_in_partitions() {
    let filter = |input: &str| {
        let mut child = pointsman()
            .args(["label", "--no-replay"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let whole = filter(&pairs());
    assert_eq!(whole.lines().count(), 50);
    let lines: Vec<String> = pairs().lines().map(|line| format!("{line}\n")).collect();
    let parts: String = lines.chunks(7).map(|part| filter(&part.concat())).collect();
    assert_eq!(parts, whole);
    let case = Case::new(&pairs());
    let output = pointsman()
        .args(["label", "--no-replay", "--json"])
        .arg(case.path("log.jsonl"))
        .arg("--out")
        .arg(case.out())
        .output()
        .expect("runs");
    assert_eq!(summary(&output)["labelled"], 50);
    assert_eq!(fs::read_to_string(case.out()).expect("the output"), whole);
}

#[test]
fn a_line_filter_takes_the_first_of_two_rows_with_one_id() {
    let log = pairs();
    let case = Case::new(&format!("{log}{}\n", log.lines().next().expect("a line")));
    let filter = |more: &[&str]| {
        let mut command = pointsman();
        command.args(["label", "--no-replay"]).arg(case.path("log.jsonl")).args(more);
        command.output().expect("runs")
    };
    let output = filter(&[]);
    let said = stderr(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 50);
    assert!(said.contains("log.jsonl:51: duplicate ID `0`"), "{said}");
    assert!(said.contains("duplicate_id 1"), "{said}");
    assert_eq!(filter(&["--strict"]).status.code(), Some(2));
}

const OPEN: &str = "Tell me about the sea and its many wonders.";

fn open_log(count: usize) -> String {
    (0..count)
        .map(|n| {
            line(&format!("open-{n}"), &format!("{OPEN} ({n})"), "The sea is wide, deep and blue.")
        })
        .collect()
}

#[test]
fn a_judge_is_asked_in_both_orders() {
    let cheap = Upstream::start(Duration::ZERO, |_, _| Reply::Text("The sea is wet.".into()));
    let fair = |question: &str, _| {
        let strong_first = question.find("wide, deep") < question.find("is wet");
        Reply::Text(format!("Because.\nVERDICT: {}", if strong_first { "A" } else { "B" }))
    };
    let biased = |_: &str, before| match before {
        0 => Reply::Text("I cannot decide.".into()),
        _ => Reply::Text("VERDICT: A".into()),
    };
    let run = |judge: Upstream| {
        let case = Case::new(&open_log(3));
        let arguments = ["--json", "--judge-url", &judge.url(), "--judge-model", "j"];
        let mut command = case.label(&cheap.url(), &arguments);
        let output = summary(&command.output().expect("runs"));
        let qualities: Vec<Value> =
            case.rows().iter().map(|row| row["label"]["quality"].clone()).collect();
        (output, qualities, judge.calls().len())
    };
    let (result, qualities, calls) = run(Upstream::start(Duration::ZERO, fair));
    assert_eq!((qualities, calls), (vec![0.0.into(), 0.0.into(), 0.0.into()], 6));
    assert_eq!(result["judge_disagreement"], 0.0);
    // A judge that favours the first place contradicts itself; without a verdict it is asked again.
    let (result, qualities, calls) = run(Upstream::start(Duration::ZERO, biased));
    assert_eq!((qualities, calls), (vec![0.5.into(), 0.5.into(), 0.5.into()], 12));
    assert_eq!(result["judge_disagreement"], 1.0);
    assert_eq!(result["evaluators"]["judge"]["cheap_ok"], 0);
}

#[test]
fn people_rate_blind_and_their_ratings_become_labels() {
    let upstream =
        Upstream::start(Duration::ZERO, |_, _| Reply::Text("The sea is wet.</script><b>".into()));
    let case = Case::new(&open_log(20));
    let human = ["--json", "--evaluator", "human"];
    let output = case.label(&upstream.url(), &human).output().expect("runs");
    assert!(output.status.success() && !case.out().exists(), "{}", stderr(&output));
    let page = fs::read_to_string(case.path("out.jsonl.human.html")).expect("the page");
    assert!(!page.contains("</script><b>") && !page.contains("cheap") && !page.contains("://"));
    let start = page.find("const pairs = ").expect("the pairs") + "const pairs = ".len();
    let end = page[start..].find(";\n").expect("their end") + start;
    let pairs: Vec<Value> = serde_json::from_str(&page[start..end]).expect("JSON");
    assert_eq!(pairs.len(), 20);
    // Somebody who likes the cheap answer, wherever it stands, and leaves one pair out.
    let is_left = |pair: &Value| pair["left"].as_str().expect("text").contains("wet");
    let left = pairs.iter().filter(|pair| is_left(pair)).count();
    assert!((3..=17).contains(&left), "{left} of 20 on the left");
    let ratings: BTreeMap<&str, &str> = pairs[1..]
        .iter()
        .map(|pair| {
            (pair["id"].as_str().expect("an id"), if is_left(pair) { "left" } else { "right" })
        })
        .collect();
    fs::write(case.path("ratings.json"), json!(ratings).to_string()).expect("the ratings");
    let mut command = case.label(&upstream.url(), &human);
    let output = command.arg("--ratings").arg(case.path("ratings.json")).output().expect("runs");
    let result = summary(&output);
    assert_eq!((&result["labelled"], &result["cheap_ok"]), (&19.into(), &19.into()));
    assert_eq!(result["problems"]["unscorable"], 1);
    assert_eq!(upstream.calls().len(), 20);
}

#[test]
fn an_audit_prints_the_confusion_matrix_and_sets_both_wrong_apart() {
    let case = Case::new("");
    let labelled: String = [("a", true), ("b", true), ("c", false), ("d", false), ("e", true)]
        .iter()
        .map(|(id, ok)| format!("{}\n", json!({"id": id, "label": {"cheap_ok": ok}})))
        .collect();
    let grades: String =
        [("a", true, true), ("b", true, false), ("c", true, false), ("d", false, false)]
            .iter()
            .map(|(id, strong, cheap)| {
                format!("{}\n", json!({"id": id, "strong_correct": strong, "cheap_correct": cheap}))
            })
            .collect();
    fs::write(case.path("labelled.jsonl"), labelled).expect("labels");
    fs::write(case.path("grades.jsonl"), grades).expect("grades");
    let audit = |more: &[&str]| {
        let mut command = pointsman();
        command.args(["label", "--audit"]).arg(case.path("grades.jsonl"));
        command.arg(case.path("labelled.jsonl")).args(more).output().expect("runs")
    };
    let result = summary(&audit(&["--json"]));
    assert_eq!((&result["rows"], &result["ungraded"]), (&3.into(), &1.into()));
    assert_eq!(
        (&result["ok_and_equivalent"], &result["ok_but_not_equivalent"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&result["not_ok_and_not_equivalent"], &result["both_wrong_not_ok"]),
        (&1.into(), &1.into())
    );
    assert_eq!(result["disagreements"], json!(["b"]));
    let text = String::from_utf8(audit(&[]).stdout).expect("UTF-8");
    assert!(text.contains("agreement 0.6667 on 3 rows"), "{text}");
    let broken = "{\"id\":\"a\",\"cheap_ok\":7}\nnot json\n";
    fs::write(case.path("grades.jsonl"), broken).expect("grades");
    let output = audit(&[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("grades.jsonl:1: ") && said.contains("grades.jsonl:2: not JSON"),
        "{said}"
    );
}

#[test]
fn imported_rows_reach_a_file() {
    let case = Case::new("");
    fs::write(case.path("set.csv"), "prompt,weak,strong\nWhy?,False,True\nHow?,True,True\n")
        .expect("a set");
    let output = pointsman()
        .args(["import", "--format", "routellm", "--cheap", "weak", "--strong", "strong", "--out"])
        .arg(case.out())
        .arg(case.path("set.csv"))
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let labels: Vec<Value> =
        rows(&case.out()).iter().map(|row| row["label"]["cheap_ok"].clone()).collect();
    assert_eq!(labels, [false, true]);
    let output = pointsman()
        .args(["import", "--format", "csv", "--cheap", "none", "--strong", "strong"])
        .arg(case.path("set.csv"))
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no column `none`"), "{}", stderr(&output));
}
