//! What competes: algorithms and the hyper-parameters they are tried with.

use std::fmt;

use super::network::NetworkOptions;
use super::objective::Objective;
use super::trees::TreeOptions;

/// Which kinds of model compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// All of them; the best on validation rows wins.
    Auto,
    /// Logistic regression.
    Logistic,
    /// Multi-layer perceptron of three layers.
    Mlp,
    /// Gradient-boosted trees.
    Trees,
    /// The best of each of the three, their logits combined by logistic regression.
    Stacked,
    /// The model that training starts from, calibrated again.
    Initial,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Algorithm::Auto => "the best of all",
            Algorithm::Logistic => "logistic regression",
            Algorithm::Mlp => "multi-layer perceptron",
            Algorithm::Trees => "gradient-boosted trees",
            Algorithm::Stacked => "logistic regression, perceptron and trees, stacked",
            Algorithm::Initial => "the initial model",
        })
    }
}

impl Algorithm {
    /// The kinds of part that are fitted for it.
    pub(super) fn kinds(self) -> &'static [Algorithm] {
        match self {
            Algorithm::Auto | Algorithm::Stacked => {
                &[Algorithm::Logistic, Algorithm::Mlp, Algorithm::Trees]
            }
            Algorithm::Logistic => &[Algorithm::Logistic],
            Algorithm::Mlp => &[Algorithm::Mlp],
            Algorithm::Trees => &[Algorithm::Trees],
            Algorithm::Initial => &[],
        }
    }

    /// Hyper-parameters that a kind is tried with.
    pub(super) fn plans(self) -> Vec<TrainingPlan> {
        match self {
            Algorithm::Logistic => [
                logistic(COUNT_RATIOS, 0.03),
                logistic(COUNT_RATIOS, 0.1),
                logistic(PLAIN, 0.03),
                logistic(PLAIN, 0.1),
                logistic(PLAIN, 0.3),
            ]
            .map(TrainingPlan::Network)
            .to_vec(),
            Algorithm::Mlp => {
                [mlp(COUNT_RATIOS, 0.03), mlp(COUNT_RATIOS, 0.1), mlp(PLAIN, 0.1), mlp(PLAIN, 0.3)]
                    .map(TrainingPlan::Network)
                    .to_vec()
            }
            Algorithm::Trees => [256, 512].map(|n| TrainingPlan::Trees(trees(n))).to_vec(),
            Algorithm::Auto | Algorithm::Stacked | Algorithm::Initial => Vec::new(),
        }
    }
}

/// How one part is fitted: an algorithm with its hyper-parameters.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPlan {
    Network(NetworkOptions),
    Trees(TreeOptions),
}

impl TrainingPlan {
    /// What cross-validation fits: one run of trees ranks plans as well as the mean of several.
    pub(super) fn for_trial(&self) -> TrainingPlan {
        match self {
            TrainingPlan::Trees(options) => {
                TrainingPlan::Trees(TreeOptions { runs: 1, ..options.clone() })
            }
            TrainingPlan::Network(_) => self.clone(),
        }
    }

    /// The same plan with the other objective.
    pub(super) fn for_gain(&self) -> TrainingPlan {
        let objective = Objective::Gain;
        match self {
            // Targets of half the spread have a quarter of the loss to gain: under the same penalty
            // a perceptron's weights would all fall to zero.
            TrainingPlan::Network(o) => {
                let data_weight = 4.0 * o.data_weight;
                TrainingPlan::Network(NetworkOptions { objective, data_weight, ..o.clone() })
            }
            TrainingPlan::Trees(o) => TrainingPlan::Trees(TreeOptions { objective, ..o.clone() }),
        }
    }

    fn objective(&self) -> Objective {
        match self {
            TrainingPlan::Network(options) => options.objective,
            TrainingPlan::Trees(options) => options.objective,
        }
    }
}

impl fmt::Display for TrainingPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            TrainingPlan::Network(o) => {
                match o.hidden.as_slice() {
                    [] => write!(formatter, "logistic, C {}", o.data_weight)?,
                    hidden => write!(formatter, "mlp {hidden:?}, C {}", o.data_weight)?,
                }
                formatter.write_str(if o.count_ratios { ", count ratios" } else { ", plain" })
            }
            TrainingPlan::Trees(o) => {
                write!(formatter, "trees, depth {}, {} n-grams", o.depth, o.buckets)
            }
        }?;
        match self.objective() {
            Objective::Sufficient => Ok(()),
            Objective::Gain => formatter.write_str(", for gain"),
        }
    }
}

/// How hashed inputs are scaled: a factor, and whether count ratios multiply it. Both ways leave
/// inputs of about the same size.
type HashedScale = (f32, bool);
const COUNT_RATIOS: HashedScale = (10.0, true);
const PLAIN: HashedScale = (3.0, false);

fn logistic((hashed_scale, count_ratios): HashedScale, data_weight: f64) -> NetworkOptions {
    NetworkOptions { hashed_scale, count_ratios, data_weight, ..NetworkOptions::default() }
}

fn mlp((hashed_scale, count_ratios): HashedScale, data_weight: f64) -> NetworkOptions {
    NetworkOptions {
        // Every hidden unit costs the filter 32 KiB of weights, and sixteen sums fill four vector
        // registers: these and the logit of logistic regression.
        hidden: vec![15, 8],
        hashed_scale,
        count_ratios,
        data_weight,
        dropout: 0.3,
        learning_rate: 0.005,
        epochs: 12,
        ..NetworkOptions::default()
    }
}

fn trees(buckets: usize) -> TreeOptions {
    TreeOptions {
        trees: 600,
        depth: 6,
        learning_rate: 0.04,
        shrinkage: 5.0,
        feature_share: 0.4,
        row_share: 0.7,
        buckets,
        runs: 2,
        objective: Objective::Sufficient,
    }
}
