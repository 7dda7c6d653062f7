//! Pairs of final numbers.

use super::*;

fn agree(a: &str, b: &str) -> bool {
    let number = |text: &str| final_number(text, false, "", None).expect("a number").number;
    let same = |a: &str, b: &str| number(a).compare(number(b)) == Verdict::Same;
    let (there, back) = (same(a, b), same(b, a));
    assert_eq!(there, back, "{a} | {b}");
    there
}

#[test]
fn the_same_final_number_in_other_words_agrees() {
    for (a, b) in [
        ("She makes 9 * $2 = $18 every day.", "so 9 * 2 = $<<9*2=18>>18.\n#### 18"),
        ("The total is $1,234.50.", "#### 1234.5"),
        ("\\boxed{42}", "The answer is 42."),
        ("\\boxed{\\frac{1}{2}}", "The answer is 0.5"),
        ("It is 1 1/2 cups.", "#### 1.5"),
        ("**Answer:** 50%", "The answer is 0.5"),
        ("Answer: 50%", "the answer is 50"),
        ("a cost of 84 cents", "#### $0.84"),
        ("3 stamps at 15 cents are 45 cents.\n#### 45", "3 * $0.15 = $0.45\n#### 0.45"),
        ("That is $1.20 in all. The answer is 1.20", "It costs 120 cents."),
        ("It costs 0.75 dollars.", "75 cents"),
        ("A quarter: \\boxed{25\\%}", "The share is 25%, so the answer is 25."),
        ("The fare is $20.00", "x = 20"),
        ("Altogether 750 cents.", "So $750, in cents.\n#### 750"),
        ("The answer is \u{2212}15.", "#### -15"),
        ("The answer is five.", "5"),
        ("450 + 312 = 762 M&Ms.", "#### 762"),
        ("2.5 million people", "2,500,000"),
        ("1.234,56 Euro", "1234.56"),
        ("6.02 × 10^23", "6.02e23"),
        ("It is 3.33", "It is 3.3333"),
        ("$36.67 (rounded to 2 decimal places)", "36.67"),
        ("$\\boxed{\\$18}$. Check: 9 * 2", "18"),
        ("The answer is 3 + 4 = 7.", "7"),
        ("So 5 - 2 = 3. It costs $3 more for 1/2 pound and 1/3 pound.", "#### 3"),
        ("He has **12** apples left.", "12"),
        ("16 - 7 = 9", "9"),
        ("#### 72\n\n(Note: there are 24 hours in 1 day)", "72"),
    ] {
        assert!(agree(a, b), "{a} | {b}");
    }
}

#[test]
fn another_final_number_disagrees() {
    for (a, b) in [
        ("#### 18", "#### 19"),
        ("#### 18", "so 18 eggs, hence 9 * 2 = 17"),
        ("The answer is 50%", "The answer is 5"),
        ("$5", "5 cents"),
        ("5 dollars", "5 cents"),
        ("$5", "5%"),
        ("#### 3", "#### -3"),
        ("\\boxed{1/3}", "\\boxed{1/4}"),
        ("It is 3.3", "It is 3.4"),
        ("1,000", "1"),
        ("2 million", "2 thousand"),
        ("#### 2.5", "#### 3"),
    ] {
        assert!(!agree(a, b), "{a} | {b}");
    }
}

#[test]
fn an_answer_without_a_number_has_none() {
    assert_eq!(final_number("I cannot tell.", false, "", None).map(|it| it.number), None);
    assert!(final_number("It costs 80,000 + 50,000 = 130,00", true, "", None).is_none());
    assert!(final_number("#### 5", true, "", None).is_some());
}

#[test]
fn marks_are_recognised() {
    assert!(has_marked_number("so\n#### 5") && has_marked_number("The answer is: **5**"));
    assert!(!has_marked_number("There were 5 of them.") && ends_in_number("There were 5."));
}
