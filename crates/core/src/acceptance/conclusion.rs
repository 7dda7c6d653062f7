//! Which number an answer gives as its result.

use super::number::{Number, same};
use super::tokens::Token;

/// Tokens between a mark and its number, at most: "The final answer is: $ 12".
const REACH: usize = 8;

/// Where an answer says its result, and what it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Conclusion {
    /// Tokens that a mark still reaches.
    reach: usize,
    /// There was a mark.
    pub(super) marked: bool,
    /// The last number behind a mark; the last of all where there is no mark.
    pub(super) number: Option<Number>,
    pub(super) negative: bool,
    minus: bool,
    /// Two marked numbers that differ.
    pub(super) disagree: bool,
    first: Option<f64>,
    /// The last number of the text.
    last: Option<(Number, bool)>,
    /// Bytes behind the last mark.
    pub(super) mark_end: usize,
}

impl Conclusion {
    /// A word or sign that the result follows; so many bytes are left of the text.
    pub(super) fn mark(&mut self, left: usize) {
        self.reach = REACH;
        self.marked = true;
        self.mark_end = left;
    }

    /// Takes the next token.
    pub(super) fn take(&mut self, token: &Token) {
        let minus = std::mem::take(&mut self.minus);
        match token {
            Token::Number(number) => {
                self.last = Some((*number, minus));
                if self.reach > 0 {
                    self.reach = 0;
                    self.number = Some(*number);
                    self.negative = minus;
                    let value = if minus { -number.value } else { number.value };
                    match self.first {
                        Some(first) => self.disagree |= !same(first, value),
                        None => self.first = Some(value),
                    }
                }
            }
            Token::Operator { operator: b'-', spaced: false } => self.minus = true,
            Token::Dollar => self.minus = minus,
            Token::Line { blank: false } | Token::Sentence(_) => self.reach = self.reach.min(3),
            _ => self.reach = self.reach.saturating_sub(1),
        }
    }

    /// The result: what was marked, or else the last number.
    pub(super) fn result(&self) -> Option<(Number, bool)> {
        self.number.map(|number| (number, self.negative)).or(self.last)
    }
}
