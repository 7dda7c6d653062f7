//! Gradient boosting of oblivious decision trees.
//!
//! All nodes at one depth of an oblivious tree share feature and threshold, so a tree of depth `D`
//! is `D` comparisons and a table of `2^D` leaves. That regularises strongly, which noisy labels
//! ask for, and it is a handful of standard operators in ONNX (see `export`).

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::model::half;
use super::network::softplus;
use super::objective::Objective;
use super::row::Row;
use pointsman_core::features::DENSE;
use pointsman_core::stats::sigmoid;

/// How trees are grown.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TreeOptions {
    /// Most trees; fewer when more do not help on the stop rows.
    pub trees: usize,
    pub depth: usize,
    pub learning_rate: f64,
    /// L2 penalty on leaf values, in rows of weight one quarter.
    pub shrinkage: f64,
    /// Share of the features that each tree may use.
    pub feature_share: f64,
    /// Share of the rows that each tree is grown on.
    pub row_share: f64,
    /// The hashed buckets that most train rows fill compete too.
    pub buckets: usize,
    /// Independently grown sums of trees whose mean is taken.
    pub runs: usize,
    pub objective: Objective,
}

/// One oblivious tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// (feature, threshold) of each depth: bit `k` of the leaf's index says whether
    /// `threshold < feature`. Features count as in the whole vector.
    pub splits: Vec<(usize, f32)>,
    /// `f32[2^splits]`.
    pub leaves: Vec<f32>,
}

/// A sum of trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    pub trees: Vec<Tree>,
    /// Log-odds before the first tree.
    pub bias: f32,
}

impl Trees {
    /// Multiplies the logit.
    pub(super) fn scale(&mut self, factor: f32) {
        let leaves = self.trees.iter_mut().flat_map(|tree| &mut tree.leaves);
        leaves.chain([&mut self.bias]).for_each(|value| *value *= factor);
    }

    /// Log-odds that the cheap answer is good enough.
    pub fn logit(&self, dense: &[f32], buckets: &[(u32, f32)]) -> f32 {
        let value = |feature: usize| match feature.checked_sub(DENSE) {
            None => dense[feature],
            Some(bucket) => buckets
                .binary_search_by_key(&(bucket as u32), |b| b.0)
                .map_or(0.0, |found| buckets[found].1),
        };
        let leaf = |tree: &Tree| {
            let bits = tree.splits.iter().enumerate();
            let index = bits
                .map(|(k, &(f, threshold))| usize::from(threshold < value(f)) << k)
                .sum::<usize>();
            tree.leaves[index]
        };
        self.bias + self.trees.iter().map(leaf).sum::<f32>()
    }
}

/// Most thresholds of one feature.
const MAX_THRESHOLDS: usize = 32;

/// A feature as small integers: the number of its thresholds below the value.
struct Column {
    feature: usize,
    /// Ascending.
    thresholds: Vec<f32>,
    /// One per row of the dataset that takes part.
    bins: Vec<u8>,
}

/// Grows trees on the rows `train`; their number is the one with the lowest loss on `stop`.
pub fn fit(
    rows: &[Row],
    train: &[usize],
    stop: &[usize],
    options: &TreeOptions,
    seed: u64,
) -> Trees {
    let all: Vec<usize> = train.iter().chain(stop).copied().collect();
    let columns = columns(rows, &all, train.len(), options.buckets);
    let runs = options.runs.max(1);
    let grown: Vec<Trees> = (0..runs as u64)
        .into_par_iter()
        .map(|run| {
            let mut random = SmallRng::seed_from_u64(seed.wrapping_add(run << 32));
            boost(rows, &all, train.len(), &columns, options, &mut random)
        })
        .collect();
    let mut mean = Trees { trees: Vec::new(), bias: 0.0 };
    for mut run in grown {
        for leaf in run.trees.iter_mut().flat_map(|tree| &mut tree.leaves) {
            *leaf /= runs as f32;
        }
        mean.trees.append(&mut run.trees);
        mean.bias = run.bias;
    }
    mean
}

/// One sum of trees; the first `train` of the rows `all` are for growing, the rest for stopping.
fn boost(
    rows: &[Row],
    all: &[usize],
    train: usize,
    columns: &[Column],
    options: &TreeOptions,
    random: &mut SmallRng,
) -> Trees {
    let (train, stop) = all.split_at(train);
    let label = |i: usize| f64::from(options.objective.target(&rows[i]));
    let (ok, total) = train.iter().fold((0.0, 0.0), |(ok, total), &i| {
        let weight = f64::from(rows[i].weight);
        (ok + weight * label(i), total + weight)
    });
    let bias = ((ok + 0.5) / (total - ok + 0.5)).ln();
    let mut logits = vec![bias; all.len()];
    let mut trees = Vec::new();
    let mut best = (f64::INFINITY, 0);
    while trees.len() < options.trees && trees.len() < best.1 + PATIENCE {
        // First and second derivative of the loss at every train row.
        let grad_hess: Vec<(f64, f64)> = train
            .iter()
            .zip(&logits)
            .map(|(&i, logit)| {
                let p = sigmoid(*logit);
                let weight = f64::from(rows[i].weight);
                (weight * (label(i) - p), weight * p * (1.0 - p))
            })
            .collect();
        let sample: Vec<usize> =
            (0..train.len()).filter(|_| random.random::<f64>() < options.row_share).collect();
        let mut choice: Vec<usize> = (0..columns.len()).collect();
        choice.shuffle(random);
        choice.truncate(((columns.len() as f64 * options.feature_share) as usize).max(1));
        let (tree, leaf_of) = grow(columns, &choice, &sample, &grad_hess, all.len(), options);
        for (logit, leaf) in logits.iter_mut().zip(leaf_of) {
            *logit += f64::from(tree.leaves[leaf]);
        }
        trees.push(tree);
        let loss: f64 = stop
            .iter()
            .zip(&logits[train.len()..])
            .map(|(&i, logit)| f64::from(rows[i].weight) * (softplus(*logit) - label(i) * logit))
            .sum();
        if loss < best.0 {
            best = (loss, trees.len());
        }
    }
    trees.truncate(best.1.max(1));
    Trees { trees, bias: bias as f32 }
}

/// Trees without a better loss before growing ends.
const PATIENCE: usize = 40;

fn grow(
    columns: &[Column],
    choice: &[usize],
    sample: &[usize],
    grad_hess: &[(f64, f64)],
    rows: usize,
    options: &TreeOptions,
) -> (Tree, Vec<usize>) {
    let mut leaf_of = vec![0_usize; rows];
    let mut splits = Vec::new();
    for depth in 0..options.depth {
        let leaves = 1 << depth;
        let mut best: Option<(f64, usize, usize)> = None;
        for &c in choice {
            let column = &columns[c];
            if let Some((gain, threshold)) =
                best_threshold(column, leaves, &leaf_of, sample, grad_hess, options.shrinkage)
                && best.is_none_or(|b| gain > b.0)
            {
                best = Some((gain, c, threshold));
            }
        }
        let Some((_, c, threshold)) = best else { break };
        splits.push((columns[c].feature, columns[c].thresholds[threshold]));
        for (leaf, &bin) in leaf_of.iter_mut().zip(&columns[c].bins) {
            *leaf |= usize::from(usize::from(bin) > threshold) << depth;
        }
    }
    let mut sums = vec![(0.0, 0.0); 1 << splits.len()];
    for &k in sample {
        sums[leaf_of[k]].0 += grad_hess[k].0;
        sums[leaf_of[k]].1 += grad_hess[k].1;
    }
    let value = |s: &(f64, f64)| (options.learning_rate * s.0 / (s.1 + options.shrinkage)) as f32;
    (Tree { splits, leaves: sums.iter().map(value).collect() }, leaf_of)
}

/// The threshold of a column with the largest gain over all leaves together.
fn best_threshold(
    column: &Column,
    leaves: usize,
    leaf_of: &[usize],
    sample: &[usize],
    grad_hess: &[(f64, f64)],
    shrinkage: f64,
) -> Option<(f64, usize)> {
    let bins = column.thresholds.len() + 1;
    let mut histogram = vec![(0.0_f64, 0.0_f64); leaves * bins];
    for &k in sample {
        let cell = &mut histogram[leaf_of[k] * bins + usize::from(column.bins[k])];
        cell.0 += grad_hess[k].0;
        cell.1 += grad_hess[k].1;
    }
    let score = |s: (f64, f64)| s.0 * s.0 / (s.1 + shrinkage);
    let mut gains = vec![0.0; bins - 1];
    for leaf in histogram.chunks(bins) {
        let total = leaf.iter().fold((0.0, 0.0), |t, s| (t.0 + s.0, t.1 + s.1));
        let mut left = (0.0, 0.0);
        for (gain, s) in gains.iter_mut().zip(leaf) {
            left = (left.0 + s.0, left.1 + s.1);
            let right = (total.0 - left.0, total.1 - left.1);
            *gain += score(left) + score(right) - score(total);
        }
    }
    let best = gains.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.filter(|(_, gain)| **gain > 1e-9).map(|(threshold, gain)| (*gain, threshold))
}

/// Bins of all features that take part; thresholds come from the first `train` of the rows.
fn columns(rows: &[Row], all: &[usize], train: usize, buckets: usize) -> Vec<Column> {
    let dense =
        (0..DENSE).map(|f| (f, all.iter().map(|&i| rows[i].features.dense[f]).collect::<Vec<_>>()));
    let mut filled = vec![0_usize; super::network::BUCKETS];
    for &i in &all[..train] {
        rows[i].features.buckets.iter().for_each(|b| filled[b.0 as usize] += 1);
    }
    let mut frequent: Vec<usize> = (0..filled.len()).filter(|&b| filled[b] > 0).collect();
    frequent.sort_by_key(|&b| (std::cmp::Reverse(filled[b]), b));
    frequent.truncate(buckets);
    let mut slot = vec![usize::MAX; filled.len()];
    frequent.iter().enumerate().for_each(|(k, &b)| slot[b] = k);
    let mut hashed = vec![vec![0.0; all.len()]; frequent.len()];
    for (r, &i) in all.iter().enumerate() {
        for &(bucket, value) in &rows[i].features.buckets {
            if let Some(column) = hashed.get_mut(slot[bucket as usize]) {
                column[r] = value;
            }
        }
    }
    let hashed = frequent.iter().map(|b| DENSE + b).zip(hashed);
    let columns = dense.chain(hashed).filter_map(|(feature, values)| {
        let thresholds = thresholds(&values[..train]);
        let bin = |v: &f32| thresholds.partition_point(|threshold| threshold < v) as u8;
        let bins = values.iter().map(bin).collect();
        (!thresholds.is_empty()).then_some(Column { feature, thresholds, bins })
    });
    columns.collect()
}

/// At most [`MAX_THRESHOLDS`] thresholds between the quantiles of some values.
fn thresholds(values: &[f32]) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let between = |a: f32, b: f32| a + (b - a) / 2.0;
    if distinct.len() <= MAX_THRESHOLDS + 1 {
        return distinct.windows(2).map(|w| between(w[0], w[1])).collect();
    }
    let mut thresholds: Vec<f32> = (1..=MAX_THRESHOLDS)
        .filter_map(|k| {
            let value = sorted[(sorted.len() - 1) * k / (MAX_THRESHOLDS + 1)];
            let next = distinct.partition_point(|d| *d <= value);
            distinct.get(next).map(|above| between(value, *above))
        })
        .collect();
    // Values that few rows differ from leave gaps: zero against the smallest value is one of them.
    thresholds.push(between(distinct[0], distinct[1]));
    // As a model's file keeps them, before anything is compared with them.
    thresholds.iter_mut().for_each(half);
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    thresholds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fixture::rows;

    fn options() -> TreeOptions {
        TreeOptions {
            trees: 40,
            depth: 2,
            learning_rate: 0.3,
            shrinkage: 1.0,
            feature_share: 1.0,
            row_share: 1.0,
            buckets: 50,
            runs: 1,
            objective: Objective::Sufficient,
        }
    }

    #[test]
    fn trees_combine_an_engineered_and_a_hashed_feature() {
        let rows = rows(600, |engineered, word| engineered || word);
        let (train, val): (Vec<_>, Vec<_>) = (0..600).partition(|i| i % 5 != 0);
        let trees = fit(&rows, &train, &val, &options(), 1);
        for &i in &val {
            let features = &rows[i].features;
            let logit = trees.logit(&features.dense, &features.buckets);
            assert_eq!(logit > 0.0, rows[i].cheap_ok, "row {i}: {logit}");
        }
    }

    #[test]
    fn the_seed_decides_the_trees() {
        let rows = rows(300, |engineered, word| engineered != word);
        let all: Vec<usize> = (0..300).collect();
        let options = TreeOptions { feature_share: 0.5, row_share: 0.5, ..options() };
        let fit = |seed| fit(&rows, &all, &all, &options, seed);
        assert_eq!(fit(3), fit(3));
        assert_ne!(fit(3), fit(4));
    }

    #[test]
    fn thresholds_separate_zero_from_the_smallest_value() {
        let mut values = vec![0.0; 1000];
        values.extend((1..=40).map(|k| k as f32));
        let thresholds = thresholds(&values);
        assert_eq!(thresholds[0], 0.5);
        assert!(
            thresholds.windows(2).all(|w| w[0] < w[1]) && thresholds.len() <= MAX_THRESHOLDS + 1
        );
    }
}
