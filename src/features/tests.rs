use std::borrow::Cow;
use std::collections::HashSet;

use super::*;
use crate::prompt::Parameters;

fn of(text: &str) -> Features {
    extract(&Prompt::from_text(text))
}

fn value(features: &Features, name: &str) -> f32 {
    let position = SCHEMA.iter().position(|feature| feature.name == name).unwrap();
    features.engineered()[position]
}

fn count(text: &str, name: &str) -> u32 {
    (libm::expf(value(&of(text), name)) - 1.0).round() as u32
}

#[test]
fn names_are_unique_and_explained() {
    let names: HashSet<_> = SCHEMA.iter().map(|feature| feature.name).collect();
    assert_eq!(names.len(), SCHEMA.len());
    assert!(SCHEMA.iter().all(|feature| !feature.why.is_empty()));
}

#[test]
fn counts_are_those_of_a_reader() {
    let text = "How many apples, 12 or 123456, cost $3.50?\nA. 7\nB. 8 apples\n\n```rust\nlet my_name = fooBar();\n```\n- one\n# Title\n";
    for (name, expected) in [
        ("text_bytes", text.len() as u32),
        ("lines", 9),
        ("blank_lines", 1),
        ("code_fences", 2),
        ("identifiers", 2),
        ("how_many", 1),
        ("numbers", 6),
        ("large_numbers", 1),
        ("dollar_signs", 1),
        ("question_marks", 1),
        ("choice_lines", 2),
        ("list_lines", 1),
        ("heading_lines", 1),
        ("turns", 1),
    ] {
        assert_eq!(count(text, name), expected, "{name}");
    }
    assert_eq!(value(&of(text), "numeric_choices"), 0.5);
    assert_eq!(value(&of(text), "ends_with_question"), 0.0);
    assert_eq!(value(&of("Is it?"), "ends_with_question"), 1.0);
}

#[test]
fn the_first_word_tells_the_kind_of_task() {
    for (text, name) in [
        ("What is it", "opens_with_fact_question"),
        ("  why not", "opens_with_why_or_how"),
        ("Write a poem", "opens_with_write"),
        ("Summarize this", "opens_with_transform"),
        ("Prove that", "opens_with_solve"),
    ] {
        assert_eq!(value(&of(text), name), 1.0, "{text}");
    }
}

#[test]
fn scripts_are_told_apart() {
    assert!(value(&of("Привет, как дела"), "cyrillic_greek") > 0.8);
    assert!(value(&of("你好世界"), "cjk") > 0.3);
    assert!(value(&of("où est la bibliothèque"), "latin_extended") > 0.0);
    assert_eq!(count("∀x ∈ S: x ≤ 3", "math_symbols"), 3);
    assert_eq!(value(&of("plain"), "non_ascii"), 0.0);
}

#[test]
fn ngram_blocks_have_unit_length() {
    let features = of("the quick brown fox jumps over the lazy dog");
    let (words, characters) = features.as_slice()[ENGINEERED..].split_at(WORD_BUCKETS);
    for block in [words, characters] {
        let length: f32 = block.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert_eq!(words.iter().filter(|value| **value > 0.0).count(), 16, "8 words and 8 pairs");
}

#[test]
fn a_reused_vector_equals_a_fresh_one() {
    let mut reused = of("something else entirely, with many words");
    extract_into(&Prompt::from_text("short"), &mut reused);
    assert_eq!(reused, of("short"));
    assert_eq!(reused.digest(), of("short").digest());
}

#[test]
fn the_last_user_turn_is_in_focus() {
    let turn =
        |role, text: &'static str| Turn { role, text: Cow::Borrowed(text), ..Turn::default() };
    let long = "Write a long story about a lighthouse keeper, in French.";
    let prompt = Prompt {
        turns: vec![
            turn(Role::System, "You are helpful."),
            turn(Role::User, "What?"),
            turn(Role::Assistant, "Yes."),
            turn(Role::User, long),
        ],
        ..Prompt::default()
    };
    let features = extract(&prompt);
    assert_eq!(value(&features, "opens_with_write"), 1.0);
    assert_eq!(value(&features, "follow_up"), 0.0);
    assert_eq!(value(&features, "system_bytes"), log_count(16));
    assert_eq!(value(&features, "history_bytes"), log_count(9));
    assert_eq!(features.as_slice()[ENGINEERED..], of(long).as_slice()[ENGINEERED..]);
}

#[test]
fn a_follow_up_brings_the_turn_before_along() {
    let turn = |text: &'static str| Turn { text: Cow::Borrowed(text), ..Turn::default() };
    let prompt =
        Prompt { turns: vec![turn("Prove the theorem."), turn("continue")], ..Prompt::default() };
    let features = extract(&prompt);
    assert_eq!(value(&features, "follow_up"), 1.0);
    assert_eq!(value(&features, "opens_with_solve"), 1.0);
}

#[test]
fn a_long_text_is_read_at_both_ends() {
    let middle = "x ".repeat(FOCUS_HEAD_BYTES);
    let features = of(&format!("Prove this. {middle} Why?"));
    assert_eq!(value(&features, "opens_with_solve"), 1.0);
    assert_eq!(value(&features, "question_marks"), log_count(1));
    let words = libm::expf(value(&features, "words")) as usize;
    assert!(words < (FOCUS_HEAD_BYTES + FOCUS_TAIL_BYTES) / 2 + 2, "{words}");
}

#[test]
fn values_stay_in_their_range_on_odd_text() {
    let prompts = [
        "",
        " ",
        "\u{0}",
        "____",
        "''''",
        "😀😀",
        "\u{fffd}\u{10ffff}",
        "a\r\nb\r\n",
        "é".repeat(50_000).leak(),
    ];
    for text in prompts {
        let parameters = Parameters {
            max_tokens: Some(u64::MAX),
            temperature: Some(f64::NAN),
            ..Parameters::default()
        };
        let features = extract(&Prompt { parameters, ..Prompt::from_text(text) });
        for (value, feature) in features.engineered().iter().zip(&SCHEMA) {
            let (low, high) = feature.range;
            assert!((low..=high).contains(value), "{text:?}: {} = {value}", feature.name);
        }
    }
}
