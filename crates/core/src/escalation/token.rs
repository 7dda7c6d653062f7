//! What the three instances know a request by.

use std::fmt;

use crate::hex;

/// Names a request whose answer may be held: 128 bits that nobody guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub(super) [u8; 16]);

impl Token {
    /// A token from two random draws.
    pub fn new(draws: [u64; 2]) -> Self {
        let [high, low] = draws;
        Token(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }

    /// Reads a header's value.
    pub fn parse(value: &[u8]) -> Option<Self> {
        hex::decode(str::from_utf8(value).ok()?).map(Token)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}
