//! What an answer cost and what it says of itself, read while it streams by.

mod outcome;
mod reader;
mod scanner;

pub use outcome::Outcome;
pub use reader::UsageReader;
