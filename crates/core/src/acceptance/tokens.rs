//! Text to tokens: words, numbers and the symbols that arithmetic and layout are made of.
//!
//! One pass over the bytes; no token needs memory of its own. Texts inside JSON strings are read as
//! they are meant: an escaped line break is a line break, an escaped quote a quote.

use super::number::{self, Number};

/// A hash of a lower-cased word, 32-bit FNV-1a.
const SEED: u32 = 0x811c_9dc5;

/// One step of the hash of a word.
pub(super) const fn hash_step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

/// The hash of a lower-case word.
pub(super) const fn word_hash(word: &str) -> u32 {
    let (mut hash, mut rest) = (SEED, word.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        hash = hash_step(hash, byte);
        rest = after;
    }
    hash
}

/// A word: letters, also of other scripts, with apostrophes between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) hash: u32,
    /// Bytes.
    pub(super) length: usize,
    /// Directly behind a digit or a closing bracket, as the variable in `2x` is.
    pub(super) joined: bool,
    pub(super) script: Script,
}

/// Scripts that languages are told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Script {
    #[default]
    Latin,
    /// Latin letters that English does not have.
    Extended,
    /// Cyrillic and Greek.
    Cyrillic,
    /// Hebrew, Arabic, Indic and others.
    Other,
    /// Chinese, Japanese, Korean.
    Cjk,
}

impl Script {
    /// Number of scripts.
    pub(super) const COUNT: usize = 5;

    fn of_lead(byte: u8) -> Script {
        match byte {
            0xc3..=0xcd => Script::Extended,
            0xce..=0xd3 => Script::Cyrillic,
            0xe3..=0xed => Script::Cjk,
            0xd4..=0xe0 => Script::Other,
            _ => Script::Latin,
        }
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Word(Word),
    Number(Number),
    /// `+`, `-`, `*`, `/` or `^`, also where it is written as `×`, `\times` or an `x` between numbers.
    /// `spaced` is whether a space follows.
    Operator {
        operator: u8,
        spaced: bool,
    },
    Equals,
    /// `≈`
    Nearly,
    Open(u8),
    Close(u8),
    /// `<<`, and `>>` is its end: a calculation that the model marked as one.
    Calculation(bool),
    /// The end of a line; `blank` where the line was empty.
    Line {
        blank: bool,
    },
    /// A full stop, question mark or exclamation mark at the end of a sentence.
    Sentence(u8),
    /// A comma, colon, semicolon.
    Pause(u8),
    Quote,
    /// Three backticks.
    Fence,
    /// Number signs in a row, so many.
    Hashes(usize),
    /// `$`
    Dollar,
    /// `\boxed`, `\frac` or another command of LaTeX.
    Command(u32),
    Other(u8),
}

/// The tokens of a text.
pub(super) struct Tokens<'t> {
    text: &'t [u8],
    place: usize,
    /// What came directly before was a digit or a closing bracket.
    joined: bool,
    /// Nothing visible in this line yet.
    fresh: bool,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        Tokens { text, place: 0, joined: false, fresh: true }
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'t [u8] {
        self.text.get(self.place..).unwrap_or_default()
    }

    /// Whether nothing visible came before in this line.
    pub(super) fn opens_line(&self) -> bool {
        self.fresh
    }

    /// Leaves out so many bytes.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.place = self.place.saturating_add(bytes).min(self.text.len());
    }

    fn word(&mut self, rest: &[u8]) -> Token {
        let (mut hash, mut length, mut script) = (SEED, 0, Script::Latin);
        loop {
            // Letters of English are most of most words, and are the quick case.
            for &byte in rest.get(length..).unwrap_or_default() {
                if !byte.is_ascii_alphabetic() {
                    break;
                }
                hash = hash_step(hash, byte | 0x20);
                length += 1;
            }
            let rest = rest.get(length..).unwrap_or_default();
            match rest {
                [b'\'', after, ..] if after.is_ascii_alphabetic() && length > 0 => {
                    hash = hash_step(hash, b'\'');
                }
                [byte @ 0x80..=0xff, ..] if sign(rest).is_none() => {
                    hash = hash_step(hash, *byte);
                    if *byte >= 0xc0 && script == Script::Latin {
                        script = Script::of_lead(*byte);
                    }
                }
                _ => break,
            }
            length += 1;
        }
        let length = length.max(1);
        self.place += length;
        Token::Word(Word { hash, length, joined: self.joined, script })
    }

    /// A backslash: an escape of JSON, or a command of LaTeX.
    fn escape(&mut self, rest: &[u8]) -> Option<Token> {
        let after = rest.get(2..).unwrap_or_default();
        // The last byte of a text may be a backslash.
        let next = rest.get(1).copied().unwrap_or(b'\\');
        match next {
            b'n' if !after.first().is_some_and(u8::is_ascii_lowercase) => {
                self.place += 2;
                Some(self.end_line())
            }
            b'"' => {
                self.place += 2;
                Some(Token::Quote)
            }
            b'\\' => {
                self.place += 1;
                None
            }
            _ if next.is_ascii_alphabetic() => {
                let name = rest.get(1..).unwrap_or_default();
                let length = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let name = name.get(..length).unwrap_or_default();
                self.place += 1 + length;
                Some(match name {
                    b"times" | b"cdot" => Token::Operator { operator: b'*', spaced: true },
                    b"div" => Token::Operator { operator: b'/', spaced: true },
                    b"approx" => Token::Nearly,
                    _ => {
                        Token::Command(name.iter().fold(SEED, |hash, byte| hash_step(hash, *byte)))
                    }
                })
            }
            _ => {
                self.place += 2;
                Some(Token::Other(next))
            }
        }
    }

    fn end_line(&mut self) -> Token {
        let blank = std::mem::replace(&mut self.fresh, true);
        Token::Line { blank }
    }

    /// Something of one token and so many bytes.
    fn advance(&mut self, bytes: usize, token: Token) -> Option<Token> {
        self.place += bytes;
        Some(token)
    }

    fn symbol(&mut self, byte: u8, rest: &[u8]) -> Option<Token> {
        let second = rest.get(1).copied().unwrap_or(b'\n');
        let run = |byte: u8| rest.iter().take_while(|it| **it == byte).count();
        let (length, token) = match byte {
            b'\\' => return self.escape(rest),
            b'*' if run(b'*') == 2 => (2, Token::Other(b'*')),
            b'+' | b'-' | b'*' | b'/' | b'^' => {
                (1, Token::Operator { operator: byte, spaced: second == b' ' })
            }
            b'=' => (run(b'='), Token::Equals),
            b'<' if second == b'<' => (2, Token::Calculation(true)),
            b'>' if second == b'>' => (2, Token::Calculation(false)),
            b'(' | b'[' | b'{' => (1, Token::Open(byte)),
            b')' | b']' | b'}' => (1, Token::Close(byte)),
            b'.' | b'?' | b'!' if matches!(second, b' ' | b'\n' | b'\r' | b'"' | b'\\') => {
                (1, Token::Sentence(byte))
            }
            b',' | b':' | b';' => (1, Token::Pause(byte)),
            b'"' => (1, Token::Quote),
            b'`' if run(b'`') >= 3 => (run(b'`'), Token::Fence),
            b'#' => (run(b'#'), Token::Hashes(run(b'#'))),
            b'$' => (1, Token::Dollar),
            _ => (1, Token::Other(byte)),
        };
        self.advance(length, token)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let rest = self.rest();
            let (&byte, after) = rest.split_first()?;
            if byte == b'\n' {
                self.place += 1;
                self.joined = false;
                return Some(self.end_line());
            }
            if matches!(byte, b' ' | b'\t' | b'\r') {
                self.place += 1;
                self.joined = false;
                continue;
            }
            let token = if byte.is_ascii_digit()
                || (byte == b'.' && after.first().is_some_and(u8::is_ascii_digit) && !self.joined)
            {
                let (number, length) = number::read(rest);
                self.advance(length, Token::Number(number))
            } else if let Some((length, token)) = if byte < 0x80 { None } else { sign(rest) } {
                self.advance(length, token)
            } else if is_letter(byte) {
                if is_times(byte, after, self.joined) {
                    self.advance(1, Token::Operator { operator: b'*', spaced: true })
                } else {
                    Some(self.word(rest))
                }
            } else {
                self.symbol(byte, rest)
            };
            let Some(token) = token else { continue };
            self.joined = matches!(token, Token::Number(_) | Token::Close(_));
            if !matches!(token, Token::Line { .. }) {
                self.fresh = false;
            }
            return Some(token);
        }
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

/// Is this `x` a multiplication sign? It stands alone, and a number or a bracket follows.
fn is_times(byte: u8, after: &[u8], joined: bool) -> bool {
    let (first, second) = (after.first(), after.get(1));
    let begins =
        |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_digit() || b"$(".contains(it));
    matches!(byte, b'x' | b'X')
        && ((first == Some(&b' ') && begins(second)) || (joined && begins(first)))
}

/// A sign of more than one byte that means something here, and its length.
fn sign(rest: &[u8]) -> Option<(usize, Token)> {
    let operator = |operator| Token::Operator { operator, spaced: true };
    match rest {
        [0xc3, 0x97, ..] | [0xc2, 0xb7, ..] => Some((2, operator(b'*'))),
        [0xc3, 0xb7, ..] => Some((2, operator(b'/'))),
        [0xe2, 0x88, 0x92, ..] => Some((3, operator(b'-'))),
        [0xe2, 0x89, 0x88, ..] => Some((3, Token::Nearly)),
        // Superscripts two and three.
        [0xc2, 0xb2 | 0xb3, ..] => Some((2, Token::Other(b'^'))),
        // Punctuation: dashes, quotation marks, bullets, the ellipsis.
        [0xe2, 0x80, ..] => Some((rest.len().min(3), Token::Other(b'~'))),
        // The full stop, question mark and comma of Chinese and Japanese.
        [0xe3, 0x80, 0x82, ..] | [0xef, 0xbc, 0x9f, ..] => Some((3, Token::Sentence(b'.'))),
        [0xe3, 0x80, 0x81, ..] | [0xef, 0xbc, 0x8c, ..] => Some((3, Token::Pause(b','))),
        // Arrows, mathematical signs, boxes, emoji.
        [0xe2, 0x82..=0xaf, ..] => Some((rest.len().min(3), Token::Other(b'~'))),
        [0xf0..=0xff, ..] => Some((rest.len().min(4), Token::Other(b'~'))),
        _ => None,
    }
}
