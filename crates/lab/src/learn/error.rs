//! Why training failed.

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("no {0} rows")]
    NoRows(&'static str),
    #[error("all {rows} {split} rows have cheap_ok = {cheap_ok}")]
    OneClass { split: &'static str, rows: usize, cheap_ok: bool },
    #[error("fitting failed: {0}")]
    Fit(#[from] candle_core::Error),
}
