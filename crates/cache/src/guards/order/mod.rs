//! The same things in another order, where that matters: clauses may move, but what a relation
//! joins may not change places.

mod clauses;
mod persons;
mod rephrased;

use std::collections::BTreeSet;

use super::facts::{Kind, QuestionFacts, Word, is_connective, is_negation};
use super::pair::{Pair, same_bag};
use clauses::{is_exchanged, moves_by_clause, moves_clauses};
use persons::{changes_part, person_free};
use rephrased::{compounds, is_turned, moves_verb};

/// Of statements, the calibration says what another order is worth.
pub(super) fn differs(pair: &Pair) -> bool {
    !pair.are_statements() && (is_reordered(pair) || changes_part(pair.a, pair.b))
}

/// The same content in another order; or, in sentences that are alike in the rest, names, numbers
/// or code in another order; or two things that have changed places around a word that relates
/// them.
pub(super) fn is_reordered(pair: &Pair) -> bool {
    let Pair { a, b, .. } = *pair;
    let (here, there): (Vec<&str>, Vec<&str>) = (a.content().collect(), b.content().collect());
    let content_moved = swapped(&here, &there);
    let clauses_moved = content_moved && moves_clauses(pair, &here, &there);
    // Two words say the same in either order, mostly: "what X means", "the meaning of X".
    // A short question has no clauses to move; a statement may be in the passive.
    let ask = pair.are_questions() && !pair.are_long();
    if ask && pair.either_way(is_turned) {
        return true;
    }
    if content_moved && pair.either_way(|a, b| compounds(a, b) || moves_verb(a, b)) {
        return false;
    }
    if ask && is_exchanged(&here, &there, |_| true) {
        return true;
    }
    let content_differs = here.len() > 2 && content_moved;
    let small_words_differ = swapped(&affirmed(a, false), &affirmed(b, false))
        && swapped(&affirmed(a, true), &affirmed(b, true));
    if !clauses_moved && (content_differs || small_words_differ) {
        return true;
    }
    // A number does not change places with a name: "no, X is not in 2.0", "2.0 has no X".
    let anchors_moved = [Kind::Number, Kind::Name, Kind::Symbol].into_iter().any(|kind| {
        let here = anchors(a, b, kind);
        let excused = clauses_moved && kind != Kind::Number && !pair.are_long();
        !excused
            && swapped(&here, &anchors(b, a, kind))
            && is_alike_without(pair, &here)
            && (kind == Kind::Number || !moves_by_clause(pair, &here))
    });
    anchors_moved || turns_relation(a, b)
}

/// Whether the same words stand in another order.
fn swapped(here: &[&str], there: &[&str]) -> bool {
    here != there && same_bag(here.to_vec(), there.to_vec())
}

/// All words but those that deny, which may stand before or behind the subject; and, of a question,
/// but those that do not say who does what: "why are they …", "why they are …". Whoever asks is one
/// person, "I" or "me".
fn affirmed(facts: &QuestionFacts, without_idle: bool) -> Vec<&str> {
    const IDLE: &[&str] = &[
        "a", "an", "the", "is", "are", "was", "were", "be", "do", "does", "did", "can", "could",
        "will", "would", "should", "has", "have", "had",
    ];
    let idle = |word: &str| without_idle && IDLE.contains(&word);
    let words = facts.words().map(person_free);
    words.filter(|word| !is_negation(word) && !idle(word)).collect()
}

/// Names, numbers or code that both have, in the order that they have here. A name may be in lower
/// case on one side, and code without its marks.
fn anchors<'a>(here: &'a QuestionFacts, there: &QuestionFacts, kind: Kind) -> Vec<&'a str> {
    let anchor = |word: &Word| match word.kind {
        _ if word.text.starts_with(|c: char| c.is_ascii_digit()) => Kind::Number,
        kind => kind,
    };
    let shared = |word: &&Word| {
        let other = there.words.iter().find(|other| other.text == word.text);
        other.is_some_and(|other| {
            let kinds = [anchor(word), anchor(other)];
            // What is code on one side is not a name.
            kinds.contains(&kind) && (kind != Kind::Name || !kinds.contains(&Kind::Symbol))
        })
    };
    here.words.iter().filter(shared).map(|word| &*word.text).collect()
}

/// Whether at least half of the content without these words is the same.
fn is_alike_without(pair: &Pair, anchors: &[&str]) -> bool {
    let rest = |facts: &QuestionFacts| -> BTreeSet<String> {
        let rest = facts.content_words().filter(|word| !anchors.contains(&&*word.text));
        rest.map(|word| word.sense().to_owned()).collect()
    };
    let (here, there) = (rest(pair.a), rest(pair.b));
    2 * here.intersection(&there).count() >= here.union(&there).count()
}

/// Whether two things have changed places around a connective.
fn turns_relation(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let (here, there) = (relations(here), relations(there));
    here.iter().any(|(left, by, right)| {
        left != right && there.contains(&(right, by, left)) && !there.contains(&(left, by, right))
    })
}

/// (what stands left, the connective, what stands right).
fn relations(facts: &QuestionFacts) -> Vec<(&str, &str, &str)> {
    let mut relations = Vec::new();
    for (position, word) in facts.words.iter().enumerate() {
        if !is_connective(&word.text) {
            continue;
        }
        let left = facts.words[..position].iter().rev().find(|word| word.is_content());
        let right = facts.words[position + 1..].iter().find(|word| word.is_content());
        if let (Some(left), Some(right)) = (left, right) {
            relations.push((left.sense(), &*word.text, right.sense()));
        }
    }
    relations
}

#[cfg(test)]
mod tests;
