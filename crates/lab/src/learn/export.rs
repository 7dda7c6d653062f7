//! A [`Model`] as ONNX.

use super::graph::Graph;
use super::layer::{Layer, Matrix};
use super::model::{Model, ModelPart};
use super::network::Network;
use super::scaler::{CLIP, Scaler};
use super::trees::{Tree, Trees};
use pointsman_core::classifier::GAIN;
use pointsman_core::features::{DENSE, LEN};

/// Encodes the models of the non-strongest targets, cheapest first: input `features`
/// `f32[1, LEN]`, output `scores` `f32[1, models]`, and where there are models of the gain, an
/// output `gain` of that shape from nodes of its own.
///
/// A node costs time in the filter, however small its tensors are. So the head's
/// weights and all last biases are folded into constants, the networks' first layers stand side by
/// side in one product, and every product adds to the sum so far.
pub fn to_onnx(models: &[&Model], gain: &[&Model]) -> Vec<u8> {
    let mut graph = Graph::default();
    let mut outputs = vec![(SCORES, models.len())];
    scores(&mut graph, models, "", SCORES);
    if !gain.is_empty() {
        scores(&mut graph, gain, GAIN_PREFIX, GAIN);
        outputs.push((GAIN, gain.len()));
    }
    graph.encode(("features", LEN), &outputs)
}

/// The name of the first output.
pub(super) const SCORES: &str = "scores";
/// Put before the names of what only the output [`GAIN`] needs.
pub(super) const GAIN_PREFIX: &str = "gain_";

fn scores(graph: &mut Graph, models: &[&Model], prefix: &str, output: &str) {
    let several = models.len() > 1;
    let mut logits = Vec::new();
    for (k, model) in models.iter().enumerate() {
        let target = if several { format!("target{k}_") } else { String::new() };
        graph.prefix(format!("{prefix}{target}"));
        logits.push(logit(graph, model));
    }
    graph.prefix(prefix.to_owned());
    let logits: Vec<&str> = logits.iter().map(String::as_str).collect();
    let logit = match logits.as_slice() {
        [logit] => (*logit).to_owned(),
        several => graph.concat("logits", several),
    };
    graph.prefix(String::new());
    graph.node("Sigmoid", output, &[&logit]);
}

/// The logit of one model, `f32[1, 1]`.
fn logit(graph: &mut Graph, model: &Model) -> String {
    let mut offset = model.head.offset;
    let (mut forests, mut networks, mut initials) = (Vec::new(), Vec::new(), Vec::new());
    for (part, &weight) in model.parts.iter().zip(&model.head.weights) {
        match part {
            ModelPart::Network(part) => networks.push(weighted(part, weight, &mut offset)),
            ModelPart::Trees(part) => {
                offset += weight * part.bias;
                forests.push((part, weight));
            }
            ModelPart::Initial(part) => initials.push((part, weight)),
        }
    }
    let mut logit = graph.floats("offset", &[1, 1], &[offset]);
    for (k, (part, weight)) in forests.into_iter().enumerate() {
        logit = trees(graph, &format!("trees{k}"), part, weight, &logit);
    }
    if !networks.is_empty() {
        logit = add_networks(graph, &networks, &model.scaler, logit);
    }
    for (part, weight) in initials {
        let (nodes, own) = part.graph();
        let own = graph.include(nodes, own, "features");
        let weight = graph.floats("initial_weight", &[1, 1], &[weight]);
        logit = graph.node("Gemm", "initial_logit", &[&own, &weight, &logit]);
    }
    logit
}

/// The network whose output is `weight` times that of `net`, without its last bias, which goes
/// into `offset`.
fn weighted(net: &Network, weight: f32, offset: &mut f32) -> Network {
    let mut net = net.clone();
    net.scale(weight);
    for bias in &mut net.last().bias {
        *offset += std::mem::take(bias);
    }
    net
}

fn scale(graph: &mut Graph, input: &str, scaler: &Scaler) -> String {
    let mean = graph.floats("mean", &[1, DENSE], &scaler.mean);
    let inverse = graph.floats("inverse_deviation", &[1, DENSE], &scaler.inverse_deviation);
    let centred = graph.node("Sub", "centred", &[input, &mean]);
    let standardised = graph.node("Mul", "standardised", &[&centred, &inverse]);
    graph.clip("scaled", &standardised, -CLIP, CLIP)
}

/// The sum so far plus the output of each network.
fn add_networks(
    graph: &mut Graph,
    networks: &[Network],
    scaler: &Scaler,
    mut logit: String,
) -> String {
    let input = graph.columns("dense", "features", 0, DENSE);
    let scaled = scale(graph, &input, scaler);
    let first = Layer {
        weights: side_by_side(networks.iter().map(|net| &net.first.weights)),
        bias: networks.iter().flat_map(|net| &net.first.bias).copied().collect(),
    };
    let own = dense(graph, "first", &first, &scaled);
    // Zeros for the dense features: cheaper than cutting the hashed ones out.
    let bag = side_by_side(networks.iter().map(|net| &net.hashed));
    let mut padded = vec![0.0; DENSE * bag.columns];
    padded.extend(bag.values);
    let bag = graph.halves("hashed_weights", &[LEN, bag.columns], &padded);
    let all = graph.node("Gemm", "hidden", &["features", &bag, &own]);
    let mut start = 0;
    for (k, net) in networks.iter().enumerate() {
        let end = start + net.first.bias.len();
        let mut hidden = graph.columns(&format!("network{k}"), &all, start, end);
        start = end;
        let Some((last, between)) = net.rest.split_last() else {
            logit = graph.node("Add", &format!("network{k}_logit"), &[&hidden, &logit]);
            continue;
        };
        for (depth, layer) in between.iter().enumerate() {
            let name = format!("network{k}_layer{}", depth + 1);
            let active = graph.node("Relu", &format!("{name}_input"), &[&hidden]);
            hidden = dense(graph, &name, layer, &active);
        }
        let name = format!("network{k}_logit");
        let active = graph.node("Relu", &format!("{name}_input"), &[&hidden]);
        // The last bias is part of the offset.
        let weights = matrix(graph, &format!("{name}_weights"), &last.weights);
        logit = graph.node("Gemm", &name, &[&active, &weights, &logit]);
    }
    logit
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

/// A threshold that no feature reaches: the largest half float.
const NEVER: f32 = 65504.0;

/// The sum so far plus all trees at once, without their bias. Every depth of every tree is one
/// column of comparisons, first the first split of all trees; per tree, the bits make a number, and
/// the number finds the leaf.
pub(super) fn trees(
    graph: &mut Graph,
    name: &str,
    trees: &Trees,
    weight: f32,
    logit: &str,
) -> String {
    let depth = trees.trees.iter().map(|tree| tree.splits.len()).max().unwrap_or(0).max(1);
    let (count, leaves) = (trees.trees.len(), 1_usize << depth);
    // A tree that ended early gets splits whose bit is never set.
    let split = |depth: usize| {
        trees.trees.iter().map(move |tree| *tree.splits.get(depth).unwrap_or(&(0, NEVER)))
    };
    let splits: Vec<(usize, f32)> = (0..depth).flat_map(split).collect();
    let table = |tree: &Tree| -> Vec<f32> {
        let weighted = tree.leaves.iter().map(|leaf| leaf * weight);
        weighted.chain(std::iter::repeat(0.0)).take(leaves).collect()
    };
    let table: Vec<f32> = trees.trees.iter().flat_map(table).collect();
    let columns: Vec<usize> = splits.iter().map(|split| split.0).collect();
    let thresholds: Vec<f32> = splits.iter().map(|split| split.1).collect();
    let powers: Vec<f32> = (0..depth).map(|k| (1_usize << k) as f32).collect();
    let starts: Vec<f32> = (0..count).map(|tree| (tree * leaves) as f32).collect();

    let columns = graph.positions(&format!("{name}_columns"), &columns);
    let thresholds = graph.halves(&format!("{name}_cuts"), &[1, splits.len()], &thresholds);
    let powers = graph.floats(&format!("{name}_powers"), &[1, depth], &powers);
    let starts = graph.floats(&format!("{name}_starts"), &[1, count], &starts);
    let table = graph.halves(&format!("{name}_leaves"), &[1, table.len()], &table);

    let values = graph.gather(&format!("{name}_values"), "features", &columns, 1);
    let above = graph.node("Less", &format!("{name}_above"), &[&thresholds, &values]);
    let bits = graph.cast_float(&format!("{name}_bits"), &above);
    let bits = graph.reshape(&format!("{name}_levels"), &bits, &[depth as i64, count as i64]);
    let entry = graph.node("Gemm", &format!("{name}_entries"), &[&powers, &bits, &starts]);
    let entry = graph.cast_integer(&format!("{name}_indices"), &entry);
    let entry = graph.reshape(&format!("{name}_flat"), &entry, &[count as i64]);
    let found = graph.gather(&format!("{name}_found"), &table, &entry, 1);
    let ones = graph.floats(&format!("{name}_ones"), &[count, 1], &vec![1.0; count]);
    graph.node("Gemm", name, &[&found, &ones, logit])
}

fn dense(graph: &mut Graph, name: &str, layer: &Layer, input: &str) -> String {
    let weights = matrix(graph, &format!("{name}_weights"), &layer.weights);
    let bias = graph.floats(&format!("{name}_bias"), &[1, layer.bias.len()], &layer.bias);
    graph.node("Gemm", name, &[input, &weights, &bias])
}

fn matrix(graph: &mut Graph, name: &str, matrix: &Matrix) -> String {
    graph.floats(name, &[matrix.rows, matrix.columns], &matrix.values)
}
