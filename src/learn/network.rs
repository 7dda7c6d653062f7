//! Logistic regression and a small multi-layer perceptron, fitted with candle.

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::row::Row;
use super::scaler::Scaler;
use crate::features::{CHAR_BUCKETS, ENGINEERED, WORD_BUCKETS};

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
    /// Step size of AdamW at the start; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Step size of the hashed block's weights, whose inputs are small and rarely set.
    pub hashed_learning_rate: f64,
    pub weight_decay: f64,
    /// Decay of the hashed block's weights.
    pub hashed_weight_decay: f64,
    /// Share of a row's hashed features that each step leaves out.
    pub dropout: f32,
    /// Weigh both classes alike.
    pub balance: bool,
    pub epochs: usize,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        NetworkOptions {
            hidden: Vec::new(),
            learning_rate: 0.01,
            hashed_learning_rate: 0.03,
            weight_decay: 0.01,
            hashed_weight_decay: 0.1,
            dropout: 0.0,
            balance: false,
            epochs: 12,
        }
    }
}

/// A row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    /// `f32[rows * columns]`.
    pub values: Vec<f32>,
}

impl Matrix {
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn of(tensor: &Tensor) -> Result<Matrix> {
        let (rows, columns) = tensor.dims2()?;
        Ok(Matrix { rows, columns, values: tensor.flatten_all()?.to_vec1()? })
    }
}

/// A dense layer: `x · weights + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub weights: Matrix,
    pub bias: Vec<f32>,
}

/// A fitted network. The last layer has one output, the logit; ReLU stands between layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// First layer over the scaled engineered features, `f32[ENGINEERED, H]`, with the bias.
    pub first: Layer,
    /// First layer over the hashed features, `f32[BUCKETS, H]`.
    pub hashed: Matrix,
    pub rest: Vec<Layer>,
}

impl Network {
    /// Log-odds that the cheap answer is good enough. `scaled` holds the row's scaled engineered
    /// features.
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

fn dense(layer: &Layer, input: &[f32]) -> Vec<f32> {
    let mut out = layer.bias.clone();
    for (row, value) in input.iter().enumerate() {
        add_scaled(&mut out, layer.weights.row(row), *value);
    }
    out
}

fn add_scaled(out: &mut [f32], row: &[f32], factor: f32) {
    for (o, r) in out.iter_mut().zip(row) {
        *o += r * factor;
    }
}

/// Fits a network on the rows `train`; of all epochs the one with the lowest loss on `stop` is
/// kept. The same seed gives the same weights.
pub fn fit(
    rows: &[Row],
    train: &[usize],
    stop: &[usize],
    scaler: &Scaler,
    options: &NetworkOptions,
    seed: u64,
) -> Result<Network> {
    let mut random = SmallRng::seed_from_u64(seed);
    let weights = Weights::new(&options.hidden, &mut random)?;
    let mut own = AdamW::new(
        weights.own(),
        ParamsAdamW {
            lr: options.learning_rate,
            weight_decay: options.weight_decay,
            ..Default::default()
        },
    )?;
    let mut hashed = AdamW::new(
        vec![weights.hashed.clone()],
        ParamsAdamW {
            lr: options.hashed_learning_rate,
            weight_decay: options.hashed_weight_decay,
            ..Default::default()
        },
    )?;
    let class_weight = class_weights(rows, train, options.balance);
    let batch_rows = (train.len() / 24).clamp(SMALLEST_BATCH, LARGEST_BATCH);
    let steps = options.epochs * train.len().div_ceil(batch_rows);
    let mut order = train.to_vec();
    let mut step = 0;
    let mut best: Option<(f64, Network)> = None;
    for _ in 0..options.epochs {
        order.shuffle(&mut random);
        for batch in order.chunks(batch_rows) {
            let decay = (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()) / 2.0;
            own.set_learning_rate(options.learning_rate * decay);
            hashed.set_learning_rate(options.hashed_learning_rate * decay);
            let batch =
                Batch::new(rows, batch, scaler, options.dropout, class_weight, &mut random)?;
            let gradients = batch.loss(&weights.forward(&batch)?)?.backward()?;
            own.step(&gradients)?;
            hashed.step(&gradients)?;
            step += 1;
        }
        let network = weights.network()?;
        let loss = log_loss(&network, rows, stop, scaler);
        if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
            best = Some((loss, network));
        }
    }
    match best {
        Some((_, network)) => Ok(network),
        None => weights.network(),
    }
}

/// Weights of (required, good enough) rows.
fn class_weights(rows: &[Row], train: &[usize], balance: bool) -> [f32; 2] {
    let ok = train.iter().filter(|&&i| rows[i].cheap_ok).count();
    let required = train.len() - ok;
    if !balance || ok == 0 || required == 0 {
        return [1.0, 1.0];
    }
    let half = train.len() as f32 / 2.0;
    [half / required as f32, half / ok as f32]
}

fn log_loss(network: &Network, rows: &[Row], indices: &[usize], scaler: &Scaler) -> f64 {
    let mut scaled = Vec::with_capacity(ENGINEERED);
    let mut sum = 0.0;
    for &i in indices {
        scaled.clear();
        scaler.apply(&rows[i].features.engineered, &mut scaled);
        let logit = f64::from(network.logit(&scaled, &rows[i].features.buckets));
        let signed = if rows[i].cheap_ok { logit } else { -logit };
        sum += f64::from(rows[i].weight) * (-signed).exp().ln_1p();
    }
    sum
}

/// Some rows as tensors.
struct Batch {
    /// `f32[n, ENGINEERED]`.
    engineered: Tensor,
    /// `f32[n, BUCKETS]`.
    hashed: Tensor,
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
        dropout: f32,
        class_weight: [f32; 2],
        random: &mut SmallRng,
    ) -> Result<Batch> {
        let n = indices.len();
        let mut engineered = Vec::with_capacity(n * ENGINEERED);
        let mut hashed = vec![0.0; n * BUCKETS];
        for (&i, out) in indices.iter().zip(hashed.chunks_mut(BUCKETS)) {
            scaler.apply(&rows[i].features.engineered, &mut engineered);
            for &(bucket, value) in &rows[i].features.buckets {
                if dropout == 0.0 || random.random::<f32>() >= dropout {
                    out[bucket as usize] = value / (1.0 - dropout);
                }
            }
        }
        let label = indices.iter().map(|&i| f32::from(u8::from(rows[i].cheap_ok)));
        let weight =
            indices.iter().map(|&i| rows[i].weight * class_weight[usize::from(rows[i].cheap_ok)]);
        let cpu = &Device::Cpu;
        Ok(Batch {
            engineered: Tensor::from_vec(engineered, (n, ENGINEERED), cpu)?,
            hashed: Tensor::from_vec(hashed, (n, BUCKETS), cpu)?,
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
    hashed: Var,
    rest: Vec<(Var, Var)>,
}

impl Weights {
    fn new(hidden: &[usize], random: &mut SmallRng) -> Result<Weights> {
        let width = hidden.first().copied().unwrap_or(1);
        // Logistic regression starts at zero: its loss has one minimum, and nothing to break.
        let scale = if hidden.is_empty() { 0.0 } else { 1.0 };
        let first = (uniform(ENGINEERED, width, scale, random)?, zeros(width)?);
        // The hashed inputs of a row have length 1 per block, whatever their number.
        let hashed = uniform(BUCKETS, width, scale * 8.0, random)?;
        let mut rest = Vec::new();
        for (k, &inputs) in hidden.iter().enumerate() {
            let outputs = hidden.get(k + 1).copied().unwrap_or(1);
            rest.push((uniform(inputs, outputs, 1.0, random)?, zeros(outputs)?));
        }
        Ok(Weights { first, hashed, rest })
    }

    fn own(&self) -> Vec<Var> {
        let layers = std::iter::once(&self.first).chain(&self.rest);
        layers.flat_map(|(weights, bias)| [weights.clone(), bias.clone()]).collect()
    }

    fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let mut hidden = (batch.engineered.matmul(&self.first.0)?
            + batch.hashed.matmul(&self.hashed)?)?
        .broadcast_add(&self.first.1)?;
        for (weights, bias) in &self.rest {
            hidden = hidden.relu()?.matmul(weights)?.broadcast_add(bias)?;
        }
        Ok(hidden)
    }

    fn network(&self) -> Result<Network> {
        let layer = |(weights, bias): &(Var, Var)| -> Result<Layer> {
            Ok(Layer { weights: Matrix::of(weights)?, bias: bias.flatten_all()?.to_vec1()? })
        };
        Ok(Network {
            first: layer(&self.first)?,
            hashed: Matrix::of(&self.hashed)?,
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
    use crate::learn::fixture::{self, rows, scores};
    use crate::learn::metrics::auroc;

    fn mlp() -> NetworkOptions {
        NetworkOptions { hidden: vec![8, 4], epochs: 40, ..NetworkOptions::default() }
    }

    #[test]
    fn logistic_regression_learns_from_both_blocks() {
        // An exclusive or: what a linear model cannot learn and the perceptron can.
        let rows = rows(600, |engineered, word| engineered != word);
        let (train, val): (Vec<_>, Vec<_>) = (0..600).partition(|i| i % 5 != 0);
        let scaler = Scaler::fit(&rows, &train);
        let linear = fixture::rows(600, |engineered, word| engineered || word);
        let net = fit(&linear, &train, &val, &scaler, &NetworkOptions::default(), 1).unwrap();
        assert!(auroc(&scores(&net, &linear, &val, &scaler)).unwrap() > 0.99);
        let net = fit(&rows, &train, &val, &scaler, &NetworkOptions::default(), 1).unwrap();
        assert!(auroc(&scores(&net, &rows, &val, &scaler)).unwrap() < 0.8);
        let net = fit(&rows, &train, &val, &scaler, &mlp(), 1).unwrap();
        assert!(auroc(&scores(&net, &rows, &val, &scaler)).unwrap() > 0.99);
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let rows = rows(300, |engineered, word| engineered != word);
        let all: Vec<usize> = (0..300).collect();
        let scaler = Scaler::fit(&rows, &all);
        let fit = |seed| fit(&rows, &all, &all, &scaler, &mlp(), seed).unwrap();
        assert_eq!(fit(3), fit(3));
        assert_ne!(fit(3), fit(4));
    }
}
