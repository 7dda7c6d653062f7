//! One thing replaced by another, in the same sentence or in other words.

use super::denial::turns;
use super::facts::{Kind, QuestionFacts};
use super::pair::{Closeness, LONG, Pair};
use super::topic;

/// Of statements, the calibration says what one word is worth.
pub(super) fn differs(pair: &Pair) -> bool {
    !pair.are_statements() && (replaces_one_word(pair) || topic::differs(pair))
}

/// The same content in the same order but for one word, which another stands for or which only one
/// side has: "green tea". In long texts one word more says little.
pub(super) fn replaces_one_word(pair: &Pair) -> bool {
    let (here, there): (Vec<&str>, Vec<&str>) =
        (pair.a.content().collect(), pair.b.content().collect());
    let (short, long) = if here.len() < there.len() { (here, there) } else { (there, here) };
    if pair.either_way(turns) {
        return false;
    }
    let agree = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    let behind = long.get(agree + 1..);
    match long.len() - short.len() {
        0 => {
            let means_the_same = || {
                let words = plain_word(pair.a, agree).zip(plain_word(pair.b, agree));
                words.is_some_and(|(a, b)| pair.closeness(a, b) == Closeness::Alike)
            };
            agree < short.len()
                && behind == short.get(agree + 1..)
                && has_more(pair)
                && !means_the_same()
        }
        1 => !short.is_empty() && long.len() < LONG && behind == short.get(agree..),
        _ => false,
    }
}

/// The content word at this place, if it is neither a name nor a number.
fn plain_word(facts: &QuestionFacts, place: usize) -> Option<&str> {
    let word = facts.content_words().nth(place).filter(|word| word.kind == Kind::Plain)?;
    Some(&word.text)
}

/// Whether there is more to both than the one word: "define rice", "define pasta".
fn has_more(pair: &Pair) -> bool {
    pair.a.words.len() > 1 && pair.b.words.len() > 1
}

#[cfg(test)]
mod tests {
    use super::super::tests::{agree, agreed, refused, statement_changes};
    use super::super::{Disagreement, Pair, QuestionFacts};
    use crate::Embedder;

    #[test]
    fn another_thing_in_the_same_sentence_is_refused() {
        refused(
            Disagreement::Substitution,
            &[
                ("How do I stop dreaming?", "How can I stop snoring?"),
                ("Is tea healthy?", "Is green tea healthy?"),
                ("how do i cook rice", "how do i cook pasta"),
            ],
        );
    }

    #[test]
    fn a_long_text_may_have_one_word_more() {
        agreed(&[(
            "The flag tells whether the nightly job of the project was finished in time or not.",
            "Whether the nightly job of the project was finished in time is told by the flag.",
        )]);
    }

    #[test]
    fn one_word_is_weighed_of_statements_only() {
        let (a, b) = ("The parser drops blank lines.", "The parser keeps blank lines.");
        assert_eq!((agree(a, b), statement_changes(a, b)), (Ok(()), [false, true]));
        for (a, b) in [
            ("Define rice.", "Define pasta."),
            ("My parser drops blank lines.", "My parser keeps blank lines."),
            ("the parser drops blank lines", "the parser keeps blank lines"),
            ("Please tell of the rice.", "Please tell of the pasta."),
            (
                "In the rain, does the parser drop lines.",
                "In the rain, does the parser keep lines.",
            ),
        ] {
            assert_eq!(
                (agree(a, b), statement_changes(a, b)),
                (Err(Disagreement::Substitution), [false; 2]),
                "{a}"
            );
        }
    }

    #[test]
    fn another_thing_in_other_words_is_refused() {
        let embedder = Embedder::built_in().unwrap();
        let agree = |a: &str, b: &str| {
            let (a, b) = (QuestionFacts::of(a), QuestionFacts::of(b));
            Pair::new(&a, &b, &|x, y| embedder.closeness(x, y)).agree().is_ok()
        };
        for (a, b) in [
            ("what is the boiling time of barley", "how long should i boil chickpeas"),
            ("when should i travel to braga", "what is the best time to visit bogota"),
            ("how can i learn emacs quickly", "what is a fast way to learn jenkins"),
            ("are tourists safe in riga", "is tallinn a safe city for tourists"),
            ("which books did karl popper write", "what books were written by emmy noether"),
            ("give me a recipe for couscous", "share a recipe with thomas hobbes"),
            ("Reset the figma password.", "Please reset a password of dropbox."),
        ] {
            assert!(!agree(a, b) && !agree(b, a), "{a} / {b}");
        }
        for (a, b) in [
            ("what is the height of a giraffe", "how tall is a giraffe"),
            ("what is the boiling time of barley", "how long do i boil barley"),
            ("how can i design a web page", "what is the way to design a webpage"),
            ("Where can I buy a cheap bicycle?", "Where can one purchase cheap bikes?"),
            ("What do attorneys earn in a year?", "How much do lawyers earn in a year?"),
            ("It fetches the table.", "It downloads the list."),
        ] {
            assert!(agree(a, b) && agree(b, a), "{a} / {b}");
        }
    }
}
