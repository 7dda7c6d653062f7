//! Arguments that several commands take.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use pointsman_core::classifier::Objective;
use pointsman_core::policy::bandit::Explorer;
use pointsman_lab::learn::{Algorithm, Split};

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
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| "must be a number, 0 or more".to_owned())
}

/// An explorer, as JSON.
pub(super) fn explorer(text: &str) -> Result<Explorer, String> {
    let explorer: Explorer = serde_json::from_str(text).map_err(|error| error.to_string())?;
    explorer.problem().map_or(Ok(explorer), |problem| Err(problem.to_owned()))
}
