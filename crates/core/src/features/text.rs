//! One pass over the text in focus: engineered counts, meaning and n-grams together.

use super::counts::{Counts, ONE};
use super::focus::Excerpt;
use super::lexicon::{self, FIRST_WORDS, WORD_SEED, WORDS, word_hash, word_step};
use super::meaning::{MEANING, Meaning};
use super::ngrams::{Buckets, CharGrams, WordGrams, log1p};
use super::schema::{SCHEMA, Slot};
use super::{CHAR_BUCKETS, DENSE, ENGINEERED, Features, Occupied, WORD_BUCKETS};

/// Scans the excerpts in order and fills the engineered text features, the meaning and both n-gram
/// blocks.
pub(super) fn scan<'p>(excerpts: impl Iterator<Item = Excerpt<'p>>, features: &mut Features) {
    let Features { values, occupied } = features;
    let Some((engineered, blocks)) = values.split_at_mut_checked(ENGINEERED) else { return };
    let Some((meaning, blocks)) = blocks.split_at_mut_checked(MEANING) else { return };
    let Some((words, characters)) = blocks.split_first_chunk_mut() else { return };
    let Some(characters) = characters.first_chunk_mut() else { return };
    let mut scanner = Scanner::new(Buckets::new(words), Buckets::new(characters));
    for excerpt in excerpts {
        scanner.weigh(excerpt.weight);
        scanner.opening = excerpt.opens;
        scanner.counts.bump(Slot::TextBytes, excerpt.bytes);
        for piece in excerpt.pieces() {
            scanner.read_piece(piece);
        }
    }
    scanner.finish(engineered, meaning, occupied);
}

/// What a word is made of.
#[derive(Default)]
struct Word {
    hash: u32,
    length: usize,
    letters: usize,
    digits: usize,
    underscores: usize,
    uppercase: usize,
    starts_upper: bool,
    inner_upper: bool,
}

struct Scanner<'f> {
    counts: Counts,
    words: Buckets<'f, WORD_BUCKETS>,
    characters: Buckets<'f, CHAR_BUCKETS>,
    meaning: Meaning,
    word_grams: WordGrams,
    char_grams: CharGrams,
    /// Hash of the word before.
    previous_word: u32,
    previous_byte: u8,
    /// In eighths, as all counts.
    bytes: usize,
    letters: usize,
    word_letters: usize,
    distinct: usize,
    /// The next word is the first of what the model is asked.
    opening: bool,
    /// Set bits stand for words seen: a count of distinct ones that needs no set.
    seen: [u64; 64],
    sentence_start: bool,
    last_visible: u8,
}

const HOW: u32 = word_hash("how");
const QUANTITIES: [u32; 4] =
    [word_hash("many"), word_hash("much"), word_hash("far"), word_hash("long")];

impl<'f> Scanner<'f> {
    fn new(words: Buckets<'f, WORD_BUCKETS>, characters: Buckets<'f, CHAR_BUCKETS>) -> Self {
        Scanner {
            counts: Counts { eighths: [0; ENGINEERED], weight: ONE },
            words,
            characters,
            meaning: Meaning::default(),
            word_grams: WordGrams::default(),
            char_grams: CharGrams::default(),
            previous_word: 0,
            previous_byte: b'\n',
            bytes: 0,
            letters: 0,
            word_letters: 0,
            distinct: 0,
            opening: false,
            seen: [0; 64],
            sentence_start: true,
            last_visible: 0,
        }
    }

    /// From here on, everything counts this many eighths.
    fn weigh(&mut self, eighths: u32) {
        self.counts.weight = eighths;
        let weight = eighths as f32 / ONE as f32;
        self.meaning.weigh(eighths);
        self.words.weight = weight;
        self.characters.weight = weight;
    }

    fn read_piece(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        for line in text.split_inclusive('\n') {
            self.read_line(line.as_bytes());
        }
        self.sentence_start = true;
        self.previous_byte = b'\n';
    }

    fn read_line(&mut self, line: &[u8]) {
        let content = line.trim_ascii();
        self.counts.bump(Slot::Lines, 1);
        self.counts.raise(Slot::LongestLine, content.len());
        self.describe_line(line, content);
        self.bytes += self.counts.weighed(line.len()) as usize;
        self.char_grams.add(line, &mut self.characters);
        let mut pipes = 0;
        let mut rest = line;
        while let Some((&byte, after)) = rest.split_first() {
            if is_word_byte(byte) {
                rest = self.read_word(rest);
            } else {
                self.read_symbol(byte);
                pipes += usize::from(byte == b'|');
                self.previous_byte = byte;
                rest = after;
            }
        }
        self.counts.bump(Slot::TableLines, usize::from(pipes >= 2));
        if let Some(&last) = content.last() {
            self.last_visible = last;
        }
    }

    /// What a line's beginning says: options, lists, headings, code.
    fn describe_line(&mut self, line: &[u8], content: &[u8]) {
        if line.starts_with(b"  ") || line.starts_with(b"\t") {
            self.counts.bump(Slot::IndentedLines, 1);
        }
        match content {
            [] => self.counts.bump(Slot::BlankLines, 1),
            [b'A'..=b'J', b'.' | b')', b' ', option @ ..]
            | [b'(', b'A'..=b'J', b')', b' ', option @ ..] => {
                self.counts.bump(Slot::ChoiceLines, 1);
                self.counts.bump(Slot::ChoiceBytes, content.len());
                let number = option.iter().any(u8::is_ascii_digit)
                    && option.iter().filter(|byte| byte.is_ascii_alphabetic()).count() <= 3;
                self.counts.bump(Slot::NumericChoices, usize::from(number));
            }
            [b'`', b'`', b'`', ..] => self.counts.bump(Slot::CodeFences, 1),
            [b'@', b'@', b' ', ..]
            | [b'+', b'+', b'+', b' ', ..]
            | [b'-', b'-', b'-', b' ', ..] => {
                self.counts.bump(Slot::DiffLines, 1);
            }
            [b'-' | b'*' | b'+', b' ', ..] => self.counts.bump(Slot::ListLines, 1),
            [b'0'..=b'9', b'.' | b')', b' ', ..]
            | [b'0'..=b'9', b'0'..=b'9', b'.' | b')', b' ', ..] => {
                self.counts.bump(Slot::ListLines, 1);
            }
            [b'#', b' ' | b'#', ..] => self.counts.bump(Slot::HeadingLines, 1),
            _ => {}
        }
    }

    /// Reads the word at the beginning of `text`, gives what follows it.
    fn read_word<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let mut word = Word { hash: WORD_SEED, ..Word::default() };
        let mut last_lower = false;
        let mut previous = self.previous_byte;
        let mut used = 0;
        for &byte in text {
            if byte.is_ascii_lowercase() {
                word.letters += 1;
                word.hash = word_step(word.hash, byte);
                last_lower = true;
            } else if byte.is_ascii_uppercase() {
                word.starts_upper |= used == 0;
                word.inner_upper |= last_lower;
                word.uppercase += 1;
                word.letters += 1;
                word.hash = word_step(word.hash, byte.to_ascii_lowercase());
                last_lower = false;
            } else if byte.is_ascii_digit() {
                word.digits += 1;
                // Numbers of the same length are the same word: their values do not generalise.
                word.hash = word_step(word.hash, b'0');
            } else if byte >= 0x80 {
                word.letters += 1;
                word.hash = word_step(word.hash, byte);
                last_lower = false;
                self.read_non_ascii(byte, previous);
            } else if byte == b'_' {
                word.underscores += 1;
                word.hash = word_step(word.hash, byte);
                last_lower = false;
            } else if byte == b'\'' && word.letters > 0 {
                // "don't" is one word.
                word.hash = word_step(word.hash, byte);
            } else {
                break;
            }
            previous = byte;
            used += 1;
        }
        self.previous_byte = previous;
        word.length = word.letters + word.digits + word.underscores;
        self.end_word(&word);
        text.get(used..).unwrap_or_default()
    }

    /// Scripts by lead byte of the UTF-8 sequence.
    fn read_non_ascii(&mut self, byte: u8, previous: u8) {
        let slot = match byte {
            0xC2..=0xC9 => Slot::LatinExtended,
            0xCE..=0xD4 => Slot::Cyrillic,
            0xD5..=0xE1 => Slot::OtherScript,
            0xE3..=0xED => Slot::Cjk,
            0xF0..=0xF7 => Slot::Emoji,
            // Arrows and mathematical operators, U+2190 to U+22FF.
            0x86..=0x8B if previous == 0xE2 => Slot::MathSymbols,
            0x80..=0xBF => return,
            _ => Slot::NonAscii,
        };
        self.counts.bump(slot, 1);
        if !matches!(slot, Slot::MathSymbols | Slot::NonAscii) {
            self.counts.bump(Slot::NonAscii, 1);
        }
    }

    fn end_word(&mut self, word: &Word) {
        self.counts.bump(Slot::Digits, word.digits);
        self.counts.bump(Slot::Uppercase, word.uppercase);
        if word.letters == 0 {
            if word.digits == 0 {
                self.counts.bump(Slot::BlankFill, 1);
                return;
            }
            self.counts.bump(Slot::Numbers, 1);
            self.counts.bump(Slot::LargeNumbers, usize::from(word.digits >= 5));
        }
        self.letters += self.counts.weighed(word.letters) as usize;
        self.word_letters += self.counts.weighed(word.length) as usize;
        let first = std::mem::replace(&mut self.opening, false);
        self.counts.bump(Slot::Words, 1);
        self.counts.bump(Slot::LongWords, usize::from(word.length >= 9));
        self.counts.bump(Slot::Capitalised, usize::from(word.starts_upper && !self.sentence_start));
        let identifier = word.inner_upper || (word.underscores > 0 && word.letters > 0);
        self.counts.bump(Slot::Identifiers, usize::from(identifier));
        if let Some(bits) = self.seen.get_mut(word.hash as usize >> 6 & 63) {
            let bit = 1 << (word.hash & 63);
            if *bits & bit == 0 {
                self.distinct += self.counts.weight as usize;
            }
            *bits |= bit;
        }
        if let Some(position) = WORDS.slot(word.hash) {
            self.counts.bump_at(position, 1);
        }
        if first && let Some(position) = FIRST_WORDS.slot(word.hash) {
            self.counts.bump_at(position, 1);
        }
        if self.previous_word == HOW && QUANTITIES.contains(&word.hash) {
            self.counts.bump(Slot::HowMany, 1);
        }
        self.meaning.add(word.hash);
        self.word_grams.add(word.hash, &mut self.words);
        self.previous_word = word.hash;
        self.sentence_start = false;
    }

    fn read_symbol(&mut self, byte: u8) {
        let before = self.previous_byte;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.counts.bump(Slot::Whitespace, 1);
                if matches!(before, b'.' | b'!' | b'?') {
                    self.counts.bump(Slot::Sentences, 1);
                    self.sentence_start = true;
                }
                self.sentence_start |= byte == b'\n';
                return;
            }
            b'?' => self.counts.bump(Slot::QuestionMarks, 1),
            b'{' | b'}' | b'[' | b']' | b';' => self.counts.bump(Slot::CodeSymbols, 1),
            b'(' => self.counts.bump(Slot::Parentheses, 1),
            b'+' | b'*' | b'=' | b'^' | b'<' | b'>' => {
                self.counts.bump(Slot::Operators, 1);
                self.counts.bump(Slot::CodeSymbols, 1);
            }
            b'`' => self.counts.bump(Slot::InlineCode, 1),
            b'$' => self.counts.bump(Slot::DollarSigns, 1),
            b'%' => self.counts.bump(Slot::Percent, 1),
            b'\\' => self.counts.bump(Slot::Latex, 1),
            b'"' => self.counts.bump(Slot::Quotes, 1),
            b':' => {
                self.counts.bump(Slot::Colons, 1);
                self.counts.bump(Slot::JsonKeys, usize::from(before == b'"'));
            }
            b'/' if before == b'/' => self.counts.bump(Slot::Urls, 1),
            b'/' if before.is_ascii_alphanumeric() => self.counts.bump(Slot::Paths, 1),
            b'.' if before.is_ascii_digit() => self.counts.bump(Slot::Decimals, 1),
            _ => {}
        }
        self.counts.bump(Slot::Punctuation, 1);
    }

    fn finish(mut self, engineered: &mut [f32], meaning: &mut [f32], occupied: &mut Occupied) {
        self.weigh(ONE);
        let words = self.counts.get(Slot::Words);
        if self.bytes > 0
            && matches!(self.last_visible, b'.' | b'!' | b'?')
            && self.previous_byte != b' '
        {
            self.counts.bump(Slot::Sentences, 1);
        }
        let sentences = self.counts.get(Slot::Sentences).max(ONE as usize);
        self.counts.raise(Slot::WordsPerSentence, words / sentences);
        self.counts.raise(Slot::LettersPerWord, self.word_letters / words.max(1));
        if let Some(count) = self.counts.eighths.get_mut(Slot::DistinctWords as usize) {
            *count = u32::try_from(self.distinct).unwrap_or(u32::MAX);
        }
        self.counts.raise(Slot::EndsWithQuestion, usize::from(self.last_visible == b'?'));

        let lines = self.counts.get(Slot::Lines);
        let characters = self.bytes.saturating_sub(self.counts.get(Slot::NonAscii));
        let counts = self.counts.eighths;
        for ((cell, count), feature) in engineered.iter_mut().zip(counts).zip(&SCHEMA) {
            let count = count.min(ONE << 24) as f32 / ONE as f32;
            *cell = if feature.range.1 > 1.0 { log1p(count) } else { count };
        }
        let mut share = |slot: Slot, whole: usize| {
            let part = self.counts.get(slot) as f32 / whole.max(1) as f32;
            if let Some(cell) = engineered.get_mut(slot as usize) {
                *cell = part.min(1.0);
            }
        };
        for slot in [Slot::LongWords, Slot::DistinctWords, Slot::Capitalised, Slot::FunctionWords] {
            share(slot, words);
        }
        for slot in [
            Slot::Digits,
            Slot::Punctuation,
            Slot::Whitespace,
            Slot::CodeSymbols,
            Slot::ChoiceBytes,
            Slot::NonAscii,
            Slot::LatinExtended,
            Slot::Cyrillic,
            Slot::Cjk,
            Slot::OtherScript,
        ] {
            share(slot, characters);
        }
        share(Slot::Uppercase, self.letters);
        share(Slot::IndentedLines, lines);
        let choices = self.counts.get(Slot::ChoiceLines);
        share(Slot::NumericChoices, choices);
        self.meaning.finish(meaning);
        self.words.finish(occupied, DENSE);
        self.characters.finish(occupied, DENSE + WORD_BUCKETS);
    }
}

/// Whether a byte is part of a word, or of one character of it.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'_'
}

/// The lexicon's slots must be positions of the vector.
const _: () = assert!(ENGINEERED < lexicon::NO_SLOT as usize);
