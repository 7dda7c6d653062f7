//! What competes: algorithms and the hyper-parameters they are tried with.

use std::fmt;

use super::network::NetworkOptions;
use super::trees::TreeOptions;

/// Which kinds of model compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
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
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Algorithm::Auto => "the best of all",
            Algorithm::Logistic => "logistic regression",
            Algorithm::Mlp => "multi-layer perceptron",
            Algorithm::Trees => "gradient-boosted trees",
            Algorithm::Stacked => "logistic regression, perceptron and trees, stacked",
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
        }
    }

    /// Hyper-parameters that a kind is tried with.
    pub(super) fn plans(self) -> Vec<PartOptions> {
        let network = |options| PartOptions::Network(options);
        match self {
            Algorithm::Logistic => [0.1, 0.3, 1.0].map(|d| network(logistic(d))).to_vec(),
            Algorithm::Mlp => [(0.3, 0.3), (1.0, 0.5)].map(|(d, p)| network(mlp(d, p))).to_vec(),
            Algorithm::Trees => [(4, 0.06), (6, 0.04)]
                .map(|(depth, rate)| PartOptions::Trees(trees(depth, rate)))
                .to_vec(),
            Algorithm::Auto | Algorithm::Stacked => Vec::new(),
        }
    }
}

/// How one part is fitted.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartOptions {
    Network(NetworkOptions),
    Trees(TreeOptions),
}

impl fmt::Display for PartOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            PartOptions::Network(o) if o.hidden.is_empty() => {
                write!(formatter, "logistic, decay {}", o.hashed_weight_decay)
            }
            PartOptions::Network(o) => write!(
                formatter,
                "mlp {:?}, decay {}, dropout {}",
                o.hidden, o.hashed_weight_decay, o.dropout
            ),
            PartOptions::Trees(o) => {
                write!(formatter, "trees, depth {}, rate {}", o.depth, o.learning_rate)
            }
        }
    }
}

fn logistic(decay: f64) -> NetworkOptions {
    NetworkOptions { hashed_weight_decay: decay, ..NetworkOptions::default() }
}

fn mlp(decay: f64, dropout: f32) -> NetworkOptions {
    NetworkOptions {
        // Every hidden unit costs the filter 8192 multiplications and 32 KiB of weights.
        hidden: vec![12, 8],
        learning_rate: 0.005,
        hashed_learning_rate: 0.005,
        weight_decay: decay,
        hashed_weight_decay: decay,
        dropout,
        ..NetworkOptions::default()
    }
}

fn trees(depth: usize, learning_rate: f64) -> TreeOptions {
    TreeOptions {
        trees: 300,
        depth,
        learning_rate,
        shrinkage: 5.0,
        feature_share: 0.4,
        row_share: 0.7,
        buckets: 256,
    }
}
