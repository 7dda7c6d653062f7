//! Whether two texts say the same things in another order, and whether that matters: clauses may
//! move, but what a relation joins may not change places.

use std::collections::BTreeSet;

use super::facts::{Facts, is_content, same_bag};
use super::lists::{is_connective, is_negation};
use super::words::{Kind, Word};

impl Facts {
    /// The same content in another order; or, in sentences that are alike in the rest, names,
    /// numbers or code in another order; or two things that have changed places around a word
    /// that relates them.
    pub(super) fn is_reordered(&self, other: &Facts) -> bool {
        let swapped = |here: Vec<&str>, there: Vec<&str>| here != there && same_bag(here, there);
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.content().collect(), other.content().collect());
        let clauses_moved =
            swapped(here.clone(), there.clone()) && self.moves_clauses(other, &here, &there);
        // Two words say the same in either order, mostly: "what X means", "the meaning of X".
        // A short question has no clauses to move; a statement may be in the passive.
        let ask = self.frame.is_some() && other.frame.is_some() && !self.is_long_as(other);
        if ask && (self.is_turned(other) || other.is_turned(self)) {
            return true;
        }
        let rephrased = |a: &Facts, b: &Facts| a.compounds(b) || a.moves_verb(b);
        if swapped(here.clone(), there.clone())
            && (rephrased(self, other) || rephrased(other, self))
        {
            return false;
        }
        if ask && is_exchanged(&here, &there, |_| true) {
            return true;
        }
        let told = here.len() > 2 && swapped(here, there);
        let small = swapped(self.affirmed(false), other.affirmed(false))
            && swapped(self.affirmed(true), other.affirmed(true));
        if !clauses_moved && (told || small) {
            return true;
        }
        // A number does not change places with a name: "no, X is not in 2.0", "2.0 has no X".
        let anchors_moved = [Kind::Number, Kind::Name, Kind::Symbol].into_iter().any(|kind| {
            let anchors = self.anchors(other, kind);
            let excused = clauses_moved && kind != Kind::Number && !self.is_long_as(other);
            !excused
                && swapped(anchors.clone(), other.anchors(self, kind))
                && self.is_alike_beside(other, &anchors)
                && (kind == Kind::Number || !self.moves_by_clause(other, &anchors))
        });
        if anchors_moved {
            return true;
        }
        let (here, there) = (self.relations(), other.relations());
        here.iter().any(|(left, by, right)| {
            left != right
                && there.contains(&(right, by, left))
                && !there.contains(&(left, by, right))
        })
    }

    /// All words but those that deny, which may stand before or behind the subject; and, of a
    /// question, but those that do not say who does what: "why are they …", "why they are …".
    fn affirmed(&self, only_telling: bool) -> Vec<&str> {
        const IDLE: &[&str] = &[
            "a", "an", "the", "is", "are", "was", "were", "be", "do", "does", "did", "can",
            "could", "will", "would", "should", "has", "have", "had",
        ];
        let idle = |word: &str| only_telling && IDLE.contains(&word);
        self.words().filter(|word| !is_negation(word) && !idle(word)).collect()
    }

    /// Whether this has one behind the other what the other text joins the other way around:
    /// "Facebook profile name" is "profile name in Facebook".
    fn compounds(&self, other: &Facts) -> bool {
        const JOINING: &[&str] = &["of", "in", "for", "at", "on"];
        const BESIDE: &[&str] = &["a", "an", "the", "my", "your", "their", "its"];
        let content = |facts: &Facts| -> Vec<(usize, String)> {
            let words = facts.words.iter().enumerate().filter(|(_, word)| is_content(word));
            words.map(|(at, word)| (at, word.sense().to_owned())).collect()
        };
        let (here, there) = (content(self), content(other));
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
                    let known = |word: &Word| joining(&word) || BESIDE.contains(&&*word.text);
                    between.iter().filter(joining).count() == 1 && between.iter().all(known)
                };
                senses(first) == senses(owner)
                    && senses(second) == senses(head)
                    && between.is_some_and(joins)
            })
    }

    /// Whether the word at this place is a verb in the passive: "is it determined", "caused by".
    fn is_passive(&self, at: usize) -> bool {
        const BE: &[&str] = &["is", "are", "was", "were", "be", "been", "being"];
        let text = |at: usize| self.words.get(at).map(|word| &*word.text);
        let word = self.words.get(at).filter(|word| word.kind == Kind::Plain);
        let participle = word.is_some_and(|word| word.text.ends_with("ed") && is_content(word));
        // "attacked Corinth" is no passive.
        let has_object = self.words.get(at + 1).is_some_and(is_content);
        let be = (0..at).any(|at| text(at).is_some_and(|word| BE.contains(&word)));
        participle && !has_object && (be || text(at + 1) == Some("by"))
    }

    /// Whether the content is in the order of the other but for a verb, which is in the passive on
    /// one side: "how is the volume determined", "how do I determine the volume".
    fn moves_verb(&self, other: &Facts) -> bool {
        let without = |facts: &Facts, sense: &str| -> Vec<String> {
            facts.content().filter(|own| *own != sense).map(str::to_owned).collect()
        };
        (0..self.words.len()).filter(|at| self.is_passive(*at)).any(|at| {
            let Some(sense) = self.words.get(at).map(Word::sense) else { return false };
            let by = self.words.get(at + 1).is_some_and(|word| word.text == "by");
            let mut places = other.words.iter().filter(|word| word.sense() == sense);
            // In another form: "fred" is no verb.
            let active = places.next().is_some_and(|word| !self.has(&word.text));
            !by && active
                && places.next().is_none()
                && without(self, sense) == without(other, sense)
        })
    }

    /// Whether a verb is in the passive here, in the active there, and stands between the same two
    /// all the same: "is X caused by Y", "does X cause Y".
    fn is_turned(&self, other: &Facts) -> bool {
        let between = |facts: &Facts, at: usize| -> Option<(String, String)> {
            let (before, behind) = (facts.words.get(..at)?, facts.words.get(at + 1..)?);
            let left = before.iter().rev().find(|word| is_content(word))?;
            let right = behind.iter().find(|word| is_content(word))?;
            Some((left.sense().to_owned(), right.sense().to_owned()))
        };
        (0..self.words.len()).any(|at| {
            let by = self.words.get(at + 1).is_some_and(|word| word.text == "by");
            by && self.is_passive(at)
                && (0..other.words.len()).any(|there| {
                    other.sense_at(there) == self.sense_at(at)
                        && !other.is_passive(there)
                        && between(self, at).is_some_and(|it| between(other, there) == Some(it))
                })
        })
    }

    fn sense_at(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(Word::sense)
    }

    /// Names, numbers or code that both have, in the order that they have here. A name may be in
    /// lower case on one side, and code without its marks.
    fn anchors(&self, other: &Facts, kind: Kind) -> Vec<&str> {
        let anchor = |word: &Word| match word.kind {
            _ if word.text.starts_with(|c: char| c.is_ascii_digit()) => Kind::Number,
            kind => kind,
        };
        let shared = |word: &&Word| {
            let there = other.words.iter().find(|there| there.text == word.text);
            there.is_some_and(|there| {
                let kinds = [anchor(word), anchor(there)];
                // What is code on one side is no name.
                kinds.contains(&kind) && (kind != Kind::Name || !kinds.contains(&Kind::Symbol))
            })
        };
        self.words.iter().filter(shared).map(|word| &*word.text).collect()
    }

    /// Whether at least half of the content beside these words is the same.
    fn is_alike_beside(&self, other: &Facts, anchors: &[&str]) -> bool {
        let rest = |facts: &Facts| -> BTreeSet<String> {
            let beside = |word: &&Word| !anchors.contains(&&*word.text);
            facts.content_words().filter(beside).map(|word| word.sense().to_owned()).collect()
        };
        let (here, there) = (rest(self), rest(other));
        2 * here.intersection(&there).count() >= here.union(&there).count()
    }

    /// Whether anchors stand in another order because clauses do, in long texts: the rest is not as
    /// it was, and no two changed places around a word that both texts have between them. "To list
    /// the files …, call `ls` with …" is "call `ls` with … to list the files …".
    fn moves_by_clause(&self, other: &Facts, anchors: &[&str]) -> bool {
        let beside = |facts: &Facts| -> Vec<String> {
            let words = facts.content_words().filter(|word| !anchors.contains(&&*word.text));
            words.map(|word| word.sense().to_owned()).collect()
        };
        self.is_long_as(other)
            && beside(self) != beside(other)
            && !is_exchanged(&self.relating(), &other.relating(), |word| anchors.contains(&word))
    }

    /// Words that may stand between two things and relate them, and the things.
    fn relating(&self) -> Vec<&str> {
        let relates = |word: &&Word| is_content(word) || is_connective(&word.text);
        self.words.iter().filter(relates).map(|word| &*word.text).collect()
    }

    /// Whether the same content stands in another order because clauses do, and not because two
    /// things changed places. One clause went to the other end: "the default of A is B", "B is the
    /// default of A". In long texts it is any order that no exchange made.
    fn moves_clauses(&self, other: &Facts, here: &[&str], there: &[&str]) -> bool {
        const CLAUSES: usize = 4;
        let rotated = here.len() >= CLAUSES
            && (1..here.len()).any(|at| {
                here[at..] == there[..here.len() - at] && here[..at] == there[here.len() - at..]
            });
        rotated || self.is_long_as(other) && !is_exchanged(here, there, |_| true)
    }

    /// (what stands left, the connective, what stands right).
    fn relations(&self) -> Vec<(&str, &str, &str)> {
        let mut relations = Vec::new();
        for (position, word) in self.words.iter().enumerate() {
            if !is_connective(&word.text) {
                continue;
            }
            let left = self.words[..position].iter().rev().find(|word| is_content(word));
            let right = self.words[position + 1..].iter().find(|word| is_content(word));
            if let (Some(left), Some(right)) = (left, right) {
                relations.push((left.sense(), &*word.text, right.sense()));
            }
        }
        relations
    }
}

/// Whether two of these words changed places around one that stayed between them: "A owes B", "B
/// owes A". Words that one side has twice do not tell.
fn is_exchanged(here: &[&str], there: &[&str], of: impl Fn(&str) -> bool) -> bool {
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
