//! What can be wrong with a line of a dataset.

use crate::files::Problem;
use pointsman_core::prompt::{ApiFormat, PromptError};

/// Why a line is not a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reject {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not a row: {0}")]
    Json(String),
    #[error("no `{0}`")]
    NoField(&'static str),
    #[error("neither `request` nor `prompt`")]
    NoText,
    #[error("`request` is not a {format} body: {error}", format = .format.name())]
    Request { format: ApiFormat, error: PromptError },
    #[error("unsupported `path` {0}")]
    Path(String),
    #[error("`prompt` is empty")]
    EmptyPrompt,
    #[error("no label: give `label.cheap_ok`, `cheap_ok`, or the scores of both models")]
    NoLabel,
    #[error("no score for `{0}`")]
    NoScore(String),
    #[error("`{field}` is {value}; it must be within {rule}")]
    OutOfRange { field: &'static str, value: f64, rule: &'static str },
    #[error("duplicate ID `{0}`")]
    DuplicateId(String),
}

impl Reject {
    /// What it counts as.
    pub fn problem(&self) -> Problem {
        match self {
            Reject::NotUtf8 | Reject::Json(_) => Problem::BrokenLine,
            Reject::NoField(_) | Reject::NoText | Reject::NoLabel | Reject::NoScore(_) => {
                Problem::MissingField
            }
            Reject::Request { .. }
            | Reject::Path(_)
            | Reject::EmptyPrompt
            | Reject::OutOfRange { .. } => Problem::BadValue,
            Reject::DuplicateId(_) => Problem::DuplicateId,
        }
    }
}
