//! What calls cost: estimates before, sums during a run.

use serde_json::Value;

use super::answer::ModelAnswer;
use pointsman_core::target::{Price, Usage};

/// Bytes of text that make a token, roughly: English prose in current tokenizers.
const BYTES_PER_TOKEN: u64 = 4;

/// Parses `0.15,0.60`: USD per million input and output tokens.
///
/// # Errors
///
/// Names the part that is not a price.
pub fn parse_price(text: &str) -> Result<Price, String> {
    let number = |part: &str| match part.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("`{part}` is not a price in USD per million tokens")),
    };
    match text.split_once(',') {
        Some((input, output)) => Ok(Price::new(number(input)?, number(output)?)),
        None => Err(format!("`{text}` is not of the form INPUT,OUTPUT, such as 0.15,0.60")),
    }
}

/// The tokens of a call that is yet to be made, if the cheap model is about as wordy as the strong
/// one was.
pub fn estimate(body: &Value, strong: &ModelAnswer, max_tokens: Option<u64>) -> Usage {
    let input = body.get("messages").map_or(0, |messages| tokens(messages.to_string().len()));
    let tools = body.get("tools").map_or(0, |tools| tokens(tools.to_string().len()));
    let output = match strong.usage {
        Some(usage) if usage.output > 0 => usage.output,
        _ => {
            let calls = strong.tool_calls.iter().map(|c| c.name.len() + c.arguments.len());
            tokens(strong.text.len() + calls.sum::<usize>()).max(1)
        }
    };
    Usage { input: input + tools, output: max_tokens.map_or(output, |limit| output.min(limit)) }
}

/// The tokens of an answered call: as billed, otherwise estimated from the texts.
pub fn billed(body: &Value, answer: &ModelAnswer) -> Usage {
    answer.usage.unwrap_or_else(|| estimate(body, answer, None))
}

/// Tokens of that many bytes of text, roughly.
pub fn tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// The money of a run, with what is set aside for calls in flight.
#[derive(Debug)]
pub struct Purse {
    budget: Option<f64>,
    spent: f64,
    reserved: f64,
    /// Calls that this run paid for, and what they cost together.
    paid: (u32, f64),
}

impl Purse {
    /// `spent` is what the journal's calls have cost already.
    pub fn new(budget: Option<f64>, spent: f64) -> Self {
        Purse { budget, spent, reserved: 0.0, paid: (0, 0.0) }
    }

    /// Sets money aside for a call: what it is estimated at, or what the calls before it did cost on
    /// average if that is more. `None` when the budget does not cover it.
    pub fn reserve(&mut self, estimate: f64) -> Option<f64> {
        let (calls, dollars) = self.paid;
        let cost = estimate.max(dollars / f64::from(calls.max(1)));
        if self.budget.is_some_and(|budget| self.spent + self.reserved + cost > budget) {
            return None;
        }
        self.reserved += cost;
        Some(cost)
    }

    /// Gives back what was reserved and takes what the call did cost.
    pub fn settle(&mut self, reserved: f64, cost: f64) {
        self.reserved = (self.reserved - reserved).max(0.0);
        self.spent += cost;
        if cost > 0.0 {
            self.paid = (self.paid.0 + 1, self.paid.1 + cost);
        }
    }

    /// Dollars spent, earlier runs on this journal included.
    pub fn spent(&self) -> f64 {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_two_numbers() {
        assert_eq!(parse_price("0.15,0.60"), Ok(Price::new(0.15, 0.6)));
        for wrong in ["0.15", "a,b", "-1,2", "1,inf"] {
            assert!(parse_price(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn calls_in_flight_count_against_the_budget() {
        let mut purse = Purse::new(Some(1.0), 0.2);
        let reserved = purse.reserve(0.5).expect("covered");
        assert_eq!(purse.reserve(0.5), None);
        purse.settle(reserved, 0.1);
        assert_eq!(purse.reserve(0.01), Some(0.1), "calls cost more than estimated");
        assert!(purse.reserve(0.5).is_some());
        assert!((purse.spent() - 0.3).abs() < 1e-12);
    }
}
