use proptest::prelude::*;

use super::schema::Slot;
use super::*;

const PROMPT: &str = "Tom has 9 boxes with 2 pens each. He gives 3 pens away. How many are left?";

fn value(answer: &str, slot: Slot) -> f32 {
    extract(PROMPT, answer, None)[slot as usize]
}

fn count(answer: &str, slot: Slot) -> u32 {
    value(answer, slot).exp_m1().round() as u32
}

#[test]
fn arithmetic_that_holds_is_told_from_what_does_not() {
    for (answer, right, rounded, wrong) in [
        ("9 * 2 = 18, and 18 - 3 = 15", 2, 0, 0),
        ("9 * 2 = <<9*2=18>>18 pens\n18 - 3 = <<18-3=14>>14", 1, 0, 1),
        ("(40 - 20) / 4 = 10", 0, 0, 1),
        ("50 mm - 5 mm = 45 mm", 1, 0, 0),
        ("$3.00 + $1.50 + $1.50 + $3.00 = $9.00", 1, 0, 0),
        ("20% of 50 = 10", 1, 0, 0),
        ("1/4 x 20 = 5", 1, 0, 0),
        ("10 / 3 = 3.33", 0, 1, 0),
        ("2 * (3 + 4) = 6 + 8 = 14", 2, 0, 0),
        ("5 × 3 = 15 and 8 − 16 = -8", 2, 0, 0),
        ("24 (in boxes) + 3 = 27", 1, 0, 0),
        ("3 \\times 4 = 12", 1, 0, 0),
        ("1,200 + 34 = 1,234", 1, 0, 0),
        ("x - 16 + 4 = 20 and 2x + 3 = 7 and y = 5", 0, 0, 0),
        ("- 4 + 4 = 8\n- 2 = 2", 1, 0, 0),
        ("one-fourth of 20 = 5", 0, 0, 0),
    ] {
        let found = [Slot::EquationsRight, Slot::EquationsRounded, Slot::EquationsWrong]
            .map(|slot| count(answer, slot));
        assert_eq!(found, [right, rounded, wrong], "{answer}");
    }
}

#[test]
fn the_final_answer_is_the_marked_number_or_else_the_last() {
    let size = |answer| value(answer, Slot::FinalSize).exp_m1().round() as u32;
    assert_eq!(size("18 - 3 = 15\n#### 15"), 15);
    assert_eq!(size("{\"reasoning\": \"9 * 2 = 18\", \"answer\": \"18\"} in 2 steps"), 18);
    assert_eq!(size("\\boxed{7} is what 9 gives"), 7);
    assert_eq!(size("so 15 pens"), 15);
    assert_eq!(value("so 15 pens", Slot::FinalMarked), 0.0);
    assert_eq!(value("18 - 3 = 15\n#### 14", Slot::FinalIsResult), 0.0);
    assert_eq!(value("18 - 3 = 15\n#### 15", Slot::FinalIsResult), 1.0);
    assert_eq!(value("The answer is -4.", Slot::FinalNegative), 1.0);
    assert_eq!(value("The answer is 4. The final answer: 5", Slot::FinalDisagree), 1.0);
}

#[test]
fn numbers_of_the_prompt_are_used_or_left_out_and_others_are_from_nowhere() {
    assert_eq!(count("9 * 2 = 18", Slot::UnusedNumbers), 1);
    assert_eq!(value("9 * 2 = 18, 18 - 3 = 15", Slot::UsedNumbers), 1.0);
    assert_eq!(count("9 * 2 = 18, 18 - 3 = 15", Slot::NewNumbers), 0);
    assert_eq!(count("9 * 7 = 63", Slot::NewNumbers), 1);
}

#[test]
fn words_layout_and_language_are_counted() {
    assert_eq!(count("However, wait: maybe it is not.", Slot::Reversals), 2);
    assert_eq!(count("However, wait: maybe it is not.", Slot::Hedges), 1);
    assert_eq!(
        count("One two three four five. One two three four five.", Slot::RepeatedSentences),
        1
    );
    assert_eq!(value("and then he", Slot::CutOff), 1.0);
    assert_eq!(value("and then he left.", Slot::CutOff), 0.0);
    assert_eq!(value("```\nf(x", Slot::OpenFence), 1.0);
    assert_eq!(count("```\nf(x", Slot::Unbalanced), 1);
    assert!(value("Осталось пятнадцать ручек.", Slot::ScriptChange) > 0.9);
    assert_eq!(value("Fifteen pens are left.", Slot::ScriptChange), 0.0);
    assert_eq!(value("", Slot::Empty), 1.0);
}

#[test]
fn a_text_inside_json_is_read_as_the_text_that_it_is() {
    let plain = extract(PROMPT, "9 * 2 = 18\nSo 18 - 3 = 15", None);
    let escaped = extract(PROMPT, "9 * 2 = 18\\nSo 18 - 3 = 15", None);
    assert_eq!(plain[Slot::EquationsRight as usize], escaped[Slot::EquationsRight as usize]);
    assert_eq!(plain[Slot::Lines as usize], escaped[Slot::Lines as usize]);
}

#[test]
fn log_probabilities_count_where_there_are_some() {
    let log = |mean, least| extract(PROMPT, "15", Some(LogProbabilities { mean, least }));
    assert_eq!(log(-0.5, -2.0)[Slot::HasLogProbabilities as usize], 1.0);
    assert_eq!(log(-0.5, -2.0)[Slot::LeastLogProbability as usize], -2.0);
    assert_eq!(log(f32::NAN, f32::NEG_INFINITY)[Slot::LeastLogProbability as usize], -20.0);
    assert_eq!(value("15", Slot::HasLogProbabilities), 0.0);
}

#[test]
fn of_a_long_answer_beginning_and_end_are_read() {
    let middle = "word ".repeat(10_000);
    let answer = format!("9 * 2 = 18. {middle} 18 - 3 = 15. The answer is 15.");
    assert_eq!(count(&answer, Slot::EquationsRight), 2);
    let words = value(&answer, Slot::Words).exp_m1();
    assert!((words as usize) < (ANSWER_HEAD_BYTES + ANSWER_TAIL_BYTES) / 4, "{words}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_gives_finite_numbers(prompt in ".{0,60}", answer in ".{0,200}") {
        let values = extract(&prompt, &answer, None);
        prop_assert!(values.iter().all(|value| value.is_finite() && value.abs() <= 20.0));
    }

    #[test]
    fn any_arithmetic_gives_finite_numbers(
        answer in "[-0-9+*/^=().,%x $<>\\\\#a-c\"\\n\u{d7}\u{2212}`{}]{0,200}"
    ) {
        let values = extract("1 and 2", &answer, None);
        prop_assert!(values.iter().all(|value| value.is_finite() && value.abs() <= 20.0));
    }
}
