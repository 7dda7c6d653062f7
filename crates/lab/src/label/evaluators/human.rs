//! A person compares the answers, side by side and blind, on a page that needs no server.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Unscorable, judge::shown};
use crate::files::replace_private;
use crate::label::answer::ModelAnswer;
use crate::label::error::LabelError;
use crate::label::record::Record;
use crate::label::sample::rank;

const PAGE: &str = include_str!("human.html");
/// Where the page expects the pairs, as JSON.
const PAIRS_MARK: &str = "/*PAIRS*/";

/// A pair as the page shows it. Which side is the cheap answer follows from the id and is not on
/// the page.
#[derive(Clone, Debug, Serialize)]
pub struct HumanPair {
    id: String,
    request: String,
    left: String,
    right: String,
}

impl HumanPair {
    /// Puts the answers of a record side by side.
    pub fn new(record: &Record, cheap: &ModelAnswer) -> Self {
        let (cheap, strong) = (shown(cheap), shown(&record.strong));
        let (left, right) =
            if cheap_is_left(&record.id) { (cheap, strong) } else { (strong, cheap) };
        HumanPair { id: record.id.clone(), request: record.request.text(), left, right }
    }
}

fn cheap_is_left(id: &str) -> bool {
    rank(0x5eed, id) & 1 == 0
}

/// Writes the page.
///
/// # Errors
/// The file cannot be written.
pub fn write_page(path: &Path, pairs: &[HumanPair]) -> Result<(), LabelError> {
    // `<` is escaped so that no answer can end the script it is written into.
    let json = serde_json::to_string(pairs).unwrap_or_default().replace('<', "\\u003c");
    let page = PAGE.replacen(PAIRS_MARK, &json, 1);
    replace_private(path, page.as_bytes()).map_err(LabelError::io(path))
}

/// What a person clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rating {
    Left,
    Right,
    /// Both are as good.
    Tie,
    /// Neither answers the request.
    BothBad,
}

/// The ratings saved from the page.
#[derive(Debug, Default)]
pub struct Ratings {
    by_id: HashMap<String, Rating>,
}

impl Ratings {
    /// Reads the file that the page saves.
    ///
    /// # Errors
    /// It cannot be read or is not what the page writes.
    pub fn read(path: &Path) -> Result<Self, LabelError> {
        let text = fs::read(path).map_err(LabelError::input(path))?;
        match serde_json::from_slice(&text) {
            Ok(by_id) => Ok(Ratings { by_id }),
            Err(error) => Err(LabelError::BadInput(format!(
                "{}: not the ratings of a page: {error}",
                path.display()
            ))),
        }
    }

    /// Quality of a row's cheap answer: 1 when it was found as good or better. Two answers that are
    /// both bad leave nothing to gain from the strong model, but do not make the cheap one good.
    ///
    /// # Errors
    /// The row was not rated.
    pub fn quality(&self, id: &str) -> Result<f64, Unscorable> {
        let rating = self.by_id.get(id).ok_or(Unscorable("not rated"))?;
        Ok(match (rating, cheap_is_left(id)) {
            (Rating::Tie, _) | (Rating::Left, true) | (Rating::Right, false) => 1.0,
            (Rating::BothBad, _) => 0.5,
            (Rating::Left, false) | (Rating::Right, true) => 0.0,
        })
    }
}
