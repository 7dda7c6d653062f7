use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{BadLine, hint};

/// Why labelling stopped.
#[derive(Debug, Error)]
pub enum LabelError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file of the user's cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Input {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The first bad record under `--strict`, or one that is too long.
    #[error(transparent)]
    BadLine(#[from] BadLine),
    /// LabelOptions that contradict each other, or a whole file that is not what it should be.
    #[error("{0}")]
    BadInput(String),
    /// Another process holds the journal.
    #[error("{path}: another run is writing to this journal", path = .path.display())]
    Busy { path: PathBuf },
    /// The log is not the one that was scanned when the run began.
    #[error("{path}:{line}: the log changed while it was being labelled", path = .path.display())]
    LogChanged { path: PathBuf, line: usize },
    /// The endpoint refuses every call: nothing is gained by going on.
    #[error("{0}")]
    Endpoint(String),
    /// Not a single row of the log can be used.
    #[error("none of the {lines} records of the log can be used; nothing was written")]
    NothingUsable { lines: u64 },
    /// Rows were selected, and none of them was labelled.
    #[error("none of the {rows} selected rows could be labelled; nothing was written")]
    NothingLabelled { rows: u64 },
    /// `--budget` does not cover the next call.
    #[error(
        "the budget of ${budget} is used up: {done} of {wanted} rows labelled, written to {partial}",
        partial = .partial.display()
    )]
    Budget { budget: f64, done: u64, wanted: u64, partial: PathBuf },
}

impl LabelError {
    /// Whether the input or the options are at fault (exit code 2) and not the run (exit code 1).
    pub fn is_bad_input(&self) -> bool {
        matches!(self, LabelError::Input { .. } | LabelError::BadLine(_) | LabelError::BadInput(_))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            LabelError::Input { source, .. } => hint(source),
            LabelError::BadLine(line) => Some(line.hint),
            LabelError::Budget { .. } => {
                Some("run the same command with a larger --budget: every paid call is kept")
            }
            LabelError::Endpoint(_) => {
                Some("the calls paid for so far are in the journal; run the command again")
            }
            LabelError::NothingUsable { .. } => Some(
                "the reasons are listed above; --from NAME reads the log of a known tool, --map says \
                 where the fields of another are",
            ),
            LabelError::NothingLabelled { .. } => Some(
                "the reasons are listed above; calls that failed are tried again by the next run",
            ),
            LabelError::Busy { .. } => Some("wait for it to end, or write to another --out"),
            LabelError::LogChanged { .. } => {
                Some("label a copy of a log that is still being written")
            }
            LabelError::Io { .. } | LabelError::BadInput(_) => None,
        }
    }

    /// A file of the user's could not be opened.
    pub(crate) fn input(path: &Path) -> impl FnOnce(std::io::Error) -> LabelError {
        move |source| LabelError::Input { path: path.into(), source }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> LabelError {
        let path = path.into();
        move |source| LabelError::Io { path, source }
    }
}
