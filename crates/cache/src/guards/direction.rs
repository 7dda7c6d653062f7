//! Which way something goes between two: into or out of it, to or from it, got or given. Words that
//! say this carry no content, and are near each other in every embedding. A part of the guard of
//! opposites.

use super::facts::{ANYBODY, HELPING, QuestionFacts, WAYS, Word, is_of, sense};

/// Small words of which each says the other way of the next.
const PLACES: &[(&str, &str)] = &[
    ("into", "out"),
    ("in", "out"),
    ("onto", "off"),
    ("toward", "away"),
    ("towards", "away"),
    ("by", "about"),
    ("by", "for"),
];
/// Words behind which "to" and "from" say where something goes. Behind others they say much else:
/// "access to", "different from".
const MOVING: &str = "go get come move fly drive walk ride sail travel ship send mail import export \
    transfer migrate train flight bus ferry trip road journey ticket letter email message gift";
/// Words behind which "for" and "against" are two sides; a vaccine is for and against the same.
const SIDES: &str = "vote argue argument case evidence reason point speak campaign";
/// Verbs, in all forms, of who gives and of who gets.
const GIVE: &str = "give gives gave giving grant grants granted granting offer offers offered offering \
    issue issues issued issuing provide provides provided providing send sends sent sending \
    pay pays paid paying donate donates donated donating lend lends lent lending sell sells \
    sold selling teach teaches taught teaching deliver delivers delivered delivering host \
    hosts hosted hosting";
const GET: &str = "get gets got getting receive receives received receiving obtain obtains obtained \
    obtaining claim claims claimed claiming earn earns earned earning collect collects \
    collected collecting borrow borrows borrowed borrowing buy buys bought buying take takes \
    took taking learn learns learned learnt learning attend attends attended attending \
    inherit inherits inherited inheriting";
/// Whoever asks for something: "give me", "give us".
const ASKING: &[&str] = &["me", "us"];

/// Whether something goes one way here and the other way there.
pub(super) fn turns_way(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let turned = PLACES.iter().any(|(one, other)| turns_place(here, there, one, other, |_| true));
    turned
        || turns_place(here, there, "to", "from", |word| is_form_of(MOVING, word))
        || turns_place(here, there, "for", "from", |word| is_form_of(MOVING, word))
        || turns_place(here, there, "for", "against", |word| is_form_of(SIDES, word))
        || turns_verb(here, there)
}

/// Whether one small word here and the other there stand behind the same word, "get into" and "get
/// out of", or before the same, "into MIT" and "out of MIT", and neither text has both. They count
/// behind some words only.
fn turns_place(
    here: &QuestionFacts,
    there: &QuestionFacts,
    one: &str,
    other: &str,
    counts: impl Fn(&str) -> bool,
) -> bool {
    let all = |facts: &QuestionFacts, word: &str| -> Vec<usize> {
        let of = |at: &usize| facts.at(*at) == word && before(facts, *at).is_some_and(&counts);
        (0..facts.words.len()).filter(of).collect()
    };
    let (ones, others) = (all(here, one), all(there, other));
    let alike = |one: &usize, other: &usize| {
        let thing = thing_behind(here, *one);
        before(here, *one) == before(there, *other)
            || thing.is_some() && thing == thing_behind(there, *other)
    };
    ones.iter().any(|one| others.iter().any(|other| alike(one, other)))
        && all(there, one).is_empty()
        && all(here, other).is_empty()
}

/// Whether the same one gets something here and gives it there. Who asks where to get it asks who
/// gives it.
fn turns_verb(here: &QuestionFacts, there: &QuestionFacts) -> bool {
    let has_any = |facts: &QuestionFacts, verbs: &str| facts.words().any(|it| is_of(verbs, it));
    !has_any(here, GIVE)
        && !has_any(there, GET)
        && deals(here, GET).iter().any(|deal| deals(there, GIVE).contains(deal))
}

/// Who does one of these with what.
fn deals<'a>(facts: &'a QuestionFacts, verbs: &str) -> Vec<(&'a str, &'a str)> {
    let verbs = (0..facts.words.len()).filter(|at| is_of(verbs, facts.at(*at)));
    let asks = |at: &usize| *at == 0 || ASKING.contains(&facts.at(at + 1));
    let deals = verbs.filter(|at| !asks(at));
    deals.filter_map(|at| Some((giver(facts, at), thing_behind(facts, at)?))).collect()
}

/// Who does what stands at this place; empty for anybody: "do I", "how to", "the way to".
fn giver(facts: &QuestionFacts, at: usize) -> &str {
    let mut before = facts.words.iter().take(at).rev().map(|word| &*word.text);
    let giver = before.find(|word| !is_of(HELPING, word)).unwrap_or_default();
    let anybody = ANYBODY.contains(&giver) || WAYS.contains(&giver) || giver == "how";
    if anybody { "" } else { sense(giver) }
}

/// Whether this is the sense of a word of a list.
fn is_form_of(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|it| sense(it) == word)
}

/// The word directly before a place.
fn before(facts: &QuestionFacts, at: usize) -> Option<&str> {
    at.checked_sub(1).and_then(|before| facts.words.get(before)).map(Word::sense)
}

/// The next word of content, with nothing but articles and the like between.
fn thing_behind(facts: &QuestionFacts, at: usize) -> Option<&str> {
    const BETWEEN: &[&str] =
        &["a", "an", "the", "of", "my", "your", "his", "her", "its", "our", "their", "any", "some"];
    let mut behind = facts.words.get(at + 1..)?.iter();
    let thing = behind.find(|word| !BETWEEN.contains(&&*word.text))?;
    thing.is_content().then(|| thing.sense())
}

#[cfg(test)]
mod tests {
    use super::super::Disagreement;
    use super::super::tests::{agreed, refused};
    use super::*;

    #[test]
    fn the_other_way_is_refused() {
        refused(
            Disagreement::Opposites,
            &[
                ("How do I log in to the router?", "How do I log out of the router?"),
                ("How do I let the cat in?", "How do I let the cat out?"),
                ("How do I fly to Lima in May?", "How do I fly from Lima in May?"),
                ("What are trains to the harbour like?", "What are trains from the harbour like?"),
                ("how do i move files onto a stick", "how do i move files off a stick"),
                (
                    "Why did the senate vote for the law?",
                    "Why did the senate vote against the law?",
                ),
                ("Is there evidence for life on Mars?", "Is there evidence against life on Mars?"),
                ("Which songs are by my uncle?", "Which songs are about my uncle?"),
                ("What is in the letter for my uncle?", "What is in the letter from my uncle?"),
                ("Who got a prize last year?", "Who gave a prize last year?"),
                ("Where can I get blood?", "Where can I give blood?"),
                ("Did the king receive gifts?", "Did the king give gifts?"),
                ("How do museums obtain loans?", "How do museums give loans?"),
            ],
        );
    }

    #[test]
    fn what_goes_the_same_way_agrees() {
        agreed(&[
            ("How do you log out of Quora?", "How do I log out in Quora?"),
            ("What gives access to the vault?", "What gives access from the vault?"),
            ("How is a frog different from a toad?", "How is a frog different to a toad?"),
            ("How do I get into MIT?", "What is the way to get into MIT?"),
            ("How do I get out of debt?", "What is the best way to get out of debt?"),
            ("Give me a recipe for bread", "Get a recipe for bread"),
        ]);
    }

    #[test]
    fn who_asks_where_to_get_something_asks_who_gives_it() {
        let turns = |a: &str, b: &str| turns_way(&QuestionFacts::of(a), &QuestionFacts::of(b));
        assert!(turns("How do I get a loan?", "What is the way to give a loan?"));
        for (a, b) in [
            ("Where can I get a loan?", "Which bank offers a loan?"),
            ("Where is a course to learn chess?", "Where is a course that teaches chess?"),
            ("Where do I get advice on chess?", "Can someone give me advice on chess?"),
            ("How do I get a loan?", "How do I give a speech?"),
            ("Which trains go in and out?", "Which trains go out and in?"),
            ("Is there a vaccine for malaria?", "Is there a vaccine against malaria?"),
            ("How do I get and give a loan?", "How do I give a loan?"),
        ] {
            assert!(!turns(a, b) && !turns(b, a), "{a} / {b}");
        }
    }
}
