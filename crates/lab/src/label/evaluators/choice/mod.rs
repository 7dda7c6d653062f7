//! Do two answers pick the same option of a multiple choice?

mod cues;
mod mention;
mod options;
mod plain;
mod verdicts;

use std::collections::BTreeSet;

use super::{Pair, Unscorable};
use mention::Reader;
use options::Options;

/// What an answer says about the options.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pick {
    /// These, by number; two of them may be what the question wants, or a hedge.
    These(BTreeSet<usize>),
    Nothing,
    /// It mentions these, and does not say which of them it means.
    Maybe(BTreeSet<usize>),
    /// Two readings are possible: "2" may be the second option, or the one whose text is 2.
    Unclear,
}

/// 1 when both pick the same option, by its label or its text, otherwise 0. What an answer states
/// counts, not the options that it merely mentions or rejects.
///
/// # Errors
/// The strong answer picks none, or which one the cheap answer picks cannot be told.
pub fn score(pair: &Pair) -> Result<f64, Unscorable> {
    let options = Options::read(&pair.request.question())
        .or_else(|| Options::read(&pair.request.text()))
        .ok_or(Unscorable("the request lists no options"))?;
    let Pick::These(strong) = pick(&options, &pair.strong.text) else {
        return Err(Unscorable("the strong answer does not pick an option"));
    };
    match pick(&options, &pair.cheap.text) {
        Pick::These(cheap) if cheap == strong => Ok(1.0),
        Pick::Maybe(options) if !options.is_disjoint(&strong) => Err(Unscorable(
            "which of the options that it mentions the cheap answer picks cannot be told",
        )),
        Pick::These(_) | Pick::Maybe(_) | Pick::Nothing => Ok(0.0),
        Pick::Unclear => Err(Unscorable("which option the cheap answer picks cannot be told")),
    }
}

/// Whether the question lists at least two options, and the answer picks one of them.
pub fn applies(question: &str, answer: &str) -> bool {
    Options::read(question).is_some_and(|options| {
        let picks = matches!(pick(&options, answer), Pick::These(_));
        // "1. … 2. …" is more often a list of points than of options.
        picks
            && (options.has_letters()
                || answer.lines().filter(|l| !l.trim().is_empty()).count() <= 2)
    })
}

fn pick(options: &Options, answer: &str) -> Pick {
    Reader::new(options, answer).pick()
}
