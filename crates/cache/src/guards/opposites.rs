//! One question has a word whose opposite the other has.

use super::denial::{denied, denies};
use super::direction::turns_way;
use super::facts::{QuestionFacts, opposites};
use super::pair::Pair;

pub(super) fn differs(pair: &Pair) -> bool {
    pair.either_way(opposes) || pair.either_way(turns_way)
}

/// A word here whose opposite is there, neither of which both have; or a word there that is this
/// one with a prefix that denies it. One of them denied says the same again.
fn opposes(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    here.words().filter(|word| !there.has(word)).any(|word| {
        let opposite = |own: &&str| opposites(word).contains(own) || denies(own, word);
        let mut all = there.words().filter(opposite);
        all.any(|own| {
            !here.has(own) && denied(here).any(|it| it == word) == denied(there).any(|it| it == own)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::refused;

    #[test]
    fn an_opposite_is_refused() {
        refused(
            Disagreement::Opposites,
            &[
                ("What are the advantages of tea?", "What are the disadvantages of tea?"),
                ("How do I gain weight?", "How do I lose weight?"),
                ("Is it legal to fish here?", "Is it unlawful or illegal to fish here?"),
                ("Is the form mandatory?", "Is the form optional?"),
                ("Is the form not mandatory?", "Is the form not optional?"),
                ("How do I get into MIT?", "How do I get out of MIT?"),
                ("How do I get a refund on eBay?", "How do I give a refund on eBay?"),
            ],
        );
    }
}
