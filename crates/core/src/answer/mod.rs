//! What an answer cost and what it says of itself, read while it streams by.

mod calls;
mod outcome;
mod reader;
mod reward;
mod scanner;
pub mod sse;

pub use outcome::{Fault, Outcome};
pub use reader::UsageReader;
pub use reward::{FinishedAnswer, Implicit};

#[cfg(test)]
mod tests;
