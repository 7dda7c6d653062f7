//! Ways to say the same in another order: compounds and the passive.

use super::super::facts::{Kind, QuestionFacts, Word};

/// Whether this has one behind the other what the other text joins the other way around: "Facebook
/// profile name" is "profile name in Facebook".
pub(super) fn compounds(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    const JOINING: &[&str] = &["of", "in", "for", "at", "on"];
    const DETERMINERS: &[&str] = &["a", "an", "the", "my", "your", "their", "its"];
    let content = |facts: &QuestionFacts| -> Vec<(usize, String)> {
        let words = facts.words.iter().enumerate().filter(|(_, word)| word.is_content());
        words.map(|(at, word)| (at, word.sense().to_owned())).collect()
    };
    let other = there;
    let (here, there) = (content(here), content(there));
    let same = |(a, b): &(&(usize, String), &(usize, String))| a.1 == b.1;
    let start = here.iter().zip(&there).take_while(same).count();
    let end = here.iter().rev().zip(there.iter().rev()).take_while(same).count();
    let within = |all: Vec<(usize, String)>| -> Vec<(usize, String)> {
        let last = all.len().saturating_sub(end);
        all.into_iter().take(last).skip(start).collect()
    };
    let (here, there) = (within(here), within(there));
    let in_a_row = here.array_windows().all(|[(a, _), (b, _)]| a + 1 == *b);
    let senses = |part: &[(usize, String)]| -> Vec<String> {
        part.iter().map(|(_, sense)| sense.clone()).collect()
    };
    in_a_row
        && here.len() == there.len()
        && (1..here.len()).any(|at| {
            let (first, second) = here.split_at(at);
            let (head, owner) = there.split_at(there.len() - at);
            let between = match (head.last(), owner.first()) {
                (Some((last, _)), Some((next, _))) => other.words.get(last + 1..*next),
                _ => None,
            };
            let joins = |between: &[Word]| {
                let joining = |word: &&Word| JOINING.contains(&&*word.text);
                let known = |word: &Word| joining(&word) || DETERMINERS.contains(&&*word.text);
                between.iter().filter(joining).count() == 1 && between.iter().all(known)
            };
            senses(first) == senses(owner)
                && senses(second) == senses(head)
                && between.is_some_and(joins)
        })
}

/// Whether the word at this place is a verb in the passive: "is it determined", "caused by".
fn is_passive(facts: &QuestionFacts, at: usize) -> bool {
    const BE: &[&str] = &["is", "are", "was", "were", "be", "been", "being"];
    let word = facts.words.get(at).filter(|word| word.kind == Kind::Plain);
    let participle = word.is_some_and(|word| word.text.ends_with("ed") && word.is_content());
    // "attacked Corinth" is not a passive.
    let has_object = facts.words.get(at + 1).is_some_and(Word::is_content);
    let be = facts.words().take(at).any(|word| BE.contains(&word));
    participle && !has_object && (be || facts.at(at + 1) == "by")
}

/// Whether the content is in the order of the other but for a verb, which is in the passive on one
/// side: "how is the volume determined", "how do I determine the volume".
pub(super) fn moves_verb(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let without = |facts: &QuestionFacts, sense: &str| -> Vec<String> {
        facts.content().filter(|own| *own != sense).map(str::to_owned).collect()
    };
    (0..here.words.len()).filter(|at| is_passive(here, *at)).any(|at| {
        let Some(sense) = sense_at(here, at) else { return false };
        let by = here.at(at + 1) == "by";
        let mut places = there.words.iter().filter(|word| word.sense() == sense);
        // In another form: "fred" is not a verb.
        let active = places.next().is_some_and(|word| !here.has(&word.text));
        !by && active && places.next().is_none() && without(here, sense) == without(there, sense)
    })
}

/// Whether a verb is in the passive here, in the active there, and stands between the same two all
/// the same: "is X caused by Y", "does X cause Y".
pub(super) fn is_turned(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let between = |facts: &QuestionFacts, at: usize| -> Option<(String, String)> {
        let (before, behind) = (facts.words.get(..at)?, facts.words.get(at + 1..)?);
        let left = before.iter().rev().find(|word| word.is_content())?;
        let right = behind.iter().find(|word| word.is_content())?;
        Some((left.sense().to_owned(), right.sense().to_owned()))
    };
    (0..here.words.len()).any(|at| {
        here.at(at + 1) == "by"
            && is_passive(here, at)
            && (0..there.words.len()).any(|other| {
                sense_at(there, other) == sense_at(here, at)
                    && !is_passive(there, other)
                    && between(here, at).is_some_and(|it| between(there, other) == Some(it))
            })
    })
}

fn sense_at(facts: &QuestionFacts, at: usize) -> Option<&str> {
    facts.words.get(at).map(Word::sense)
}
