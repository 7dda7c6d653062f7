//! What a text says beyond doubt, and whether two texts say the same.

use std::collections::BTreeSet;

use super::frame::Frame;
use super::held::in_one_line;
use super::language::{Language, language};
use super::lists::{FIRST, is_negation, is_stopword, opposites};
use super::marked::{quotes, take_code};
use super::words::{Kind, Word, sense, words};
use super::{Closeness, Disagreement};

/// What the guards compare. Made once a text.
#[derive(Clone, Debug)]
pub struct Facts {
    language: Language,
    /// What the small words say, of a question.
    pub(super) frame: Option<Frame>,
    /// Text between quotation marks, lower case.
    pub(super) quotes: Vec<String>,
    pub(super) words: Vec<Word>,
    /// The text in lower case, for quotes that one side did without.
    pub(super) lower: String,
    /// The same with its code, in one line, for code that one side did not mark as such.
    pub(super) written: String,
}

/// Content words from which one word more or less says little.
pub(super) const LONG: usize = 8;

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
        // A quotation mark twice is one that a table has written out.
        let text = &text.replace("\"\"", "\"");
        let (without_code, code) = take_code(text);
        let quotes = quotes(&without_code);
        let words = words(&without_code, &code);
        let lower = without_code.to_lowercase();
        let written = in_one_line(&text.to_lowercase());
        let frame = Frame::of(&without_code, &words);
        Facts { language: language(&without_code), frame, quotes, words, lower, written }
    }

    /// Whether the texts agree in all that must. `closeness` says how close two words are.
    ///
    /// # Errors
    ///
    /// The first kind of disagreement found, in the order of [`Disagreement::ALL`].
    pub fn agree(
        &self,
        other: &Facts,
        closeness: impl Fn(&str, &str) -> Closeness,
    ) -> Result<(), Disagreement> {
        let units = |facts: &Facts| -> BTreeSet<String> {
            facts.of_kind(Kind::Unit).map(str::to_owned).collect()
        };
        let refuse = |wrong: bool, kind: Disagreement| if wrong { Err(kind) } else { Ok(()) };
        refuse(!self.language.agrees(other.language), Disagreement::Language)?;
        refuse(!self.holds_code_of(other) || !other.holds_code_of(self), Disagreement::Code)?;
        refuse(!self.holds_quotes_of(other) || !other.holds_quotes_of(self), Disagreement::Quotes)?;
        refuse(!self.counts_as(other), Disagreement::Numbers)?;
        refuse(units(self) != units(other), Disagreement::Units)?;
        refuse(self.denies_against(other) != other.denies_against(self), Disagreement::Negation)?;
        refuse(!self.holds_names_of(other) || !other.holds_names_of(self), Disagreement::Names)?;
        refuse(self.asks_other_than(other), Disagreement::Question)?;
        refuse(self.points_outside(other), Disagreement::Context)?;
        refuse(self.opposes(other), Disagreement::Opposites)?;
        // Of statements, the calibration says what these two are worth.
        let asked = !self.tells_like(other);
        refuse(asked && self.is_reordered(other), Disagreement::Order)?;
        let alike = |a: &str, b: &str| closeness(a, b) == Closeness::Alike;
        let substituted =
            || self.is_substituted(other, alike) || self.speaks_of_other(other, &closeness);
        refuse(asked && substituted(), Disagreement::Substitution)
    }

    /// Of two statements: whether one is the other in another order, and whether it is the other
    /// but for one word. Of questions and requests these are guards.
    pub(in crate::cache) fn retold(
        &self,
        other: &Facts,
        alike: impl Fn(&str, &str) -> bool,
    ) -> [bool; 2] {
        let told = self.tells_like(other);
        [told && self.is_reordered(other), told && self.is_substituted(other, alike)]
    }

    /// Whether both are statements, beyond doubt: they end in a full stop, ask for nothing and are
    /// nobody's own affair. A text that begins with a verb, "define rice", is a request.
    fn tells_like(&self, other: &Facts) -> bool {
        const OWN: &[&str] = &["i", "me", "my", "mine", "we", "us", "our", "ours"];
        const ASKING: &[&str] = &["do", "does", "did", "why"];
        const WISHES: &[&str] = &[
            "please", "tell", "explain", "describe", "give", "show", "want", "need", "know", "get",
            "let",
        ];
        let tells = |facts: &Facts| {
            let first = facts.words.first();
            let subject = first.is_some_and(|word| match word.kind {
                Kind::Plain => !is_content(word) && !WISHES.contains(&&*word.text),
                Kind::Name | Kind::Symbol => true,
                Kind::Number | Kind::Unit => false,
            });
            facts.frame.is_none()
                && subject
                && facts.lower.trim_end().ends_with('.')
                && !facts.words().any(|word| OWN.contains(&word) || ASKING.contains(&word))
        };
        tells(self) && tells(other)
    }

    /// The words in lower case, in order, numbers as digits and units as signs.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &*word.text)
    }

    /// The words that carry content, in order.
    pub(super) fn content_words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| is_content(word))
    }

    /// What they are compared as.
    pub(super) fn content(&self) -> impl Iterator<Item = &str> {
        self.content_words().map(Word::sense)
    }

    /// The words that carry content, as written but in lower case; the whole text when none does.
    pub(in crate::cache) fn content_text(&self) -> String {
        let text = self.content_words().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        if text.is_empty() { self.lower.clone() } else { text }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.words.iter().filter(move |word| word.kind == kind).map(|word| &*word.text)
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
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

    /// Whether this denies something, and not what the other says by an opposite: "not mandatory"
    /// is "optional". "Not only", "do not forget", "or not" and the "no" of an answer, "no, it is",
    /// deny nothing.
    fn denies_against(&self, other: &Facts) -> bool {
        let answers = self.lower.trim_start().starts_with("no,");
        let at = |position: usize| self.words.get(position).map_or("", |word| &*word.text);
        (usize::from(answers)..self.words.len()).any(|position| {
            let asserts = matches!(at(position + 1), "only" | "forget")
                || position.checked_sub(1).is_some_and(|before| at(before) == "or");
            let turned = || self.denied_at(position).is_some_and(|word| other.reverses(word));
            is_negation(at(position)) && !asserts && !turned()
        })
    }

    /// Whether a word is denied here whose opposite is there: "not possible", "impossible".
    pub(super) fn turns(&self, other: &Facts) -> bool {
        self.denied().any(|word| other.reverses(word))
    }

    /// What negations deny.
    fn denied(&self) -> impl Iterator<Item = &str> {
        let words = self.words.iter().enumerate();
        let negations = words.filter(|(_, word)| is_negation(&word.text));
        negations.filter_map(|(position, _)| self.denied_at(position))
    }

    /// What the negation at this place denies: "is not a mandatory …".
    fn denied_at(&self, position: usize) -> Option<&str> {
        const BETWEEN: &[&str] = &["a", "an", "the", "be", "so", "very", "really", "longer"];
        let mut behind = self.words.get(position + 1..)?.iter().map(|word| &*word.text);
        behind.find(|word| !BETWEEN.contains(word))
    }

    /// Whether this has an opposite of a word, and not the word.
    fn reverses(&self, word: &str) -> bool {
        !self.has(word)
            && self.words.iter().any(|own| {
                opposites(word).contains(&&*own.text)
                    || denies(&own.text, word)
                    || denies(word, &own.text)
            })
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
    /// this one with a prefix that denies it. One of them denied says the same again.
    fn opposes(&self, other: &Facts) -> bool {
        let opposed = |here: &Facts, there: &Facts| {
            here.words.iter().filter(|word| !there.has(&word.text)).any(|word| {
                let opposite = |own: &&Word| {
                    opposites(&word.text).contains(&&*own.text) || denies(&own.text, &word.text)
                };
                let mut all = there.words.iter().filter(opposite);
                all.any(|own| {
                    !here.has(&own.text)
                        && here.denied().any(|it| it == word.text)
                            == there.denied().any(|it| it == own.text)
                })
            })
        };
        opposed(self, other) || opposed(other, self)
    }

    /// Whether both texts are long.
    pub(super) fn is_long_as(&self, other: &Facts) -> bool {
        self.content().count().min(other.content().count()) >= LONG
    }

    /// The same content in the same order but for one word, which another stands for or which only
    /// one side has: "green tea". In long texts one word more says little.
    fn is_substituted(&self, other: &Facts, alike: impl Fn(&str, &str) -> bool) -> bool {
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.content().collect(), other.content().collect());
        let (short, long) = if here.len() < there.len() { (here, there) } else { (there, here) };
        if self.turns(other) || other.turns(self) {
            return false;
        }
        let agree = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
        let behind = long.get(agree + 1..);
        match long.len() - short.len() {
            0 => {
                let means_the_same = || {
                    let at = |facts: &Facts| -> Option<String> {
                        let word = facts
                            .content_words()
                            .nth(agree)
                            .filter(|word| word.kind == Kind::Plain)?;
                        Some(word.text.clone())
                    };
                    at(self).zip(at(other)).is_some_and(|(a, b)| alike(&a, &b))
                };
                agree < short.len()
                    && behind == short.get(agree + 1..)
                    && self.has_frame(other)
                    && !means_the_same()
            }
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
    pub(super) fn sense(&self) -> &str {
        match self.kind {
            // A name may be in lower case on the other side.
            Kind::Plain | Kind::Name => sense(&self.text),
            Kind::Number | Kind::Unit | Kind::Symbol => &self.text,
        }
    }
}

pub(super) fn is_content(word: &Word) -> bool {
    word.kind != Kind::Plain || !is_stopword(&word.text)
}

pub(super) fn same_bag(mut a: Vec<&str>, mut b: Vec<&str>) -> bool {
    a.sort_unstable();
    b.sort_unstable();
    a == b
}

/// Whether the longer word is the shorter one with a prefix that denies it.
fn denies(longer: &str, word: &str) -> bool {
    const PREFIXES: &[&str] = &["un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti"];
    let prefix = longer.strip_suffix(word).filter(|_| word.len() >= 4);
    prefix.is_some_and(|prefix| PREFIXES.contains(&prefix))
}
