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
fn white_space_around_a_turn_changes_nothing() {
    let turns = |texts: [&str; 3]| {
        let roles = [Role::System, Role::User, Role::User];
        let turns = roles.into_iter().zip(texts);
        let turns = turns.map(|(role, text)| Turn {
            role,
            text: Cow::Owned(text.to_owned()),
            ..Turn::default()
        });
        let prompt = Prompt { turns: turns.collect(), ..Prompt::default() };
        extract(&prompt).digest()
    };
    let bare =
        turns(["Be brief.", "What is a lemma, and what is a theorem, in mathematics?", "Why?"]);
    let spaced = [
        " Be brief.\n",
        "\n\tWhat is a lemma, and what is a theorem, in mathematics?\n\n",
        "Why?  \u{a0}\n",
    ];
    assert_eq!(turns(spaced), bare);
    assert_eq!(of("  Why?\n").digest(), of("Why?").digest());
}

#[test]
fn counts_are_those_of_a_reader() {
    let text = "How many apples, 12 or 123456, cost $3.50?\nA. 7\nB. 8 apples\n\n```rust\nlet my_name = fooBar();\n```\n- one\n# Title\n";
    for (name, expected) in [
        ("text_bytes", text.trim().len() as u32),
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
    let (words, characters) = features.as_slice()[DENSE..].split_at(WORD_BUCKETS);
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

fn turn(role: Role, text: &'static str) -> Turn<'static> {
    Turn { role, text: Cow::Borrowed(text), ..Turn::default() }
}

fn of_turns(turns: &[Turn<'static>]) -> Features {
    extract(&Prompt { turns: turns.to_vec(), ..Prompt::default() })
}

const STORY: &str = "Write a long story about a lighthouse keeper, in French.";
const PROOF: &str = "Prove that there are infinitely many primes, and then why.";

#[test]
fn the_last_user_turn_is_in_focus() {
    let features = of_turns(&[
        turn(Role::System, "You are helpful."),
        turn(Role::Assistant, "Yes."),
        turn(Role::User, STORY),
    ]);
    assert_eq!(value(&features, "opens_with_write"), 1.0);
    assert_eq!(value(&features, "follow_up"), 0.0);
    assert_eq!(value(&features, "system_bytes"), log_count(16));
    assert_eq!(value(&features, "history_bytes"), log_count(4));
    assert_eq!(features.as_slice()[ENGINEERED..], of(STORY).as_slice()[ENGINEERED..]);
}

#[test]
fn earlier_user_turns_count_half_as_much_with_every_turn() {
    let once = |turns: &[&'static str]| {
        let turns: Vec<Turn> = turns.iter().map(|text| turn(Role::User, text)).collect();
        libm::expf(value(&of_turns(&turns), "dollar_signs")) - 1.0
    };
    let filler = "and this is a line of text without a sign of money.";
    let dollars = "one coin of gold costs eight of those: $$$$$$$$ in all";
    for (turns, expected) in [
        (&[dollars][..], 8.0),
        (&[dollars, filler], 4.0),
        (&[dollars, filler, filler], 2.0),
        (&[dollars, filler, filler, filler], 1.0),
        (&[dollars, filler, filler, filler, filler], 0.0),
    ] {
        assert!((once(turns) - expected).abs() < 1e-4, "{turns:?}: {}", once(turns));
    }
}

#[test]
fn an_earlier_turn_does_not_say_what_kind_of_task_the_last_one_is() {
    let features = of_turns(&[turn(Role::User, PROOF), turn(Role::User, STORY)]);
    assert_eq!(value(&features, "opens_with_solve"), 0.0);
    assert_eq!(value(&features, "opens_with_write"), 1.0);
}

#[test]
fn a_follow_up_brings_the_turn_before_along_at_full_weight() {
    let features = of_turns(&[turn(Role::User, PROOF), turn(Role::User, "continue")]);
    assert_eq!(value(&features, "follow_up"), 1.0);
    assert_eq!(value(&features, "opens_with_solve"), 1.0);
    assert_eq!(value(&features, "text_bytes"), log_count(PROOF.len() + "continue".len()));
    let insisting = of_turns(&[
        turn(Role::User, PROOF),
        turn(Role::User, "continue"),
        turn(Role::User, "please"),
    ]);
    assert_eq!(value(&insisting, "opens_with_solve"), 1.0);
}

#[test]
fn one_turn_in_a_conversation_has_the_text_features_of_the_turn_alone() {
    for text in [STORY, PROOF, "x", "1 2 3", "été ?"] {
        let talk = of_turns(&[turn(Role::User, text), turn(Role::Assistant, "Done.")]);
        let of_text = Slot::Turns as usize;
        assert_eq!(talk.as_slice()[..of_text], of(text).as_slice()[..of_text], "{text}");
        assert_eq!(talk.as_slice()[ENGINEERED..], of(text).as_slice()[ENGINEERED..], "{text}");
    }
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

#[test]
fn exactly_what_is_not_zero_is_marked_also_when_a_vector_is_filled_again() {
    let mut features = Features::default();
    for text in ["many words, 1 2 3, and some of them again: many words", "few", "", "other words"]
    {
        extract_into(&Prompt::from_text(text), &mut features);
        assert_eq!(features, of(text));
        let marked: HashSet<usize> = positions(features.occupied()).collect();
        let filled = (0..LEN).filter(|at| *at < DENSE || features.as_slice()[*at] != 0.0);
        assert_eq!(marked, filled.collect(), "{text}");
        let same = Features::from_values(features.as_slice().to_vec()).unwrap();
        assert_eq!(same.occupied(), features.occupied());
    }
}

#[test]
fn logarithms_of_counts_are_those_of_libm() {
    for eighths in 0..=2048 {
        let count = eighths as f32 / 8.0;
        assert_eq!(ngrams::log1p(count).to_bits(), libm::log1pf(count).to_bits(), "{count}");
    }
}
