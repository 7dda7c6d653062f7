//! What an answer cost and what it says of itself, read while it streams by.

use serde::{Deserialize, Serialize};

mod outcome;
mod reader;
mod scanner;

pub use outcome::Outcome;
pub use reader::UsageReader;

/// Tokens that were paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

/// Dollars, or whatever the operator pays in, a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    pub input: f64,
    pub output: f64,
}

impl Price {
    /// Dollars for this many tokens.
    pub fn of(&self, usage: Usage) -> f64 {
        (usage.input as f64 * self.input + usage.output as f64 * self.output) / 1e6
    }

    /// The same in whole billionths of a dollar, for counters: a cheap answer costs less than a
    /// millionth.
    pub fn nanodollars(&self, usage: Usage) -> u64 {
        (self.of(usage) * 1e9).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_answer_still_costs_something() {
        let price = Price { input: 0.15, output: 0.6 };
        assert_eq!(price.nanodollars(Usage { input: 1, output: 0 }), 150);
        assert_eq!(price.nanodollars(Usage { input: 1_000_000, output: 1_000_000 }), 750_000_000);
        assert_eq!(price.nanodollars(Usage::default()), 0);
    }
}
