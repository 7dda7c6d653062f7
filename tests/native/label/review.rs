//! Rows of many kinds, through the command: options, numbers with units, opposites in many
//! languages, thinking, JSON, recorded streams, tool calls, queries, programs.

use std::collections::BTreeMap;

use pointsman_lab::label::evaluators::sandbox::Sandbox;
use pointsman_testkit::root;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::label::run::{Case, pointsman, rows, summary};

/// What needs a sandbox and an interpreter.
const PROGRAMS: &str = "programs";

#[derive(Deserialize)]
struct Reviewed {
    name: String,
    /// What kind of mistake the row would show.
    fault: String,
    row: Value,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Label { cheap_ok: bool },
    Problem { problem: String },
}

fn reviewed(fits: impl Fn(&Reviewed) -> bool) -> Vec<Reviewed> {
    let path = root().join("tests/cases/review_label.jsonl");
    let text = std::fs::read_to_string(path).expect("the rows");
    let all = text.lines().map(|line| serde_json::from_str(line).expect("a row"));
    all.filter(fits).collect()
}

/// Labels all rows in one run, each with its name as its ID.
fn check(reviewed: &[Reviewed]) {
    let log = reviewed.iter().map(|it| {
        let mut row = it.row.clone();
        row["id"] = json!(it.name);
        format!("{row}\n")
    });
    let case = Case::new(&log.collect::<String>());
    let mut command = pointsman();
    command.args(["label", "--no-replay", "--json"]).arg(case.path("log.jsonl"));
    let result = summary(&command.arg("--out").arg(case.out()).output().expect("runs"));
    let found: BTreeMap<String, Value> = rows(&case.out())
        .into_iter()
        .map(|row| (row["id"].as_str().expect("an ID").to_owned(), row["label"].clone()))
        .collect();
    let mut wrong = Vec::new();
    let mut problems: BTreeMap<&str, u64> = BTreeMap::new();
    for it in reviewed {
        let label = found.get(&it.name);
        let right = match &it.expected {
            Expected::Label { cheap_ok } => label.is_some_and(|it| it["cheap_ok"] == *cheap_ok),
            Expected::Problem { problem } => {
                *problems.entry(problem).or_default() += 1;
                label.is_none()
            }
        };
        if !right {
            wrong.push(format!("{}: {label:?} of {}", it.name, it.row));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), reviewed.len(), wrong.join("\n"));
    assert_eq!(result["problems"], json!(problems));
}

#[test]
fn rows_of_many_kinds_get_the_label_that_a_person_would_give() {
    let reviewed = reviewed(|it| it.fault != PROGRAMS);
    assert!(reviewed.len() > 400, "{} rows", reviewed.len());
    check(&reviewed);
}

#[test]
fn programs_that_do_something_else_are_not_good_enough() {
    let installed = std::process::Command::new("python3").arg("--version").output().is_ok();
    if Sandbox::new().check().is_err() || !installed {
        assert!(std::env::var_os("CI").is_none(), "no namespaces, or no python3");
        eprintln!("skipped: no namespaces, or no python3");
        return;
    }
    check(&reviewed(|it| it.fault == PROGRAMS));
}
