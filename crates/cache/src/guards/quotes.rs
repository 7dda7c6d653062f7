//! Quoted text that only one question has.

use super::facts::QuestionFacts;
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    pair.either_way(|here, there| !holds_quotes(here, there))
}

/// Whether what one text quotes stands in the other, quoted or not.
fn holds_quotes(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    there.quotes.iter().all(|quote| here.lower.contains(&**quote))
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};

    #[test]
    fn another_quotation_is_refused() {
        refused(
            Disagreement::Quotes,
            &[("Translate \"good morning\" into French", "Translate \"good night\" into French")],
        );
    }

    #[test]
    fn quotation_marks_may_be_missing_or_doubled() {
        agreed(&[
            ("What does \"ubiquitous\" mean?", "What is the meaning of ubiquitous?"),
            ("What is \"\"power\"\" in politics?", "What is power in politics?"),
        ]);
    }
}
