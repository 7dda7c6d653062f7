//! What a text says beyond doubt, and whether two texts say the same.

use std::collections::BTreeSet;

use super::Disagreement;
use super::frame::Frame;
use super::language::{Language, language};
use super::lists::{FIRST, is_connective, is_negation, is_stopword, opposites};
use super::words::{Kind, MARK, Word, sense, words};

/// What the guards compare. Made once a text.
#[derive(Clone, Debug)]
pub struct Facts {
    language: Language,
    /// What the small words say, of a question.
    frame: Option<Frame>,
    /// Text between quotation marks, lower case.
    quotes: Vec<String>,
    words: Vec<Word>,
    /// The text in lower case, for quotes that one side did without.
    lower: String,
    /// The same with its code, for code that one side did not mark as such.
    written: String,
}

/// Content words from which one word more or less says little.
const LONG: usize = 8;

/// Words that say what a question asks for.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("who", &["who", "whom", "whose"]),
    ("when", &["when"]),
    ("where", &["where"]),
    ("why", &["why", "reason", "reasons"]),
];
/// After "how": a measure is asked for, and another measure is another question.
pub(super) const MEASURES: &[&str] =
    &["many", "much", "long", "old", "far", "often", "tall", "big", "fast", "deep", "high"];

impl Facts {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let (without_code, code) = take_code(text);
        let quotes = quotes(&without_code);
        let words = words(&without_code, &code);
        let lower = without_code.to_lowercase();
        let written = text.to_lowercase();
        let frame = Frame::of(&without_code, &words);
        Facts { language: language(&without_code), frame, quotes, words, lower, written }
    }

    /// Whether the texts agree in all that must.
    ///
    /// # Errors
    ///
    /// The first kind of disagreement found, in the order of [`Disagreement::ALL`].
    pub fn agree(&self, other: &Facts) -> Result<(), Disagreement> {
        let units = |facts: &Facts| -> BTreeSet<String> {
            facts.of_kind(Kind::Unit).map(str::to_owned).collect()
        };
        let refuse = |wrong: bool, kind: Disagreement| if wrong { Err(kind) } else { Ok(()) };
        refuse(!self.language.agrees(other.language), Disagreement::Language)?;
        refuse(!self.holds_code_of(other) || !other.holds_code_of(self), Disagreement::Code)?;
        refuse(!self.holds_quotes_of(other) || !other.holds_quotes_of(self), Disagreement::Quotes)?;
        refuse(!self.counts_as(other), Disagreement::Numbers)?;
        refuse(units(self) != units(other), Disagreement::Units)?;
        refuse(self.denies() != other.denies(), Disagreement::Negation)?;
        refuse(!self.holds_names_of(other) || !other.holds_names_of(self), Disagreement::Names)?;
        refuse(self.asks_other_than(other), Disagreement::Question)?;
        refuse(self.points_outside(other), Disagreement::Context)?;
        refuse(self.opposes(other), Disagreement::Opposites)?;
        refuse(self.is_reordered(other), Disagreement::Order)?;
        refuse(self.is_substituted(other), Disagreement::Substitution)
    }

    /// The words in lower case, in order, numbers as digits and units as signs.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &*word.text)
    }

    /// What the words that carry content are compared as, in order.
    fn content(&self) -> impl Iterator<Item = &str> {
        self.words.iter().filter(|word| is_content(word)).map(Word::sense)
    }

    /// The words that carry content, as written but in lower case; the whole text when none does.
    pub(in crate::cache) fn content_text(&self) -> String {
        let words = self.words.iter().filter(|word| is_content(word));
        let text = words.map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        if text.is_empty() { self.lower.clone() } else { text }
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.words.iter().filter(move |word| word.kind == kind).map(|word| &*word.text)
    }

    fn has(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    fn holds_quotes_of(&self, other: &Facts) -> bool {
        other.quotes.iter().all(|quote| self.lower.contains(&**quote))
    }

    /// Code and symbols may stand there without marks, more or less often, and a path in its parts:
    /// "the class `Sink` of `io`" is "`io.Sink`".
    fn holds_code_of(&self, other: &Facts) -> bool {
        let in_parts = |symbol: &str| {
            let stands =
                |part: &str| self.words.iter().any(|it| it.text.eq_ignore_ascii_case(part));
            symbol.contains('.') && symbol.split('.').all(|part| !part.is_empty() && stands(part))
        };
        let mut symbols = other.of_kind(Kind::Symbol).map(str::to_lowercase);
        symbols.all(|symbol| holds_whole(&self.written, &symbol) || in_parts(&symbol))
    }

    /// The same numbers. In long texts "first" is more often a word than a number.
    fn counts_as(&self, other: &Facts) -> bool {
        let long = self.is_long_as(other);
        let numbers = |facts: &Facts| -> Vec<String> {
            let numbers = facts.of_kind(Kind::Number).filter(|number| !(long && *number == FIRST));
            numbers.map(str::to_owned).collect()
        };
        let (mut here, mut there) = (numbers(self), numbers(other));
        here.sort_unstable();
        there.sort_unstable();
        here == there
    }

    /// "Not only", "do not forget", "or not" and the "no" of an answer, "no, it is", deny nothing.
    fn denies(&self) -> bool {
        let answers = self.lower.trim_start().starts_with("no,");
        let at = |position: usize| self.words.get(position).map_or("", |word| &*word.text);
        (usize::from(answers)..self.words.len()).any(|position| {
            let asserts = matches!(at(position + 1), "only" | "forget")
                || position.checked_sub(1).is_some_and(|before| at(before) == "or");
            is_negation(at(position)) && !asserts
        })
    }

    /// Names may be written in lower case on one side, be plural, be part of a path, or stand in
    /// their initials.
    fn holds_names_of(&self, other: &Facts) -> bool {
        let holds = |name: &str| {
            let wanted = sense(name);
            self.words.iter().any(|word| {
                sense(&word.text) == wanted
                    || word.kind == Kind::Symbol && word.text.split('.').any(|part| part == name)
            })
        };
        let spelt_out = |name: &str| {
            let mut initials = self.of_kind(Kind::Name).filter_map(|short| other.spells_out(short));
            initials.any(|words| words.iter().any(|word| word.text == name))
        };
        let mut names = other.of_kind(Kind::Name);
        names.all(|name| holds(name) || self.spells_out(name).is_some() || spelt_out(name))
    }

    /// The words that initials stand for: "natural language processing" of "nlp".
    fn spells_out(&self, initials: &str) -> Option<&[Word]> {
        let of = |words: &[Word]| {
            words.iter().filter_map(|word| word.text.chars().next()).eq(initials.chars())
        };
        // Two may be anybody's.
        let length = initials.chars().count().max(3);
        self.words.windows(length).find(|words| of(words))
    }

    /// What the text asks for, where words say so. In a statement, "who" and "when" ask for
    /// nothing, unless it begins with them: "tell me when …".
    fn asks_for(&self) -> Option<&str> {
        const OPENING: usize = 4;
        let asking = if self.lower.contains('?') { self.words.len() } else { OPENING };
        for (position, word) in self.words.iter().enumerate().take(asking) {
            if let Some((kind, _)) = QUESTIONS.iter().find(|(_, all)| all.contains(&&*word.text)) {
                return Some(kind);
            }
            let next = self.words.get(position + 1).map(|word| &*word.text);
            if let ("how", Some(next)) = (&*word.text, next)
                && MEASURES.contains(&next)
            {
                return Some(next);
            }
        }
        None
    }

    /// Whether one is about what is not in the text: "what does this mean". A long text tells.
    fn points_outside(&self, other: &Facts) -> bool {
        const TOLD: usize = 6;
        let points = |facts: &Facts| {
            facts.frame.as_ref().is_some_and(|it| it.points_outside)
                && facts.content().count() < TOLD
        };
        points(self) || points(other)
    }

    /// Reasons are asked for in few words; other things in many: "who wrote …" is "the author of
    /// …".
    fn asks_other_than(&self, other: &Facts) -> bool {
        if let (Some(here), Some(there)) = (&self.frame, &other.frame)
            && !here.asks_like(there)
        {
            return true;
        }
        match (self.asks_for(), other.asks_for()) {
            (Some(a), Some(b)) => a != b,
            (Some(kind), None) | (None, Some(kind)) => kind == "why",
            (None, None) => false,
        }
    }

    /// A word here whose opposite is there, neither of which both have; or a word there that is
    /// this one with a prefix that denies it.
    fn opposes(&self, other: &Facts) -> bool {
        let only = |here: &Facts, there: &Facts, word: &str| here.has(word) && !there.has(word);
        let listed = self.words.iter().any(|word| {
            let mut opposites = opposites(&word.text).iter();
            !other.has(&word.text) && opposites.any(|opposite| only(other, self, opposite))
        });
        listed || self.is_denied_by(other) || other.is_denied_by(self)
    }

    fn is_denied_by(&self, other: &Facts) -> bool {
        const PREFIXES: &[&str] =
            &["un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti"];
        self.words.iter().filter(|word| word.text.len() >= 4).any(|word| {
            let denied = |longer: &Word| {
                let prefix = longer.text.strip_suffix(&*word.text);
                prefix.is_some_and(|prefix| PREFIXES.contains(&prefix))
            };
            !other.has(&word.text)
                && other.words.iter().any(|longer| denied(longer) && !self.has(&longer.text))
        })
    }

    /// The same content in another order; or, in sentences that are alike in the rest, names,
    /// numbers or code in another order; or two things that have changed places around a word
    /// that relates them.
    fn is_reordered(&self, other: &Facts) -> bool {
        let swapped = |here: Vec<&str>, there: Vec<&str>| here != there && same_bag(here, there);
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.content().collect(), other.content().collect());
        let clauses_moved =
            swapped(here.clone(), there.clone()) && self.moves_clauses(other, &here, &there);
        // Two words say the same in either order, mostly: "what X means", "the meaning of X".
        // A short question has no clauses to move; a statement may be in the passive.
        let ask = self.frame.is_some() && other.frame.is_some() && !self.is_long_as(other);
        if ask && is_exchanged(&here, &there, |_| true) {
            return true;
        }
        let told = here.len() > 2 && swapped(here, there);
        if !clauses_moved && (told || swapped(self.affirmed(), other.affirmed())) {
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

    /// All words but those that deny, which may stand before or behind the subject.
    fn affirmed(&self) -> Vec<&str> {
        self.words().filter(|word| !is_negation(word)).collect()
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
            let beside = |word: &&Word| is_content(word) && !anchors.contains(&&*word.text);
            facts.words.iter().filter(beside).map(|word| word.sense().to_owned()).collect()
        };
        let (here, there) = (rest(self), rest(other));
        2 * here.intersection(&there).count() >= here.union(&there).count()
    }

    /// Whether anchors stand in another order because clauses do, in long texts: the rest is not as
    /// it was, and no two changed places around a word that both texts have between them. "To list
    /// the files …, call `ls` with …" is "call `ls` with … to list the files …".
    fn moves_by_clause(&self, other: &Facts, anchors: &[&str]) -> bool {
        let beside = |facts: &Facts| -> Vec<String> {
            let words = facts.words.iter().filter(|word| is_content(word));
            let words = words.filter(|word| !anchors.contains(&&*word.text));
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

    /// Whether both texts are long.
    fn is_long_as(&self, other: &Facts) -> bool {
        self.content().count().min(other.content().count()) >= LONG
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

    /// The same content in the same order but for one word, which another stands for or which only
    /// one side has: "green tea". In long texts one word more says little.
    fn is_substituted(&self, other: &Facts) -> bool {
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.content().collect(), other.content().collect());
        let (short, long) = if here.len() < there.len() { (here, there) } else { (there, here) };
        let agree = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
        let behind = long.get(agree + 1..);
        match long.len() - short.len() {
            0 => agree < short.len() && behind == short.get(agree + 1..) && self.has_frame(other),
            1 => !short.is_empty() && long.len() < LONG && behind == short.get(agree..),
            _ => false,
        }
    }

    /// Whether there is more to both than the one word: "define rice", "define pasta".
    fn has_frame(&self, other: &Facts) -> bool {
        self.words.len() > 1 && other.words.len() > 1
    }

    /// How many words carry content, and whether they are the same on both sides.
    pub(in crate::cache) fn content_against(&self, other: &Facts) -> (usize, bool) {
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.content().collect(), other.content().collect());
        (here.len().min(there.len()), same_bag(here, there))
    }
}

impl Word {
    fn sense(&self) -> &str {
        match self.kind {
            // A name may be in lower case on the other side.
            Kind::Plain | Kind::Name => sense(&self.text),
            Kind::Number | Kind::Unit | Kind::Symbol => &self.text,
        }
    }
}

fn is_content(word: &Word) -> bool {
    word.kind != Kind::Plain || !is_stopword(&word.text)
}

fn same_bag(mut a: Vec<&str>, mut b: Vec<&str>) -> bool {
    a.sort_unstable();
    b.sort_unstable();
    a == b
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

/// Whether a text has this piece, with no letter or digit of its own before or behind it.
fn holds_whole(text: &str, piece: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(piece).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + piece.len()..]);
        let goes_on_before = joins(before.chars().next_back()) && joins(piece.chars().next());
        let goes_on_behind = joins(behind.chars().next()) && joins(piece.chars().next_back());
        !goes_on_before && !goes_on_behind
    })
}

/// Takes out what stands between backticks, one or three in a row, and leaves a [`MARK`].
fn take_code(text: &str) -> (String, Vec<String>) {
    let mut rest = text;
    let (mut plain, mut code) = (String::with_capacity(text.len()), Vec::new());
    while let Some(start) = rest.find('`') {
        let fence = if rest[start..].starts_with("```") { "```" } else { "`" };
        let inner = &rest[start + fence.len()..];
        let Some(end) = inner.find(fence) else { break };
        plain.push_str(&rest[..start]);
        plain.push(MARK);
        code.push(inner[..end].trim().to_owned());
        rest = &inner[end + fence.len()..];
    }
    plain.push_str(rest);
    (plain, code)
}

/// What stands between quotation marks, in lower case.
fn quotes(text: &str) -> Vec<String> {
    const MARKS: &[(char, char)] = &[
        ('"', '"'),
        ('\u{201c}', '\u{201d}'),
        ('«', '»'),
        ('„', '\u{201c}'),
        ('\'', '\''),
        ('\u{2018}', '\u{2019}'),
    ];
    let mut quotes = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let inner = &rest[c.len_utf8()..];
        let close = MARKS.iter().find(|(open, _)| *open == c).map(|(_, close)| *close);
        // An apostrophe inside a word opens nothing.
        let opens = close.filter(|_| !before.is_alphanumeric());
        let end = opens.and_then(|close| {
            inner.char_indices().find(|(at, found)| {
                let behind = inner[at + found.len_utf8()..].chars().next();
                *found == close && behind.is_none_or(|c| !c.is_alphanumeric())
            })
        });
        match end {
            Some((at, close)) => {
                let quote = inner[..at].trim().trim_end_matches(['.', ',', '?', '!']);
                if !quote.is_empty() {
                    quotes.push(quote.to_lowercase());
                }
                rest = &inner[at + close.len_utf8()..];
                before = close;
            }
            None => {
                before = c;
                rest = inner;
            }
        }
    }
    quotes
}
