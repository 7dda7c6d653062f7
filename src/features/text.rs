//! One pass over the text in focus: engineered counts and n-grams together.

use super::lexicon::{self, FIRST_WORDS, WORD_SEED, WORDS, word_hash, word_step};
use super::ngrams::{Buckets, CharGrams, WordGrams};
use super::schema::{SCHEMA, Slot};
use super::{ENGINEERED, FOCUS_HEAD_BYTES, FOCUS_TAIL_BYTES, Features, WORD_BUCKETS, log_count};

/// Scans the texts in order and fills the engineered text features and both n-gram blocks.
pub(super) fn scan(texts: &[&str], features: &mut Features) {
    let Some((engineered, blocks)) = features.values.split_at_mut_checked(ENGINEERED) else {
        return;
    };
    let Some((words, characters)) = blocks.split_at_mut_checked(WORD_BUCKETS) else {
        return;
    };
    let mut scanner = Scanner::new(Buckets::new(words), Buckets::new(characters));
    for text in texts {
        scanner.counts.bump(Slot::TextBytes, text.len());
        for piece in head_and_tail(text) {
            scanner.read_piece(piece);
        }
    }
    scanner.finish(engineered);
}

/// What is read of a long text: its beginning and its end, cut between characters.
pub(super) fn head_and_tail(text: &str) -> [&str; 2] {
    if text.len() <= FOCUS_HEAD_BYTES + FOCUS_TAIL_BYTES {
        return [text, ""];
    }
    let head = text.floor_char_boundary(FOCUS_HEAD_BYTES);
    let tail = text.ceil_char_boundary(text.len() - FOCUS_TAIL_BYTES);
    [text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default()]
}

/// Integer counts, one a slot of the schema.
struct Counts([u32; ENGINEERED]);

impl Counts {
    fn bump(&mut self, slot: Slot, by: usize) {
        self.bump_at(slot as usize, by);
    }

    fn bump_at(&mut self, position: usize, by: usize) {
        if let Some(count) = self.0.get_mut(position) {
            *count = count.saturating_add(u32::try_from(by).unwrap_or(u32::MAX));
        }
    }

    fn raise(&mut self, slot: Slot, to: usize) {
        if let Some(count) = self.0.get_mut(slot as usize) {
            *count = (*count).max(u32::try_from(to).unwrap_or(u32::MAX));
        }
    }

    fn get(&self, slot: Slot) -> usize {
        self.0.get(slot as usize).copied().unwrap_or(0) as usize
    }
}

/// The word being read.
struct Word {
    hash: u32,
    length: usize,
    letters: usize,
    digits: usize,
    underscores: usize,
    starts_upper: bool,
    inner_upper: bool,
    last_lower: bool,
}

impl Word {
    const EMPTY: Word = Word {
        hash: WORD_SEED,
        length: 0,
        letters: 0,
        digits: 0,
        underscores: 0,
        starts_upper: false,
        inner_upper: false,
        last_lower: false,
    };
}

struct Scanner<'f> {
    counts: Counts,
    words: Buckets<'f>,
    characters: Buckets<'f>,
    word_grams: WordGrams,
    char_grams: CharGrams,
    word: Word,
    /// Hash of the word before.
    previous_word: u32,
    previous_byte: u8,
    bytes: usize,
    letters: usize,
    word_letters: usize,
    /// Set bits stand for words seen: a count of distinct ones that needs no set.
    seen: [u64; 64],
    sentence_start: bool,
    last_visible: u8,
}

const HOW: u32 = word_hash("how");
const QUANTITIES: [u32; 4] =
    [word_hash("many"), word_hash("much"), word_hash("far"), word_hash("long")];

impl<'f> Scanner<'f> {
    fn new(words: Buckets<'f>, characters: Buckets<'f>) -> Self {
        Scanner {
            counts: Counts([0; ENGINEERED]),
            words,
            characters,
            word_grams: WordGrams::default(),
            char_grams: CharGrams::default(),
            word: Word::EMPTY,
            previous_word: 0,
            previous_byte: b'\n',
            bytes: 0,
            letters: 0,
            word_letters: 0,
            seen: [0; 64],
            sentence_start: true,
            last_visible: 0,
        }
    }

    fn read_piece(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        for line in text.split_inclusive('\n') {
            self.read_line(line.as_bytes());
        }
        self.end_word();
        self.sentence_start = true;
        self.previous_byte = b'\n';
    }

    fn read_line(&mut self, line: &[u8]) {
        let content = line.trim_ascii();
        self.counts.bump(Slot::Lines, 1);
        self.counts.raise(Slot::LongestLine, content.len());
        self.describe_line(line, content);
        self.bytes += line.len();
        let mut pipes = 0;
        for &byte in line {
            self.char_grams.add(byte, &mut self.characters);
            if byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'_' {
                self.read_word_byte(byte);
            } else if byte == b'\'' && self.word.letters > 0 {
                // "don't" is one word.
                self.word.hash = word_step(self.word.hash, byte);
            } else {
                self.end_word();
                self.read_symbol(byte);
                pipes += usize::from(byte == b'|');
            }
            self.previous_byte = byte;
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

    fn read_word_byte(&mut self, byte: u8) {
        let word = &mut self.word;
        word.length += 1;
        if byte.is_ascii_digit() {
            word.digits += 1;
            // Numbers of the same length are the same word: their values do not generalise.
            word.hash = word_step(word.hash, b'0');
        } else {
            let upper = byte.is_ascii_uppercase();
            word.starts_upper |= upper && word.length == 1;
            word.inner_upper |= upper && word.last_lower;
            word.last_lower = byte.is_ascii_lowercase();
            word.letters += usize::from(byte != b'_');
            word.underscores += usize::from(byte == b'_');
            word.hash = word_step(word.hash, byte.to_ascii_lowercase());
            self.counts.bump(Slot::Uppercase, usize::from(upper));
            if byte >= 0x80 {
                self.read_non_ascii(byte);
            }
        }
    }

    /// Scripts by lead byte of the UTF-8 sequence.
    fn read_non_ascii(&mut self, byte: u8) {
        let slot = match byte {
            0xC2..=0xC9 => Slot::LatinExtended,
            0xCE..=0xD4 => Slot::Cyrillic,
            0xD5..=0xE1 => Slot::OtherScript,
            0xE3..=0xED => Slot::Cjk,
            0xF0..=0xF7 => Slot::Emoji,
            // Arrows and mathematical operators, U+2190 to U+22FF.
            0x86..=0x8B if self.previous_byte == 0xE2 => Slot::MathSymbols,
            0x80..=0xBF => return,
            _ => Slot::NonAscii,
        };
        self.counts.bump(slot, 1);
        if !matches!(slot, Slot::MathSymbols | Slot::NonAscii) {
            self.counts.bump(Slot::NonAscii, 1);
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::replace(&mut self.word, Word::EMPTY);
        if word.length == 0 {
            return;
        }
        self.counts.bump(Slot::Digits, word.digits);
        if word.letters == 0 {
            if word.digits == 0 {
                self.counts.bump(Slot::BlankFill, 1);
                return;
            }
            self.counts.bump(Slot::Numbers, 1);
            self.counts.bump(Slot::LargeNumbers, usize::from(word.digits >= 5));
        }
        self.letters += word.letters;
        self.word_letters += word.length;
        let first = self.counts.get(Slot::Words) == 0;
        self.counts.bump(Slot::Words, 1);
        self.counts.bump(Slot::LongWords, usize::from(word.length >= 9));
        self.counts.bump(Slot::Capitalised, usize::from(word.starts_upper && !self.sentence_start));
        let identifier = word.inner_upper || (word.underscores > 0 && word.letters > 0);
        self.counts.bump(Slot::Identifiers, usize::from(identifier));
        if let Some(bits) = self.seen.get_mut(word.hash as usize >> 6 & 63) {
            *bits |= 1 << (word.hash & 63);
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

    fn finish(mut self, engineered: &mut [f32]) {
        let words = self.counts.get(Slot::Words);
        if self.bytes > 0
            && matches!(self.last_visible, b'.' | b'!' | b'?')
            && self.previous_byte != b' '
        {
            self.counts.bump(Slot::Sentences, 1);
        }
        let sentences = self.counts.get(Slot::Sentences).max(1);
        let distinct: u32 = self.seen.iter().map(|bits| bits.count_ones()).sum();
        self.counts.raise(Slot::WordsPerSentence, words / sentences);
        self.counts.raise(Slot::LettersPerWord, self.word_letters / words.max(1));
        self.counts.raise(Slot::DistinctWords, distinct as usize);
        self.counts.raise(Slot::EndsWithQuestion, usize::from(self.last_visible == b'?'));

        let lines = self.counts.get(Slot::Lines);
        let characters = self.bytes.saturating_sub(self.counts.get(Slot::NonAscii));
        for ((cell, count), feature) in engineered.iter_mut().zip(self.counts.0).zip(&SCHEMA) {
            *cell = if feature.range.1 > 1.0 { log_count(count as usize) } else { count as f32 };
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
        self.words.finish();
        self.characters.finish();
    }
}

/// The lexicon's slots must be positions of the vector.
const _: () = assert!(ENGINEERED < lexicon::NO_SLOT as usize);
