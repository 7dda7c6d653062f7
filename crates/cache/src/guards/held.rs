//! Whether what one text names, quotes and shows as code stands in the other too.

use super::facts::Facts;
use super::words::{Kind, Word, sense};

impl Facts {
    pub(super) fn holds_quotes_of(&self, other: &Facts) -> bool {
        other.quotes.iter().all(|quote| self.lower.contains(&**quote))
    }

    /// Code and symbols may stand there without marks, more or less often, a path in its parts, and
    /// a long identifier in its words: "the class `Sink` of `io`" is "`io.Sink`", "the cache dir" is
    /// "`cache_dir`".
    pub(super) fn holds_code_of(&self, other: &Facts) -> bool {
        let in_parts = |symbol: &str| {
            let stands =
                |part: &str| self.words.iter().any(|it| it.text.eq_ignore_ascii_case(part));
            symbol.contains('.') && symbol.split('.').all(|part| !part.is_empty() && stands(part))
        };
        let in_words = |symbol: &str| {
            let parts: Vec<&str> = symbol.split('_').collect();
            parts.len() > 1
                && self
                    .words
                    .windows(parts.len())
                    .any(|words| words.iter().zip(&parts).all(|(word, part)| word.text == *part))
        };
        let mut symbols =
            other.of_kind(Kind::Symbol).map(|symbol| in_one_line(&symbol.to_lowercase()));
        symbols.all(|symbol| {
            holds_whole(&self.written, &symbol) || in_parts(&symbol) || in_words(&symbol)
        })
    }

    /// Names may be written in lower case on one side, be plural, be part of a path, or stand in
    /// their initials.
    pub(super) fn holds_names_of(&self, other: &Facts) -> bool {
        let holds = |name: &str| {
            let wanted = sense(name);
            self.words.iter().any(|word| {
                sense(&word.text) == wanted
                    || word.kind == Kind::Symbol && word.text.split('.').any(|part| part == name)
                    || is_end_of(name, &word.text) && other.is_joined(&word.text)
            }) || self.is_joined(name)
        };
        let mut names = other.of_kind(Kind::Name);
        names.all(|name| holds(name) || self.holds_initials_of(other, name))
    }

    /// Whether a word of the other is initials of words here, or one of the words of which initials
    /// are here.
    pub(super) fn holds_initials_of(&self, other: &Facts, word: &str) -> bool {
        let spelt_out = || {
            let mut initials = self.of_kind(Kind::Name).filter_map(|short| other.spells_out(short));
            initials.any(|words| words.iter().any(|it| it.text == word))
        };
        self.spells_out(word).is_some() || spelt_out()
    }

    /// The words that initials stand for: "natural language processing" of "nlp".
    fn spells_out(&self, initials: &str) -> Option<&[Word]> {
        let of = |words: &[Word]| {
            words.iter().filter_map(|word| word.text.chars().next()).eq(initials.chars())
        };
        let length = initials.chars().count().max(2);
        // Two may be anybody's, unless both are written as names are: "ML" is "Machine Learning".
        let told = |words: &[Word]| length > 2 || words.iter().all(|it| it.kind == Kind::Name);
        self.words.windows(length).find(|words| of(words) && told(words))
    }

    /// Whether the words of this text make up a longer one: "web" and "page" do "webpage".
    pub(super) fn is_joined(&self, whole: &str) -> bool {
        const LEAST: usize = 3;
        self.words.iter().filter(|word| word.text.len() >= LEAST).any(|word| {
            let rest = whole.strip_prefix(&*word.text).filter(|rest| rest.len() >= LEAST);
            rest.is_some_and(|rest| self.has(rest) || self.is_joined(rest))
        })
    }
}

pub(super) fn is_end_of(part: &str, whole: &str) -> bool {
    part.len() < whole.len() && (whole.starts_with(part) || whole.ends_with(part))
}

pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
