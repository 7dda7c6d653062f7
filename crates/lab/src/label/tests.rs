//! Rows that a reviewer wrote, at the height of one row: from a line of the log to its label.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::evaluators::sandbox::Sandbox;
use super::evaluators::{Choice, Evaluator};
use super::record::{Answers, BatchAnswers, Record};
use super::score::score_pair;
use super::source::Layout;

#[derive(Deserialize)]
struct Reviewed {
    name: String,
    fault: String,
    row: Value,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    cheap_ok: Option<bool>,
}

/// The label at the usual threshold, or why there is none.
fn label(row: &Value) -> Result<bool, String> {
    let answers = Answers::Batch(BatchAnswers::new());
    let line = row.to_string();
    let record = Record::parse(line.as_bytes(), &Layout::Detect, &answers, || "row".into())
        .map_err(|why| why.to_string())?;
    let cheap = record.cheap.clone().ok_or("no cheap answer")?;
    let evaluator = Evaluator::select(Choice::Auto, &record.request, &record.strong, false)
        .map_err(|why| why.to_string())?;
    let quality = score_pair(evaluator, &record, &cheap, &Sandbox::new());
    quality.map(|quality| quality >= 0.8).map_err(|why| format!("{evaluator:?}: {why}"))
}

#[test]
fn rows_get_the_label_that_a_person_would_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/review_label.jsonl");
    let text = std::fs::read_to_string(path).expect("the rows");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let Reviewed { name, fault, row, expected } = serde_json::from_str(line).expect("a row");
        // Programs need an interpreter, and have their own test.
        if fault == "programs" {
            continue;
        }
        let found = label(&row);
        if found.as_ref().ok() != expected.cheap_ok.as_ref() {
            wrong.push(format!("{name}: {found:?} of {row}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whatever signs meet in an answer, there is a label or none.
#[test]
fn no_answer_is_too_strange_to_be_read() {
    const QUESTIONS: [&str; 4] =
        ["How much?", "Which?\nA) one\nB) two\nC) 3", "Is it?", "首都は？\n①東京\n②京都"];
    const PIECES: [&str; 64] = [
        "5",
        "12.5",
        "1,234",
        "-",
        "- ",
        "½",
        "10⁸",
        "√",
        "π",
        "2^",
        "$",
        "€",
        " ",
        "\n",
        "x",
        "A",
        "B",
        "is",
        "the answer is ",
        "not ",
        "=",
        "<",
        ">",
        "!=",
        "!",
        "&&",
        "**",
        "`",
        "```",
        "(",
        ")",
        "{",
        "}",
        "[1]",
        "at least ",
        "more than ",
        " per month",
        "/h",
        " kg",
        " K",
        "mA",
        "°C",
        "%",
        "‰",
        "BC",
        "8:00",
        "CET",
        "6'2\"",
        "0x1F",
        " and ",
        ", ",
        "three ",
        "dozen",
        "half ",
        "II",
        "東京",
        "서울은",
        "ではなく",
        "é",
        "e\u{301}",
        "<think>",
        "</think>",
        "\\boxed{",
        "\\sqrt{",
    ];
    let mut state: u64 = 7;
    let mut draw = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let mut text = || (0..1 + draw(8)).map(|_| PIECES[draw(PIECES.len())]).collect::<String>();
        let (strong, cheap) = (text(), text());
        let question = QUESTIONS[draw(QUESTIONS.len())];
        let row = serde_json::json!({"request": {"messages": [{"role": "user", "content": question}]},
            "response": strong, "cheap_response": cheap});
        let _ = label(&row);
        // What one answer is as good as, it is as good as itself.
        let row = serde_json::json!({"request": {"messages": [{"role": "user", "content": question}]},
            "response": strong, "cheap_response": strong});
        assert_ne!(label(&row), Ok(false), "{row}");
    }
}
