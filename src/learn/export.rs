//! A [`Model`] as ONNX.

use super::graph::Graph;
use super::model::Model;
use super::network::{Layer, Matrix, Network};
use super::scaler::{CLIP, Scaler};
use crate::features::{ENGINEERED, LEN};

/// Encodes a model: input `features` `f32[1, LEN]`, output `scores` `f32[1, 1]`.
pub fn to_onnx(model: &Model) -> Vec<u8> {
    let mut graph = Graph::default();
    let engineered = graph.columns("engineered", "features", 0, ENGINEERED);
    let hashed = graph.columns("hashed", "features", ENGINEERED, LEN);
    let scaled = scale(&mut graph, &engineered, &model.scaler);
    let mut sum: Option<String> = None;
    for (k, (part, weight)) in model.parts.iter().zip(&model.head.weights).enumerate() {
        let logit = network(&mut graph, &format!("part{k}"), part, &scaled, &hashed);
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

fn dense(graph: &mut Graph, name: &str, layer: &Layer, input: &str) -> String {
    let weights = matrix(graph, &format!("{name}_weights"), &layer.weights);
    let bias = graph.floats(&format!("{name}_bias"), &[1, layer.bias.len()], &layer.bias);
    let product = graph.node("MatMul", &format!("{name}_product"), &[input, &weights]);
    graph.node("Add", name, &[&product, &bias])
}

fn matrix(graph: &mut Graph, name: &str, matrix: &Matrix) -> String {
    graph.floats(name, &[matrix.rows, matrix.columns], &matrix.values)
}
