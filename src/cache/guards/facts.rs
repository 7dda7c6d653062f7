//! What a text says beyond doubt, and whether two texts say the same.

use super::Disagreement;
use super::language::{Language, language};
use super::lists::{is_connective, is_negation, is_stopword, opposites};
use super::words::{Kind, Word, stem, words};

/// What the guards compare. Made once a text.
#[derive(Clone, Debug)]
pub struct Facts {
    language: Language,
    /// Code between backticks, as written.
    code: Vec<String>,
    /// Text between quotation marks, lower case.
    quotes: Vec<String>,
    words: Vec<Word>,
    /// The text in lower case, for quotes that one side did without.
    lower: String,
}

/// What a question asks for when its first word says so.
const QUESTIONS: &[(&str, &[&str])] =
    &[("who", &["who", "whom", "whose"]), ("when", &["when"]), ("where", &["where"])];
/// After "how": a measure is asked for, and another measure is another question.
const MEASURES: &[&str] =
    &["many", "much", "long", "old", "far", "often", "tall", "big", "fast", "deep", "high"];

impl Facts {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let (without_code, code) = take_code(text);
        let quotes = quotes(&without_code);
        let words = words(&without_code);
        let lower = without_code.to_lowercase();
        Facts { language: language(&without_code), code, quotes, words, lower }
    }

    /// Whether the texts agree in all that must.
    ///
    /// # Errors
    ///
    /// The first kind of disagreement found, in the order of [`Disagreement::ALL`].
    pub fn agree(&self, other: &Facts) -> Result<(), Disagreement> {
        let same = |kind: Kind| self.of_kind(kind).eq(other.of_kind(kind));
        let refuse = |wrong: bool, kind: Disagreement| if wrong { Err(kind) } else { Ok(()) };
        refuse(!self.language.agrees(other.language), Disagreement::Language)?;
        refuse(self.code != other.code || !same(Kind::Symbol), Disagreement::Code)?;
        refuse(!self.holds_quotes_of(other) || !other.holds_quotes_of(self), Disagreement::Quotes)?;
        refuse(!same(Kind::Number), Disagreement::Numbers)?;
        refuse(
            !same_set(self.of_kind(Kind::Unit), other.of_kind(Kind::Unit)),
            Disagreement::Units,
        )?;
        refuse(self.negations() != other.negations(), Disagreement::Negation)?;
        refuse(!self.holds_names_of(other) || !other.holds_names_of(self), Disagreement::Names)?;
        refuse(self.asks_other_than(other), Disagreement::Question)?;
        refuse(self.opposes(other), Disagreement::Opposites)?;
        refuse(self.is_reordered(other), Disagreement::Order)?;
        refuse(self.is_substituted(other), Disagreement::Substitution)
    }

    /// The words in lower case, in order, numbers as digits and units as signs.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &*word.text)
    }

    /// The stems of the words that carry content, in order.
    pub fn content(&self) -> impl Iterator<Item = &str> {
        self.words
            .iter()
            .filter(|word| !is_stopword(&word.text) || word.kind != Kind::Plain)
            .map(|word| if word.kind == Kind::Plain { stem(&word.text) } else { &word.text })
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

    fn negations(&self) -> usize {
        self.words.iter().filter(|word| is_negation(&word.text)).count()
    }

    /// Names may be written in lower case on one side, and be possessive or plural.
    fn holds_names_of(&self, other: &Facts) -> bool {
        other.of_kind(Kind::Name).all(|name| {
            let name = stem(name);
            self.words.iter().any(|word| stem(&word.text) == name)
        })
    }

    fn asks_for(&self) -> Option<&str> {
        for (position, word) in self.words.iter().enumerate() {
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

    fn asks_other_than(&self, other: &Facts) -> bool {
        matches!((self.asks_for(), other.asks_for()), (Some(a), Some(b)) if a != b)
    }

    /// A word here whose opposite is there, neither of which both have; or a word there that is
    /// this one with a prefix that denies it.
    fn opposes(&self, other: &Facts) -> bool {
        let only_here =
            |here: &Facts, there: &Facts, word: &str| here.has(word) && !there.has(word);
        let listed = self.words.iter().any(|word| {
            let mut opposites = opposites(&word.text).iter();
            !other.has(&word.text) && opposites.any(|opposite| only_here(other, self, opposite))
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

    /// The same words in another order, names in another order, or two things that have changed
    /// places around a word that relates them.
    fn is_reordered(&self, other: &Facts) -> bool {
        let (here, there): (Vec<&str>, Vec<&str>) =
            (self.words().collect(), other.words().collect());
        if here != there && same_bag(&here, &there) {
            return true;
        }
        let names = |facts: &Facts, of: &Facts| -> Vec<String> {
            let known = |word: &&str| {
                of.of_kind(Kind::Name).chain(facts.of_kind(Kind::Name)).any(|name| name == *word)
            };
            facts.words().filter(known).map(str::to_owned).collect()
        };
        let (here, there) = (names(self, other), names(other, self));
        if here != there && same_bag(&here, &there) {
            return true;
        }
        let (here, there) = (self.relations(), other.relations());
        here.iter().any(|(left, by, right)| {
            left != right
                && there.contains(&(right, by, left))
                && !there.contains(&(left, by, right))
        })
    }

    /// (what stands left, the connective, what stands right), as stems of content words.
    fn relations(&self) -> Vec<(&str, &str, &str)> {
        let content = |word: &Word| word.kind != Kind::Plain || !is_stopword(&word.text);
        let mut relations = Vec::new();
        for (position, word) in self.words.iter().enumerate() {
            if !is_connective(&word.text) {
                continue;
            }
            let left = self.words[..position].iter().rev().find(|word| content(word));
            let right = self.words[position + 1..].iter().find(|word| content(word));
            if let (Some(left), Some(right)) = (left, right) {
                relations.push((stem(&left.text), &*word.text, stem(&right.text)));
            }
        }
        relations
    }

    /// The same sentence but for one word, which carries content on both sides.
    fn is_substituted(&self, other: &Facts) -> bool {
        if self.words.len() != other.words.len() || self.words.len() < 3 {
            return false;
        }
        let mut pairs =
            self.words.iter().zip(&other.words).filter(|(a, b)| stem(&a.text) != stem(&b.text));
        let (Some((a, b)), None) = (pairs.next(), pairs.next()) else { return false };
        !is_stopword(&a.text) && !is_stopword(&b.text)
    }
}

fn same_set<'a>(a: impl Iterator<Item = &'a str>, b: impl Iterator<Item = &'a str>) -> bool {
    let (mut a, mut b): (Vec<&str>, Vec<&str>) = (a.collect(), b.collect());
    for list in [&mut a, &mut b] {
        list.sort_unstable();
        list.dedup();
    }
    a == b
}

fn same_bag<T: Ord + Clone>(a: &[T], b: &[T]) -> bool {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    a.sort_unstable();
    b.sort_unstable();
    a == b
}

/// Takes out what stands between backticks: one, or three in a row.
fn take_code(text: &str) -> (String, Vec<String>) {
    let mut rest = text;
    let (mut plain, mut code) = (String::with_capacity(text.len()), Vec::new());
    while let Some(start) = rest.find('`') {
        let fence = if rest[start..].starts_with("```") { "```" } else { "`" };
        let inner = &rest[start + fence.len()..];
        let Some(end) = inner.find(fence) else { break };
        plain.push_str(&rest[..start]);
        plain.push(' ');
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
        ('„', '“'),
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
                let quote = inner[..at].trim().to_lowercase();
                if !quote.is_empty() {
                    quotes.push(quote.trim_end_matches(['.', ',', '?', '!']).to_owned());
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
