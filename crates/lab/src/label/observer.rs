//! Who watches a run.

/// Gets the progress of a run.
pub trait Observer: Sync {
    /// A stage begins, of so many rows where that is known.
    fn begin(&self, stage: &'static str, rows: Option<u64>);
    /// Another row is done.
    fn advance(&self);
    /// A message for the person at the terminal.
    fn say(&self, line: &str);
}
