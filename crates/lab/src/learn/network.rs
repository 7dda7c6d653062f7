//! Logistic regression and a small multi-layer perceptron, fitted with candle.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::embedding_bag::EmbeddingBag;
use super::layer::{Layer, Matrix, add_scaled, dense};
use super::objective::Objective;
use super::row::Row;
use super::scaler::Scaler;
use pointsman_core::features::{CHAR_BUCKETS, DENSE, WORD_BUCKETS};

/// Length of the hashed part of a feature vector.
pub const BUCKETS: usize = WORD_BUCKETS + CHAR_BUCKETS;

/// Most rows of one optimiser step.
const LARGEST_BATCH: usize = 256;
/// Fewest; small logs get small batches, so that an epoch still takes many steps.
const SMALLEST_BATCH: usize = 16;

/// What a network looks like and how it is fitted.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NetworkOptions {
    /// Sizes of the hidden layers; none is logistic regression.
    pub hidden: Vec<usize>,
    /// Hashed inputs are multiplied by this.
    pub hashed_scale: f32,
    /// And by their bucket's log count ratio (see [`count_ratios`]): better where single words
    /// decide, worse where it is the kind of text.
    pub count_ratios: bool,
    /// Strength `C` of the data against an L2 penalty on all weights, as scikit-learn has it.
    pub data_weight: f64,
    /// Step size of AdamW at the start; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Share of a row's hashed features that each step leaves out.
    pub dropout: f32,
    pub epochs: usize,
    pub objective: Objective,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        NetworkOptions {
            hidden: Vec::new(),
            hashed_scale: 10.0,
            count_ratios: true,
            data_weight: 0.1,
            learning_rate: 0.02,
            dropout: 0.0,
            epochs: 20,
            objective: Objective::Sufficient,
        }
    }
}

/// A fitted network. The last layer has one output, the logit; ReLU stands between layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// First layer over the scaled dense features, `f32[DENSE, H]`, with the bias.
    pub first: Layer,
    /// First layer over the hashed features, `f32[BUCKETS, H]`.
    pub hashed: Matrix,
    pub rest: Vec<Layer>,
}

impl Network {
    pub(super) fn last(&mut self) -> &mut Layer {
        self.rest.last_mut().unwrap_or(&mut self.first)
    }

    /// Multiplies the logit.
    pub(super) fn scale(&mut self, factor: f32) {
        if self.rest.is_empty() {
            self.hashed.values.iter_mut().for_each(|value| *value *= factor);
        }
        let Layer { weights, bias } = self.last();
        weights.values.iter_mut().chain(bias).for_each(|value| *value *= factor);
    }

    /// Log-odds that the cheap answer is good enough, from the row's scaled dense features.
    pub fn logit(&self, scaled: &[f32], buckets: &[(u32, f32)]) -> f32 {
        let mut hidden = dense(&self.first, scaled);
        for &(bucket, value) in buckets {
            add_scaled(&mut hidden, self.hashed.row(bucket as usize), value);
        }
        for layer in &self.rest {
            hidden.iter_mut().for_each(|h| *h = h.max(0.0));
            hidden = dense(layer, &hidden);
        }
        hidden[0]
    }
}

/// Fits a network on the rows `train`; of all epochs the one with the lowest loss on `stop` is
/// kept. The same seed gives the same weights.
///
/// # Errors
///
/// Failures of candle, such as memory.
pub fn fit(
    rows: &[Row],
    train: &[usize],
    stop: &[usize],
    scaler: &Scaler,
    options: &NetworkOptions,
    seed: u64,
) -> Result<Network> {
    let mut random = SmallRng::seed_from_u64(seed);
    let scales = match options.count_ratios {
        true => count_ratios(rows, train, options.objective)
            .map(|ratio| ratio * options.hashed_scale)
            .collect(),
        false => vec![options.hashed_scale; BUCKETS],
    };
    let weights = Weights::new(&options.hidden, scales, &mut random)?;
    let parameters = ParamsAdamW {
        lr: options.learning_rate,
        // Decay apart from the loss would pull rare weights harder than the penalty says.
        weight_decay: 0.0,
        ..Default::default()
    };
    let mut optimiser = AdamW::new(weights.all(), parameters)?;
    let batch_rows = (train.len() / 24).clamp(SMALLEST_BATCH, LARGEST_BATCH);
    let steps = options.epochs * train.len().div_ceil(batch_rows);
    let penalty = 0.5 / (options.data_weight * train.len() as f64);
    let mut order = train.to_vec();
    let mut step = 0;
    let mut best: Option<(f64, Network)> = None;
    for _ in 0..options.epochs {
        order.shuffle(&mut random);
        for batch in order.chunks(batch_rows) {
            let decay = (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()) / 2.0;
            optimiser.set_learning_rate(options.learning_rate * decay);
            let batch = Batch::new(rows, batch, scaler, options, &mut random)?;
            let loss = batch.loss(&weights.forward(&batch)?)?;
            let loss = (loss + (weights.squares()? * penalty)?)?;
            optimiser.backward_step(&loss)?;
            step += 1;
        }
        let network = weights.network()?;
        let loss = log_loss(&network, rows, stop, scaler, options.objective);
        if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
            best = Some((loss, network));
        }
    }
    match best {
        Some((_, network)) => Ok(network),
        None => weights.network(),
    }
}

/// Per bucket, how much more frequent it is among rows of one label than of the other, as the
/// logarithm of the ratio, pulled to zero for rare buckets. A linear model on inputs scaled like
/// this starts where naive Bayes ends (Wang and Manning 2012, "Baselines and Bigrams").
fn count_ratios(rows: &[Row], train: &[usize], objective: Objective) -> impl Iterator<Item = f32> {
    /// Rows that every bucket is imagined to have been in, labelled like all rows.
    const IMAGINED: f64 = 20.0;
    let mut counts = vec![[0.0_f64; 2]; BUCKETS];
    for &i in train {
        let (weight, target) = (rows[i].weight, objective.target(&rows[i]));
        for &(bucket, _) in &rows[i].features.buckets {
            counts[bucket as usize][0] += f64::from(weight * (1.0 - target));
            counts[bucket as usize][1] += f64::from(weight * target);
        }
    }
    let totals = counts.iter().fold([1.0, 1.0], |t, c| [t[0] + c[0], t[1] + c[1]]);
    let share = totals.map(|t| t / (totals[0] + totals[1]));
    counts.into_iter().map(move |count| {
        let rate = |k: usize| (count[k] + IMAGINED * share[k]) / totals[k];
        libm::log(rate(1) / rate(0)) as f32
    })
}

fn log_loss(
    network: &Network,
    rows: &[Row],
    indices: &[usize],
    scaler: &Scaler,
    objective: Objective,
) -> f64 {
    let mut scaled = Vec::with_capacity(DENSE);
    let mut sum = 0.0;
    for &i in indices {
        scaled.clear();
        scaler.apply(&rows[i].features.dense, &mut scaled);
        let logit = f64::from(network.logit(&scaled, &rows[i].features.buckets));
        let target = f64::from(objective.target(&rows[i]));
        sum += f64::from(rows[i].weight) * (softplus(logit) - target * logit);
    }
    sum
}

/// `ln(1 + exp(x))` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Some rows as tensors.
struct Batch {
    /// `f32[n, DENSE]`.
    dense: Tensor,
    hashed: EmbeddingBag,
    /// `f32[n, 1]`.
    label: Tensor,
    /// `f32[n, 1]`.
    weight: Tensor,
}

impl Batch {
    fn new(
        rows: &[Row],
        indices: &[usize],
        scaler: &Scaler,
        options: &NetworkOptions,
        random: &mut SmallRng,
    ) -> Result<Batch> {
        let dropout = options.dropout;
        let n = indices.len();
        let mut dense = Vec::with_capacity(n * DENSE);
        let mut bags = Vec::with_capacity(n);
        for &i in indices {
            scaler.apply(&rows[i].features.dense, &mut dense);
            let kept = rows[i].features.buckets.iter();
            let kept = kept.filter(|_| dropout == 0.0 || random.random::<f32>() >= dropout);
            bags.push(kept.map(|&(bucket, value)| (bucket, value / (1.0 - dropout))).collect());
        }
        let label = indices.iter().map(|&i| options.objective.target(&rows[i]));
        let weight = indices.iter().map(|&i| rows[i].weight);
        let cpu = &Device::Cpu;
        Ok(Batch {
            dense: Tensor::from_vec(dense, (n, DENSE), cpu)?,
            hashed: EmbeddingBag(Arc::new(bags)),
            label: Tensor::from_vec(label.collect(), (n, 1), cpu)?,
            weight: Tensor::from_vec(weight.collect(), (n, 1), cpu)?,
        })
    }

    /// Weighted binary cross-entropy, from logits so that it cannot overflow.
    fn loss(&self, logit: &Tensor) -> Result<Tensor> {
        let softplus = (logit.abs()?.neg()?.exp()? + 1.0)?.log()?;
        let loss = ((logit.relu()? - (logit * &self.label)?)? + softplus)?;
        (loss * &self.weight)?.mean_all()
    }
}

/// The variables that are fitted.
struct Weights {
    first: (Var, Var),
    /// Of the hashed features as [`Weights::scales`] scale them.
    hashed: Var,
    /// `f32[BUCKETS, 1]`.
    scales: Tensor,
    rest: Vec<(Var, Var)>,
}

impl Weights {
    fn new(hidden: &[usize], scales: Vec<f32>, random: &mut SmallRng) -> Result<Weights> {
        let width = hidden.first().copied().unwrap_or(1);
        // Logistic regression starts at zero: its loss has one minimum, and nothing to break.
        let scale = if hidden.is_empty() { 0.0 } else { 1.0 };
        let first = (uniform(DENSE, width, scale, random)?, zeros(width)?);
        let hashed = uniform(BUCKETS, width, scale, random)?;
        let mut rest = Vec::new();
        for (k, &inputs) in hidden.iter().enumerate() {
            let outputs = hidden.get(k + 1).copied().unwrap_or(1);
            rest.push((uniform(inputs, outputs, 1.0, random)?, zeros(outputs)?));
        }
        let scales = Tensor::from_vec(scales, (BUCKETS, 1), &Device::Cpu)?;
        Ok(Weights { first, hashed, scales, rest })
    }

    fn all(&self) -> Vec<Var> {
        let layers = std::iter::once(&self.first).chain(&self.rest);
        let layers = layers.flat_map(|(weights, bias)| [weights.clone(), bias.clone()]);
        layers.chain([self.hashed.clone()]).collect()
    }

    fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let hashed = self.hashed.broadcast_mul(&self.scales)?;
        let mut hidden = (batch.dense.matmul(&self.first.0)?
            + hashed.apply_op1(batch.hashed.clone())?)?
        .broadcast_add(&self.first.1)?;
        for (weights, bias) in &self.rest {
            hidden = hidden.relu()?.matmul(weights)?.broadcast_add(bias)?;
        }
        Ok(hidden)
    }

    /// Sum of the squares of all weights, biases left out. Engineered features count as if they
    /// were scaled to a deviation of 0.3: there are few, and each is seen in every row.
    fn squares(&self) -> Result<Tensor> {
        let dense = (self.first.0.sqr()?.sum_all()? / 0.09)?;
        let mut sum = (dense + self.hashed.sqr()?.sum_all()?)?;
        for (weights, _) in &self.rest {
            sum = (sum + weights.sqr()?.sum_all()?)?;
        }
        Ok(sum)
    }

    fn network(&self) -> Result<Network> {
        let layer = |(weights, bias): &(Var, Var)| -> Result<Layer> {
            Ok(Layer { weights: Matrix::of(weights)?, bias: bias.flatten_all()?.to_vec1()? })
        };
        Ok(Network {
            first: layer(&self.first)?,
            hashed: Matrix::of(&self.hashed.broadcast_mul(&self.scales)?)?,
            rest: self.rest.iter().map(layer).collect::<Result<_>>()?,
        })
    }
}

/// He initialisation from a seeded generator: candle's own cannot be seeded on the CPU.
fn uniform(rows: usize, columns: usize, scale: f32, random: &mut SmallRng) -> Result<Var> {
    let bound = scale * (6.0 / rows as f32).sqrt();
    let values: Vec<f32> =
        (0..rows * columns).map(|_| (random.random::<f32>() * 2.0 - 1.0) * bound).collect();
    Var::from_tensor(&Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

fn zeros(columns: usize) -> Result<Var> {
    Var::zeros((1, columns), candle_core::DType::F32, &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fixture::{rows, scores};
    use crate::learn::scores::auroc;

    fn mlp() -> NetworkOptions {
        NetworkOptions {
            hidden: vec![16, 8],
            data_weight: 30.0,
            epochs: 20,
            ..NetworkOptions::default()
        }
    }

    fn auroc_of(rows: &[Row], options: &NetworkOptions) -> f64 {
        let (train, val): (Vec<_>, Vec<_>) = (0..rows.len()).partition(|i| i % 5 != 0);
        let scaler = Scaler::fit(rows, &train);
        let network = fit(rows, &train, &val, &scaler, options, 1).unwrap();
        auroc(&scores(&network, rows, &val, &scaler)).unwrap()
    }

    #[test]
    fn both_networks_learn_from_both_blocks() {
        let rows = rows(300, |engineered, word| engineered || word);
        assert!(auroc_of(&rows, &NetworkOptions::default()) > 0.99);
        assert!(auroc_of(&rows, &mlp()) > 0.99);
    }

    #[test]
    fn only_the_perceptron_learns_an_exclusive_or() {
        let mut rows = rows(300, |engineered, word| engineered != word);
        for (i, row) in rows.iter_mut().enumerate() {
            row.features.dense[1] = if i % 3 == 0 { 3.0 } else { 1.0 };
        }
        assert!(auroc_of(&rows, &NetworkOptions::default()) < 0.8);
        assert!(auroc_of(&rows, &mlp()) > 0.99);
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let rows = rows(120, |engineered, word| engineered != word);
        let all: Vec<usize> = (0..120).collect();
        let scaler = Scaler::fit(&rows, &all);
        let fit = |seed| fit(&rows, &all, &all, &scaler, &mlp(), seed).unwrap();
        assert_eq!(fit(3), fit(3));
        assert_ne!(fit(3), fit(4));
    }
}
