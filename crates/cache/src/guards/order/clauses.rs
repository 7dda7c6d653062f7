//! Whether clauses moved, or two things changed places.

use super::super::facts::{QuestionFacts, Word, is_connective};
use super::super::pair::Pair;

/// Whether the same content stands in another order because clauses do, and not because two things
/// changed places. One clause went to the other end: "the default of A is B", "B is the default of
/// A". In long texts it is any order that no exchange made.
pub(super) fn moves_clauses(pair: &Pair, here: &[&str], there: &[&str]) -> bool {
    const CLAUSES: usize = 4;
    let rotated = here.len() >= CLAUSES
        && (1..here.len()).any(|at| {
            here[at..] == there[..here.len() - at] && here[..at] == there[here.len() - at..]
        });
    rotated || pair.are_long() && !is_exchanged(here, there, |_| true)
}

/// Whether anchors stand in another order because clauses do, in long texts: the rest is not as it
/// was, and no two changed places around a word that both texts have between them. "To list the
/// files …, call `ls` with …" is "call `ls` with … to list the files …".
pub(super) fn moves_by_clause(pair: &Pair, anchors: &[&str]) -> bool {
    let rest = |facts: &QuestionFacts| -> Vec<String> {
        let words = facts.content_words().filter(|word| !anchors.contains(&&*word.text));
        words.map(|word| word.sense().to_owned()).collect()
    };
    pair.are_long()
        && rest(pair.a) != rest(pair.b)
        && !is_exchanged(&relating(pair.a), &relating(pair.b), |word| anchors.contains(&word))
}

/// Words that may stand between two things and relate them, and the things.
fn relating(facts: &QuestionFacts) -> Vec<&str> {
    let relates = |word: &&Word| word.is_content() || is_connective(&word.text);
    facts.words.iter().filter(relates).map(|word| &*word.text).collect()
}

/// Whether two of these words changed places around one that stayed between them: "A owes B", "B
/// owes A". Words that one side has twice say nothing.
pub(super) fn is_exchanged(here: &[&str], there: &[&str], of: impl Fn(&str) -> bool) -> bool {
    let place = |words: &[&str], wanted: &str| {
        let mut places = (0..words.len()).filter(|at| words[*at] == wanted);
        places.next().filter(|_| places.next().is_none())
    };
    let shared: Vec<(usize, usize, bool)> = here
        .iter()
        .filter_map(|word| Some((place(here, word)?, place(there, word)?, of(word))))
        .collect();
    shared.iter().enumerate().any(|(at, u)| {
        let crossed = |v: &&(usize, usize, bool)| u.2 && v.2 && v.1 < u.1;
        shared[at + 1..].iter().filter(crossed).any(|v| {
            let stays = |w: &(usize, usize, bool)| u.0 < w.0 && w.0 < v.0 && v.1 < w.1 && w.1 < u.1;
            shared.iter().any(stays)
        })
    })
}
