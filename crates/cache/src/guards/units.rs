//! Questions with other units or currencies.

use std::collections::BTreeSet;

use super::facts::{Kind, QuestionFacts};
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    units(pair.a) != units(pair.b)
}

fn units(facts: &QuestionFacts) -> BTreeSet<&str> {
    facts.of_kind(Kind::Unit).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn another_unit_is_refused() {
        refused(
            Disagreement::Units,
            &[
                ("How far is 10 km?", "How far is 10 miles?"),
                ("How do I convert kilograms to pounds?", "How do I convert pounds to ounces?"),
                ("How many hours are in 3 days?", "How many minutes do 3 days have?"),
            ],
        );
    }

    #[test]
    fn a_unit_may_be_a_sign_or_a_word() {
        agreed(&[("What is 15% of 80?", "How much is 15 percent of 80?")]);
    }
}
