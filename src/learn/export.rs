//! A [`Model`] as ONNX.

use super::graph::Graph;
use super::model::{Model, Part};
use super::network::{Layer, Matrix, Network};
use super::scaler::{CLIP, Scaler};
use super::trees::{Tree, Trees};
use crate::features::{ENGINEERED, LEN};

/// Encodes a model: input `features` `f32[1, LEN]`, output `scores` `f32[1, 1]`.
pub fn to_onnx(model: &Model) -> Vec<u8> {
    let mut graph = Graph::default();
    let engineered = graph.columns("engineered", "features", 0, ENGINEERED);
    let hashed = graph.columns("hashed", "features", ENGINEERED, LEN);
    let scaled = scale(&mut graph, &engineered, &model.scaler);
    let mut sum: Option<String> = None;
    for (k, (part, weight)) in model.parts.iter().zip(&model.head.weights).enumerate() {
        let name = format!("part{k}");
        let logit = match part {
            Part::Network(part) => network(&mut graph, &name, part, &scaled, &hashed),
            Part::Trees(part) => trees(&mut graph, &name, part),
        };
        let weight = graph.floats(&format!("part{k}_weight"), &[1, 1], &[*weight]);
        let term = graph.node("Mul", &format!("part{k}_term"), &[&logit, &weight]);
        sum = Some(match sum {
            Some(sum) => graph.node("Add", &format!("sum{k}"), &[&sum, &term]),
            None => term,
        });
    }
    let offset = graph.floats("offset", &[1, 1], &[model.head.offset]);
    let logit = match sum {
        Some(sum) => graph.node("Add", "logit", &[&sum, &offset]),
        None => offset,
    };
    graph.node("Sigmoid", "scores", &[&logit]);
    graph.encode(("features", LEN), ("scores", 1))
}

fn scale(graph: &mut Graph, engineered: &str, scaler: &Scaler) -> String {
    let mean = graph.floats("mean", &[1, ENGINEERED], &scaler.mean);
    let inverse = graph.floats("inverse_deviation", &[1, ENGINEERED], &scaler.inverse_deviation);
    let centred = graph.node("Sub", "centred", &[engineered, &mean]);
    let standardised = graph.node("Mul", "standardised", &[&centred, &inverse]);
    graph.clip("scaled", &standardised, -CLIP, CLIP)
}

fn network(graph: &mut Graph, name: &str, net: &Network, scaled: &str, hashed: &str) -> String {
    let own = dense(graph, &format!("{name}_first"), &net.first, scaled);
    let weights = matrix(graph, &format!("{name}_hashed_weights"), &net.hashed);
    let bag = graph.node("MatMul", &format!("{name}_hashed"), &[hashed, &weights]);
    let mut hidden = graph.node("Add", &format!("{name}_hidden0"), &[&own, &bag]);
    for (k, layer) in net.rest.iter().enumerate() {
        let active = graph.node("Relu", &format!("{name}_relu{k}"), &[&hidden]);
        hidden = dense(graph, &format!("{name}_layer{}", k + 1), layer, &active);
    }
    hidden
}

/// All trees at once. Every level of every tree is one column of comparisons; per tree, the bits
/// make a number, and the number finds the leaf.
fn trees(graph: &mut Graph, name: &str, trees: &Trees) -> String {
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
        .flat_map(|tree| tree.leaves.iter().copied().chain(std::iter::repeat(0.0)).take(leaves))
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
    let bias = graph.floats(&format!("{name}_bias"), &[1, 1], &[trees.bias]);

    let values = graph.gather(&format!("{name}_values"), "features", &columns, 1);
    let above = graph.node("Less", &format!("{name}_above"), &[&cuts, &values]);
    let bits = graph.to_float(&format!("{name}_bits"), &above);
    let bits = graph.reshape(&format!("{name}_levels"), &bits, &[count as i64, depth as i64]);
    let number = graph.node("MatMul", &format!("{name}_numbers"), &[&bits, &powers]);
    let entry = graph.node("Add", &format!("{name}_entries"), &[&number, &starts]);
    let entry = graph.to_integer(&format!("{name}_indices"), &entry);
    let entry = graph.reshape(&format!("{name}_flat"), &entry, &[count as i64]);
    let found = graph.gather(&format!("{name}_found"), &table, &entry, 0);
    let sum = graph.sum_rows(&format!("{name}_sum"), &found);
    graph.node("Add", name, &[&sum, &bias])
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
