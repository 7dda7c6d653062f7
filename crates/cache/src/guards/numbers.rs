//! Questions with other numbers.

use super::facts::{FIRST, Kind, QuestionFacts};
use super::pair::{Pair, same_bag};

/// In long texts "first" is more often a word than a number.
pub(super) fn differs(pair: &Pair) -> bool {
    let long = pair.are_long();
    !same_bag(numbers(pair.a, long), numbers(pair.b, long))
}

fn numbers(facts: &QuestionFacts, long: bool) -> Vec<&str> {
    facts.of_kind(Kind::Number).filter(|number| !(long && *number == FIRST)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn another_number_is_refused() {
        refused(
            Disagreement::Numbers,
            &[
                ("What is 15% of 80?", "What is 20% of 80?"),
                ("List 5 tips for sleep", "Give me seven tips for sleep"),
                ("How fast do 2-year-old horses run?", "How fast do 3-year-old horses run?"),
                ("Who was the first king?", "Who was the second king?"),
                ("Who was the first king of the land?", "Who was the king of the land?"),
                ("How do I install Python 3.1?", "How do I install Python 3.10?"),
                ("What is new in version 2.0?", "What is new in version 2?"),
                ("what changed in django 4.20", "what changed in django 4.2"),
                ("Is it section 1.10 or 1.3?", "Is it section 1.1 or 1.3?"),
            ],
        );
    }

    #[test]
    fn a_number_may_be_written_out() {
        agreed(&[
            ("How do I boil three eggs?", "What is the way to boil 3 eggs?"),
            ("1. Is water wet?", "Is water wet?"),
            ("How do 4-digit codes work?", "How do 4 digit codes work?"),
            ("How far is 2.50 miles?", "How far is 2.5 miles?"),
            ("Is $3.10 too much for milk?", "Is $3.1 too much for milk?"),
            ("Is 3.10% a lot?", "Is 3.1 percent a lot?"),
            ("What is 1,000.50 times two?", "What is 1000.5 times two?"),
            ("How do I install Python 3.10?", "What is the way to install Python 3.10?"),
        ]);
    }
}
