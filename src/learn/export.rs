//! A [`Model`] as ONNX.

use super::graph::Graph;
use super::model::{Model, Part};
use super::network::{Layer, Matrix, Network};
use super::scaler::{CLIP, Scaler};
use super::trees::{Tree, Trees};
use crate::features::{ENGINEERED, LEN};

/// Encodes a model: input `features` `f32[1, LEN]`, output `scores` `f32[1, 1]`.
///
/// A node costs about a microsecond in the filter, however small its tensors are. So the head's
/// weights and all last biases are folded into constants, and the networks' first layers stand
/// side by side in one product.
pub fn to_onnx(model: &Model) -> Vec<u8> {
    let mut graph = Graph::default();
    let mut offset = model.head.offset;
    let mut terms = Vec::new();
    let mut networks = Vec::new();
    for (k, (part, &weight)) in model.parts.iter().zip(&model.head.weights).enumerate() {
        match part {
            Part::Network(part) => networks.push(weighted(part, weight, &mut offset)),
            Part::Trees(part) => {
                offset += weight * part.bias;
                terms.push(trees(&mut graph, &format!("trees{k}"), part, weight));
            }
        }
    }
    if !networks.is_empty() {
        terms.extend(network_terms(&mut graph, &networks, &model.scaler));
    }
    let mut logit = graph.floats("offset", &[1, 1], &[offset]);
    for (k, term) in terms.iter().enumerate() {
        logit = graph.node("Add", &format!("sum{k}"), &[term, &logit]);
    }
    graph.node("Sigmoid", "scores", &[&logit]);
    graph.encode(("features", LEN), ("scores", 1))
}

/// The network whose output is `weight` times that of `net`, without its last bias, which goes
/// into `offset`.
fn weighted(net: &Network, weight: f32, offset: &mut f32) -> Network {
    let mut net = net.clone();
    if net.rest.is_empty() {
        net.hashed.values.iter_mut().for_each(|value| *value *= weight);
    }
    let last = net.rest.last_mut().unwrap_or(&mut net.first);
    last.weights.values.iter_mut().for_each(|value| *value *= weight);
    for bias in &mut last.bias {
        *offset += weight * std::mem::take(bias);
    }
    net
}

fn scale(graph: &mut Graph, engineered: &str, scaler: &Scaler) -> String {
    let mean = graph.floats("mean", &[1, ENGINEERED], &scaler.mean);
    let inverse = graph.floats("inverse_deviation", &[1, ENGINEERED], &scaler.inverse_deviation);
    let centred = graph.node("Sub", "centred", &[engineered, &mean]);
    let standardised = graph.node("Mul", "standardised", &[&centred, &inverse]);
    graph.clip("scaled", &standardised, -CLIP, CLIP)
}

/// The output of each network.
fn network_terms(graph: &mut Graph, networks: &[Network], scaler: &Scaler) -> Vec<String> {
    let engineered = graph.columns("engineered", "features", 0, ENGINEERED);
    let hashed = graph.columns("hashed", "features", ENGINEERED, LEN);
    let scaled = scale(graph, &engineered, scaler);
    let first = Layer {
        weights: side_by_side(networks.iter().map(|net| &net.first.weights)),
        bias: networks.iter().flat_map(|net| &net.first.bias).copied().collect(),
    };
    let own = dense(graph, "first", &first, &scaled);
    let bag = side_by_side(networks.iter().map(|net| &net.hashed));
    let bag = matrix(graph, "hashed_weights", &bag);
    let bag = graph.node("MatMul", "hashed_product", &[&hashed, &bag]);
    let all = graph.node("Add", "hidden", &[&own, &bag]);
    let mut start = 0;
    let mut terms = Vec::new();
    for (k, net) in networks.iter().enumerate() {
        let end = start + net.first.bias.len();
        let mut hidden = graph.columns(&format!("network{k}"), &all, start, end);
        start = end;
        for (depth, layer) in net.rest.iter().enumerate() {
            let name = format!("network{k}_layer{}", depth + 1);
            let active = graph.node("Relu", &format!("{name}_input"), &[&hidden]);
            hidden = if depth + 1 < net.rest.len() {
                dense(graph, &name, layer, &active)
            } else {
                // The last bias is part of the offset.
                let weights = matrix(graph, &format!("{name}_weights"), &layer.weights);
                graph.node("MatMul", &name, &[&active, &weights])
            };
        }
        terms.push(hidden);
    }
    terms
}

/// Matrices with the same number of rows as one.
fn side_by_side<'m>(matrices: impl Iterator<Item = &'m Matrix> + Clone) -> Matrix {
    let rows = matrices.clone().map(|matrix| matrix.rows).max().unwrap_or(0);
    let columns = matrices.clone().map(|matrix| matrix.columns).sum();
    let row = |k: usize| {
        matrices.clone().flat_map(move |m| &m.values[k * m.columns..(k + 1) * m.columns])
    };
    Matrix { rows, columns, values: (0..rows).flat_map(row).copied().collect() }
}

/// All trees at once. Every level of every tree is one column of comparisons; per tree, the bits
/// make a number, and the number finds the leaf. The bias is not in it.
fn trees(graph: &mut Graph, name: &str, trees: &Trees, weight: f32) -> String {
    let depth = trees.trees.iter().map(|tree| tree.levels.len()).max().unwrap_or(0).max(1);
    let (count, leaves) = (trees.trees.len(), 1_usize << depth);
    // A tree that ended early gets levels whose bit is never set.
    let padded = |tree: &Tree| {
        let missing = depth - tree.levels.len();
        tree.levels.iter().copied().chain(std::iter::repeat_n((0, f32::MAX), missing)).collect()
    };
    let levels: Vec<(usize, f32)> =
        trees.trees.iter().flat_map(|tree| -> Vec<_> { padded(tree) }).collect();
    let table: Vec<f32> = trees
        .trees
        .iter()
        .flat_map(|tree| {
            tree.leaves.iter().map(|leaf| leaf * weight).chain(std::iter::repeat(0.0)).take(leaves)
        })
        .collect();
    let columns: Vec<i64> = levels.iter().map(|level| level.0 as i64).collect();
    let cuts: Vec<f32> = levels.iter().map(|level| level.1).collect();
    let powers: Vec<f32> = (0..depth).map(|k| (1_usize << k) as f32).collect();
    let starts: Vec<f32> = (0..count).map(|tree| (tree * leaves) as f32).collect();

    let columns = graph.integers(&format!("{name}_columns"), &columns);
    let cuts = graph.floats(&format!("{name}_cuts"), &[1, levels.len()], &cuts);
    let powers = graph.floats(&format!("{name}_powers"), &[depth, 1], &powers);
    let starts = graph.floats(&format!("{name}_starts"), &[count, 1], &starts);
    let table = graph.floats(&format!("{name}_leaves"), &[table.len(), 1], &table);

    let values = graph.gather(&format!("{name}_values"), "features", &columns, 1);
    let above = graph.node("Less", &format!("{name}_above"), &[&cuts, &values]);
    let bits = graph.cast_float(&format!("{name}_bits"), &above);
    let bits = graph.reshape(&format!("{name}_levels"), &bits, &[count as i64, depth as i64]);
    let number = graph.node("MatMul", &format!("{name}_numbers"), &[&bits, &powers]);
    let entry = graph.node("Add", &format!("{name}_entries"), &[&number, &starts]);
    let entry = graph.cast_integer(&format!("{name}_indices"), &entry);
    let entry = graph.reshape(&format!("{name}_flat"), &entry, &[count as i64]);
    let found = graph.gather(&format!("{name}_found"), &table, &entry, 0);
    let found = graph.reshape(&format!("{name}_row"), &found, &[1, count as i64]);
    let ones = graph.floats(&format!("{name}_ones"), &[count, 1], &vec![1.0; count]);
    graph.node("MatMul", name, &[&found, &ones])
}

fn dense(graph: &mut Graph, name: &str, layer: &Layer, input: &str) -> String {
    let weights = matrix(graph, &format!("{name}_weights"), &layer.weights);
    let bias = graph.floats(&format!("{name}_bias"), &[1, layer.bias.len()], &layer.bias);
    let product = graph.node("MatMul", &format!("{name}_product"), &[input, &weights]);
    graph.node("Add", name, &[&product, &bias])
}

fn matrix(graph: &mut Graph, name: &str, matrix: &Matrix) -> String {
    graph.floats(name, &[matrix.rows, matrix.columns], &matrix.values)
}
