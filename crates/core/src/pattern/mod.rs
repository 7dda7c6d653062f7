//! Regular expressions of rules, for the letters of all alphabets.
//!
//! Matching takes time in proportion to the text, and memory in proportion to the pattern. It is a
//! simulation of the automaton, a character at a time, without the tables that make other engines
//! fast and large: every worker compiles and holds the module.

mod letters;
mod parse;
mod program;
mod set;

use letters::composed;
pub use letters::text_folded;
use program::Program;

/// A pattern that is ready to be held against texts.
#[derive(Clone, Debug)]
pub struct Pattern(Program);

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("{0} is not closed")]
    Unclosed(&'static str),
    #[error("`{0}` has nothing to open it")]
    Unopened(char),
    #[error("`{0}` has nothing to repeat")]
    NothingToRepeat(char),
    #[error("`\\{0}` is not a known escape sequence")]
    UnknownEscape(char),
    #[error("`(?{0}` is not a known flag or group")]
    UnknownFlag(char),
    #[error("it has a number that no character has")]
    NoCharacter,
    #[error("`{0}` is not a known class")]
    UnknownClass(String),
    #[error("a range or a repetition ends before it begins")]
    Reversed,
    #[error("it ends in a backslash")]
    TrailingBackslash,
    #[error("it nests too deeply")]
    TooDeep,
    #[error("it is too large once its repetitions are written out")]
    TooLarge,
}

impl Pattern {
    /// Reads a pattern: the syntax of the crate `regex` without the classes `\p{…}`, sets within
    /// sets and the flag `R`. Words, case and white space are those of Unicode, `\d` is 0 to 9.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let tree = parse::parse(&composed(pattern))?;
        Program::of(&tree).map(Pattern)
    }

    /// Whether it matches somewhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(&composed(text))
    }
}

#[cfg(test)]
mod tests;
