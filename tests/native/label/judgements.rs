//! Pairs of answers that people would call the same, another, or cannot tell: `good` is true,
//! false or null.

use std::path::Path;

use pointsman_lab::label::evaluators::sandbox::Sandbox;
use pointsman_lab::label::evaluators::{Choice, Evaluator, Pair};
use pointsman_lab::label::{ModelAnswer, Request};
use pointsman_testkit::root;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Case {
    question: String,
    strong: String,
    cheap: String,
    good: Option<bool>,
    format: Option<String>,
}

/// The label, as `auto` finds it at the usual threshold.
fn label(case: &Case) -> Option<bool> {
    let mut body = json!({"messages": [{"role": "user", "content": case.question}]});
    if case.format.is_some() {
        body["response_format"] = json!({"type": "json_object"});
    }
    let request = Request::from_recorded(body).expect("a request");
    let strong = ModelAnswer::from_text(&case.strong);
    let cheap = ModelAnswer::from_text(&case.cheap);
    let sandbox = Sandbox::new();
    let evaluator = Evaluator::select(Choice::Auto, &request, &strong, false).ok()?;
    evaluator.check(&request, &strong, &sandbox).ok()?;
    let pair = Pair { request: &request, strong: &strong, cheap: &cheap };
    evaluator.score(&pair, &sandbox).ok().map(|quality| quality >= 0.8)
}

fn judge_all(name: &str) {
    let path = root().join(Path::new("tests/native/label/cases")).join(name);
    let text = std::fs::read_to_string(path).expect("the cases");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).expect("a case");
        let found = label(&case);
        count += 1;
        if found != case.good {
            wrong.push(format!("found {found:?}: {line}"));
        }
    }
    assert!(count >= 60, "{count} cases");
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_option_that_is_stated_counts() {
    judge_all("choice.jsonl");
}

#[test]
fn numbers_are_values_with_units() {
    judge_all("numbers.jsonl");
}

#[test]
fn opposites_are_not_good_enough() {
    judge_all("short_texts.jsonl");
}

#[test]
fn thinking_is_left_out_and_json_is_compared_by_value() {
    judge_all("thinking_and_json.jsonl");
}

proptest! {
    #[test]
    fn any_two_texts_are_compared_without_panic_and_a_text_is_as_good_as_itself(
        question in "\\PC{0,40}", strong in "\\PC{0,80}", cheap in "\\PC{0,80}",
    ) {
        let listed = format!("{question}\nA. one\nB. zwei ß\nC) 三");
        let sandbox = Sandbox::new();
        for question in [question, listed] {
            let request = Request::from_recorded(json!([{"role": "user", "content": question}]));
            let Ok(request) = request else {
                prop_assert!(question.trim().is_empty(), "{:?}", question);
                continue;
            };
            let (strong, cheap) = (ModelAnswer::from_text(&strong), ModelAnswer::from_text(&cheap));
            for evaluator in [
                Evaluator::Choice, Evaluator::Numeric, Evaluator::F1, Evaluator::Exact, Evaluator::Json,
            ] {
                let score = |a, b| evaluator.score(&Pair { request: &request, strong: a, cheap: b }, &sandbox);
                if let Ok(quality) = score(&strong, &cheap) {
                    prop_assert!((0.0..=1.0).contains(&quality));
                }
                if !strong.is_empty() && let Ok(quality) = score(&strong, &strong) {
                    prop_assert_eq!(quality, 1.0, "{:?}", evaluator);
                }
            }
        }
    }
}
