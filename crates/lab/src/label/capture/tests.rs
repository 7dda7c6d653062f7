use pointsman_core::api::ApiFormat;
use pointsman_core::sign::Sign;
use pointsman_core::target::Usage;
use regex::Regex;
use serde_json::{Value, json};

use super::{BadPair, Evidence, Redaction, evaluator, row, sign_of, whole};
use crate::label::answer::{ModelAnswer, ToolCall};
use crate::label::evaluators::{Choice, Evaluator};
use crate::label::record::{Answers, BatchAnswers, Record};
use crate::label::source::Layout;

const SECRET: &str = "sk-4f2a9c";

fn redaction() -> Redaction {
    Redaction::new(vec![Regex::new("sk-[0-9a-f]+").unwrap(), Regex::new("(?i)jane").unwrap()])
}

fn completion(text: &str) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text},
        "finish_reason": "stop"}]})
}

/// Events that say a text letter by letter.
fn events(text: &str) -> String {
    let event = |delta: Value, finish: Option<&str>| {
        let event = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {event}\n\n")
    };
    let letters = text.chars().map(|letter| event(json!({"content": letter.to_string()}), None));
    let end = [event(json!({}), Some("stop")), "data: [DONE]\n\n".to_owned()];
    letters.chain(end).collect()
}

/// What a filter posts.
fn pair(sign: &str, cheap: (bool, &str), strong: (bool, &str)) -> Value {
    let request = json!({"model": "auto", "messages": [{"role": "user", "content": "2 + 2?"}]});
    json!({"id": "d1", "path": "/v1/chat/completions?key=1", "sign": sign,
        "cheap_target": "cheap", "strong_target": "strong", "request": request.to_string(),
        "cheap_response": {"events": cheap.0, "body": cheap.1},
        "response": {"events": strong.0, "body": strong.1}})
}

fn kept(pair: &Value) -> Result<Value, BadPair> {
    let line = row(pair.to_string().as_bytes(), &redaction(), 1_700_000_000_123)?;
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let Ok(kept) = serde_json::from_slice(&line) else { panic!("a row is JSON") };
    Ok(kept)
}

#[test]
fn a_pair_is_a_row_that_label_reads() {
    let (cheap, strong) = (completion("  "), completion("4"));
    let posted = pair("empty", (false, &cheap.to_string()), (false, &strong.to_string()));
    let row = kept(&posted).unwrap();
    let request = json!({"model": "auto", "messages": [{"role": "user", "content": "2 + 2?"}]});
    assert_eq!(
        row,
        json!({"id": "d1", "ts": 1_700_000_000_123_u64, "path": "/v1/chat/completions",
            "source": "escalation", "sign": "empty", "cheap_target": "cheap",
            "strong_target": "strong", "request": request, "response": strong,
            "cheap_response": cheap})
    );
    let record = record(&row);
    assert_eq!((record.id.as_str(), record.strong.text.as_str()), ("d1", "4"));
    assert_eq!(record.sign, Some(Sign::Empty));
}

fn record(row: &Value) -> Record {
    let answers = Answers::Batch(BatchAnswers::new());
    let line = row.to_string();
    Record::parse(line.as_bytes(), &Layout::Detect, &answers, || "file:1".into()).unwrap()
}

#[test]
fn strings_are_redacted_wherever_they_are_and_nothing_else_is() {
    let mut value = json!({"jane": SECRET, "a": [{"b": format!("x {SECRET} y {SECRET}")}, 7, null],
        "c": "JANE and jane", "d": "$0 stays"});
    redaction().apply(&mut value);
    assert_eq!(
        value,
        json!({"jane": "[redacted]", "a": [{"b": "x [redacted] y [redacted]"}, 7, null],
            "c": "[redacted] and [redacted]", "d": "$0 stays"})
    );
    let before = value.clone();
    Redaction::default().apply(&mut value);
    assert_eq!(value, before);
}

#[test]
fn a_secret_that_comes_in_pieces_is_found() {
    let (cheap, strong) = (events(&format!("{SECRET}?")), events(&format!("It is {SECRET}.")));
    assert!(!strong.contains(SECRET));
    let mut posted = pair("unlikely", (true, &cheap), (true, &strong));
    let asked =
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": SECRET}]}]});
    posted["request"] = asked.to_string().into();
    let row = kept(&posted).unwrap();
    assert!(!row.to_string().contains("4f2a9c"), "{row}");
    assert_eq!(row["response"]["choices"][0]["message"]["content"], "It is [redacted].");
    assert_eq!(row["cheap_response"]["choices"][0]["message"]["content"], "[redacted]?");
    assert_eq!(row["request"]["messages"][0]["content"][0]["text"], "[redacted]");
}

#[test]
fn what_was_streamed_is_the_same_in_one_piece() {
    let calls = vec![ToolCall { name: "f".into(), arguments: r#"{"a":"b"}"#.into() }];
    let usage = Some(Usage { input: 3, output: 5 });
    for (format, finish, tool_calls) in [
        (ApiFormat::ChatCompletions, "tool_calls", calls.clone()),
        (ApiFormat::Completions, "stop", Vec::new()),
        (ApiFormat::Responses, "completed", calls.clone()),
        (ApiFormat::Messages, "tool_use", calls),
    ] {
        let answer =
            ModelAnswer { text: "yes".into(), tool_calls, finish: Some(finish.to_owned()), usage };
        let response = whole::response(&answer, format);
        assert_eq!(ModelAnswer::from_response(&response), Ok(answer), "{response}");
        let nothing = whole::response(&ModelAnswer::default(), format);
        assert!(ModelAnswer::from_response(&nothing).unwrap().is_empty(), "{nothing}");
    }
}

#[test]
fn what_is_wrong_with_an_object_is_named_without_its_text() {
    let strong = completion("4").to_string();
    let good = pair("empty", (false, "{}"), (false, &strong));
    let with = |pointer: &str, value: Value| {
        let mut pair = good.clone();
        *pair.pointer_mut(pointer).unwrap() = value;
        pair
    };
    let secret = format!("my key is {SECRET}");
    for (posted, expected) in [
        (json!([secret]), "the body = a list: must be an object"),
        (with("/id", "".into()), "id = text: must be 1 to 256 bytes of text"),
        (with("/id", 7.into()), "id = a number: must be 1 to 256 bytes of text"),
        (with("/path", "/v1/models".into()), "path = text: must be the path of a model's API"),
        (
            with("/sign", "no_such_sign".into()),
            "sign = \"no_such_sign\": must be the name of a sign",
        ),
        (with("/sign", secret.clone().into()), "sign = text: must be the name of a sign"),
        (with("/cheap_target", secret.clone().into()), "cheap_target = text: must be 1 to 64"),
        (with("/request", json!({"messages": [secret]})), "request = an object: must be text"),
        (with("/response", secret.clone().into()), "response.events is missing: must be true"),
        (with("/response/events", secret.clone().into()), "response.events = text: must be true"),
        (with("/cheap_response/body", Value::Null), "cheap_response.body = null: must be text"),
    ] {
        let Err(BadPair::Invalid(message)) = kept(&posted) else { panic!("{posted}") };
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains("my key"), "{message}");
    }
    let Err(BadPair::Invalid(all)) = kept(&json!({})) else { panic!("it is empty") };
    for name in ["id", "path", "sign", "request", "cheap_response.body", "response.events"] {
        assert!(all.contains(&format!("{name} is missing: must be")), "{all}");
    }
    let broken = row(br#"{"id": "my key is", "#, &redaction(), 0).unwrap_err().to_string();
    assert!(broken.starts_with("the body: must be JSON, and is not at line 1"), "{broken}");
    assert!(!broken.contains("my key"), "{broken}");
    assert!(kept(&with("/cheap_response", json!({"events": true, "body": "", "new": 1}))).is_ok());
}

#[test]
fn what_cannot_be_redacted_or_compared_is_not_kept() {
    let strong = completion("4").to_string();
    let mut posted = pair("empty", (false, "{}"), (false, &strong));
    posted["request"] = "What is 2 + 2?".into();
    let blank = completion(" ").to_string();
    let cut = strong.replace(r#""stop""#, r#""length""#);
    assert_eq!(kept(&posted), Err(BadPair::NotJson("request")));
    for (body, why) in [
        ("<html>", "must hold a JSON object"),
        (r#""text""#, "must hold a JSON object"),
        (r#"{"error": {"message": "overloaded"}}"#, "the response is an error"),
        (blank.as_str(), "must not be empty"),
        (cut.as_str(), "must not be a bad answer itself"),
    ] {
        let error = kept(&pair("empty", (false, "{}"), (false, body))).unwrap_err().to_string();
        assert!(error.starts_with(&format!("response.body: {why}")), "{error}");
    }
    let declined = completion("I'm sorry, I can't help with that.").to_string();
    let both = |sign| kept(&pair(sign, (false, &declined), (false, &declined)));
    assert!(both("refusal").is_ok());
    assert!(both("empty").unwrap_err().to_string().contains("must not be a bad answer"));
    let unfinished = events("4").replace("data: [DONE]\n\n", "").replace(r#""stop""#, "null");
    assert!(matches!(
        kept(&pair("empty", (false, "{}"), (true, &unfinished))),
        Err(BadPair::NoAnswer { .. })
    ));
}

#[test]
fn a_cheap_answer_that_cannot_be_read_is_left_out_where_its_sign_says_enough() {
    let strong = completion("4").to_string();
    let failed = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"x\"}}\n\n";
    for (sign, events, body) in [
        ("empty", false, ""),
        ("unfinished", false, r#"{"choices": [{"mess"#),
        ("status", false, "<html>"),
        ("error", true, failed),
        ("stalled", true, ": wait\n\n"),
    ] {
        let row = kept(&pair(sign, (events, body), (false, &strong))).unwrap();
        assert_eq!(row["cheap_response"], Value::Null, "{sign}");
        assert_eq!(record(&row).cheap, None, "{sign}");
    }
    for (events, body) in [(false, ""), (false, r#"{"error": {}}"#), (true, failed)] {
        let error = kept(&pair("refusal", (events, body), (false, &strong))).unwrap_err();
        assert!(error.to_string().starts_with("cheap_response.body: "), "{error}");
    }
    // It is JSON, so it is kept as it was.
    let error = r#"{"error":{"message":"overloaded"}}"#;
    let row = kept(&pair("error", (false, error), (false, &strong))).unwrap();
    assert_eq!(row["cheap_response"].to_string(), error);
    assert_eq!(record(&row).cheap, None);
}

#[test]
fn a_sign_is_a_label_unless_it_leaves_a_doubt() {
    let (cheap, strong) = (completion("5").to_string(), completion("#### 4").to_string());
    for sign in Sign::ALL {
        let row = kept(&pair(sign.name(), (false, &cheap), (false, &strong))).unwrap();
        let record = record(&row);
        let chosen = evaluator(record.evidence(), Choice::Auto, &record, false);
        match sign {
            Sign::Refusal | Sign::Unlikely => assert_eq!(chosen, Ok(Evaluator::Numeric)),
            Sign::Stalled => assert!(chosen.is_err()),
            _ => assert_eq!(chosen, Ok(Evaluator::Sign), "{}", sign.name()),
        }
        assert_eq!(record.evidence(), Some(Evidence::of(sign)));
    }
}

#[test]
fn rows_of_other_logs_have_no_sign() {
    assert_eq!(sign_of(&json!({"source": "escalation", "sign": "empty"})), Some(Sign::Empty));
    for other in [
        json!({"sign": "empty"}),
        json!({"source": "app", "sign": "empty"}),
        json!({"source": "escalation", "sign": "other"}),
        json!({"source": "escalation", "sign": 1}),
    ] {
        assert_eq!(sign_of(&other), None, "{other}");
    }
}
