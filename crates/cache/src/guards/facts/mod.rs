//! What a text says beyond doubt.

mod frame;
mod language_detection;
mod lists;
mod marked;
mod quantity;
mod stem;
mod tidy;
mod word;
mod words;

pub(super) use frame::{ANYBODY, Frame, MEASURES, WAYS};
use language_detection::Language;
pub use lists::is_stopword;
pub(super) use lists::{FIRST, HELPING, is_connective, is_negation, is_of, opposites};
use marked::{quotes, take_code};
pub(super) use word::{Kind, Word, sense};
use words::words;

/// Longest text that is compared, in bytes. Means of long texts say too little of each sentence.
pub const MAX_TEXT_BYTES: usize = 1000;

/// What the guards compare. Made once per text.
#[derive(Clone, Debug)]
pub struct QuestionFacts {
    pub(super) language: Language,
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

impl QuestionFacts {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        // Tables write a quotation mark twice.
        let text = &text.replace("\"\"", "\"");
        let (without_code, code) = take_code(text);
        let words = words(&without_code, &code);
        QuestionFacts {
            language: Language::of(&without_code),
            frame: Frame::of(&without_code, &words),
            quotes: quotes(&without_code),
            words,
            lower: without_code.to_lowercase(),
            written: in_one_line(&text.to_lowercase()),
        }
    }

    /// The words in lower case, in order, numbers as digits and units as signs.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &*word.text)
    }

    /// The words that carry content, as written but in lower case; the whole text when none does.
    pub fn content_text(&self) -> String {
        let text = self.content_words().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        if text.is_empty() { self.lower.clone() } else { text }
    }

    /// The words that carry content, in order.
    pub(super) fn content_words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| word.is_content())
    }

    /// What they are compared as.
    pub(super) fn content(&self) -> impl Iterator<Item = &str> {
        self.content_words().map(Word::sense)
    }

    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.words.iter().filter(move |word| word.kind == kind).map(|word| &*word.text)
    }

    /// The word at a place; empty behind the last.
    pub(super) fn at(&self, place: usize) -> &str {
        self.words.get(place).map_or("", |word| &*word.text)
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.words().any(|word| word == text)
    }
}

pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
