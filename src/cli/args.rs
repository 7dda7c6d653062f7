//! Arguments that several commands take.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use pointsman_core::classifier::Objective;
use pointsman_core::policy::bandit::Explorer;
use pointsman_lab::learn::{Algorithm, Split};

use super::BadInput;

/// Labelled rows to read.
#[derive(clap::Args)]
pub(super) struct DataArgs {
    /// JSONL or gzipped JSONL with labelled rows; several files are read in turn
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(super) data: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) strictness: Strictness,
}

/// What happens to invalid records.
#[derive(clap::Args)]
pub(super) struct Strictness {
    /// Exit with status 2 on the first invalid record, instead of skipping it
    #[arg(long)]
    pub(super) strict: bool,
}

/// Which rows of the data.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Partition {
    /// What the model was not fitted on: `val` and `test`. Rows without a split too, except for
    /// four in five of a file that the model was trained on
    HeldOut,
    Val,
    Train,
    Test,
    All,
}

impl Partition {
    pub(super) fn holds(self, split: Split) -> bool {
        match self {
            Partition::HeldOut => split != Split::Train,
            Partition::Val => split == Split::Val,
            Partition::Train => split == Split::Train,
            Partition::Test => split == Split::Test,
            Partition::All => true,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Which kinds of model compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AlgorithmArg {
    /// All of them; the best on validation rows wins
    Auto,
    /// Logistic regression
    Logistic,
    /// Multi-layer perceptron of three layers
    Mlp,
    /// Gradient-boosted trees
    Trees,
    /// The best of each of the three, their logits combined by logistic regression
    Stacked,
}

impl From<AlgorithmArg> for Algorithm {
    fn from(argument: AlgorithmArg) -> Self {
        match argument {
            AlgorithmArg::Auto => Algorithm::Auto,
            AlgorithmArg::Logistic => Algorithm::Logistic,
            AlgorithmArg::Mlp => Algorithm::Mlp,
            AlgorithmArg::Trees => Algorithm::Trees,
            AlgorithmArg::Stacked => Algorithm::Stacked,
        }
    }
}

/// What a label says of two recorded answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ObjectiveArg {
    /// Is the cheap answer good enough? Of two recorded qualities: is the cheap one 0.5 or more
    Satisfy,
    /// Would the strong answer be better? Of two recorded qualities: is the cheap one as high
    Gain,
}

impl From<ObjectiveArg> for Objective {
    fn from(argument: ObjectiveArg) -> Self {
        match argument {
            ObjectiveArg::Satisfy => Objective::Satisfy,
            ObjectiveArg::Gain => Objective::Gain,
        }
    }
}

/// A number from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&number) {
        Ok(number)
    } else {
        Err("must be between 0 and 1".to_owned())
    }
}

/// A number that is not negative.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 0.0, "must be a number, 0 or more")
}

/// A finite number that fits this rule.
pub(super) fn number(
    text: &str,
    fits: impl FnOnce(f64) -> bool,
    rule: &str,
) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.filter(|number| fits(*number)).ok_or_else(|| rule.to_owned())
}

/// As a parser, for numbers that are kept in 32 bits: what is too large for them is infinite there.
pub(super) fn narrow(
    parse: impl Fn(&str) -> Result<f64, String> + Clone,
) -> impl Fn(&str) -> Result<f32, String> + Clone {
    move |text: &str| {
        let number = parse(text)? as f32;
        if number.is_finite() { Ok(number) } else { Err(format!("must be at most {}", f32::MAX)) }
    }
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// A file or a directory.
    Path(PathBuf),
    /// The URL of a Redis or Valkey: `redis://`, in lower case, and the rest.
    Redis(String),
}

/// The value of `--store`, unless it is an empty variable of this name, which stands for none.
pub(super) fn given_store(store: Option<String>, variable: &str) -> Option<String> {
    let unset = || std::env::var_os(variable).is_some_and(|value| value.is_empty());
    store.filter(|store| !(store.is_empty() && unset()))
}

/// Reads the place of a store; `path` says what a path names. Anything that looks like a URL and is
/// none of a Redis is refused: as a path it would begin an empty store of that name.
pub(super) fn store(text: &str, path: &str) -> Result<Store, BadInput> {
    // Not the value itself: it may hold a password.
    let refused = |why: &str| {
        BadInput::new(format!("--store: must be a {path}, or redis://host:port/database{why}"))
    };
    let scheme = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    let scheme = scheme.map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme.as_ref().map(|(scheme, rest)| (&**scheme, *rest)) {
        _ if text.trim().is_empty() => Err(refused("; it is empty")),
        Some(("redis" | "valkey", rest)) if rest.starts_with("//") => {
            Ok(Store::Redis(format!("redis:{rest}")))
        }
        Some(("rediss" | "valkeys", _)) => {
            Err(refused(": invalid Redis URL").hint("TLS to Redis is not built in"))
        }
        Some((scheme @ ("redis" | "valkey"), _)) => {
            Err(refused(&format!(": invalid Redis URL: no `//` behind `{scheme}:`")))
        }
        Some((scheme, rest)) if rest.starts_with('/') => {
            let error = refused(&format!("; unknown scheme `{scheme}`"));
            Err(error.hint(format!("a {path} of that name is ./{scheme}:…")))
        }
        _ if text.contains("://") => Err(refused("; it looks like another URL")),
        _ => Ok(Store::Path(PathBuf::from(text))),
    }
}

/// Whether this is the scheme of a URL (RFC 3986, 3.1), in any case.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// An explorer, as JSON.
pub(super) fn explorer(text: &str) -> Result<Explorer, String> {
    let explorer: Explorer = serde_json::from_str(text).map_err(|error| error.to_string())?;
    explorer.problem().map_or(Ok(explorer), |problem| Err(problem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_path_or_a_redis() {
        for (text, url) in [
            ("redis://h:1/0", "redis://h:1/0"),
            ("REDIS://User:Pass@h:1/0", "redis://User:Pass@h:1/0"),
            ("Valkey://h", "redis://h"),
        ] {
            assert_eq!(store(text, "file").unwrap(), Store::Redis(url.to_owned()), "{text}");
        }
        for text in ["pointsman.state", "/var/lib/x", "./http:/x", "a/b:c", "a:b", "12:/x", "C"] {
            assert_eq!(store(text, "file").unwrap(), Store::Path(text.into()), "{text}");
        }
    }

    #[test]
    fn what_looks_like_another_url_is_refused_by_name_and_not_repeated() {
        for (text, named) in [
            ("http://u:hunter2@h:1", "unknown scheme `http`"),
            ("HTTPS://u:hunter2@h", "unknown scheme `https`"),
            ("unix:///hunter2", "unknown scheme `unix`"),
            ("unix:/hunter2", "unknown scheme `unix`"),
            ("redis+unix:///hunter2", "unknown scheme `redis+unix`"),
            ("file:///hunter2", "unknown scheme `file`"),
            ("redis:/hunter2", "no `//`"),
            ("Redis:hunter2", "no `//`"),
            ("rediss://:hunter2@h", "invalid Redis URL"),
            ("VALKEYS://:hunter2@h", "invalid Redis URL"),
            ("://hunter2", "another URL"),
            ("hunter2/http://x", "another URL"),
            ("", "empty"),
            (" \t", "empty"),
        ] {
            let error = store(text, "directory").unwrap_err().to_string();
            assert!(error.starts_with("--store: must be a directory, or redis://"), "{error}");
            assert!(error.contains(named) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_are_finite_and_within_their_range() {
        for text in ["nan", "inf", "-inf", "-1", "1e999", "", "x", "1,2"] {
            assert!(amount(text).is_err(), "{text}");
            assert!(share(text).is_err(), "{text}");
            assert!(narrow(amount)(text).is_err(), "{text}");
        }
        assert_eq!((amount("0"), amount("1e300"), share("1")), (Ok(0.0), Ok(1e300), Ok(1.0)));
        assert_eq!(narrow(amount)("0.5"), Ok(0.5));
        assert!(narrow(amount)("1e39").is_err(), "infinite in 32 bits");
        assert!(number("7", |number| number < 7.0, "too large").is_err());
    }
}
