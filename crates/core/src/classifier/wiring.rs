//! A tract model under construction.

use std::collections::HashMap;

use tract_core::internal::SpecialOps;
use tract_core::prelude::{DatumExt, OutletId, Tensor, TypedModel};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::{ModelError, tensor};

/// Why a node cannot be wired.
pub(super) enum Refusal {
    Operator,
    Problem(String),
}

impl<E: std::fmt::Display> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::Problem(error.to_string())
    }
}

pub(super) fn graph_error(error: impl std::fmt::Display) -> ModelError {
    ModelError::Graph(error.to_string())
}

/// A tract model under construction: ONNX names to constants and wires.
pub(super) struct Wiring {
    pub(super) model: TypedModel,
    pub(super) constants: HashMap<String, Tensor>,
    pub(super) wires: HashMap<String, OutletId>,
    pub(super) features: OutletId,
}

impl Wiring {
    /// Of a graph that takes so many features.
    pub(super) fn new(graph: &GraphProto, width: usize) -> Result<Self, ModelError> {
        let mut constants = HashMap::new();
        for initializer in &graph.initializer {
            let tensor = tensor::read(initializer).map_err(|problem| {
                ModelError::Graph(format!("initializer \"{}\": {problem}", initializer.name))
            })?;
            constants.insert(initializer.name.clone(), tensor);
        }
        for initializer in graph.initializer.iter().filter(|it| is_half(it)) {
            let casts =
                graph.node.iter().filter(|node| node.input.first() == Some(&initializer.name));
            for output in casts.filter_map(float_cast) {
                if let Some(tensor) = constants.get(&initializer.name).cloned() {
                    constants.insert(output.to_owned(), tensor);
                }
            }
            constants.remove(&initializer.name);
        }
        let mut inputs = graph.input.iter().filter(|input| !constants.contains_key(&input.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(graph_error("expected one input, f32[1, features]"));
        };
        let mut model = TypedModel::default();
        let features = model.add_source(&input.name, f32::fact([1, width])).map_err(graph_error)?;
        let wires = HashMap::from([(input.name.clone(), features)]);
        Ok(Wiring { model, constants, wires, features })
    }

    /// What has this name, as a wire; a constant becomes one.
    pub(super) fn wire(&mut self, name: &str) -> Result<OutletId, Refusal> {
        if let Some(&wire) = self.wires.get(name) {
            return Ok(wire);
        }
        let constant = self
            .constants
            .get(name)
            .cloned()
            .ok_or_else(|| format!("input \"{name}\" is made by no earlier node"))?;
        let wire = self.model.add_const(name, constant)?;
        self.wires.insert(name.to_owned(), wire);
        Ok(wire)
    }
}

fn is_half(tensor: &TensorProto) -> bool {
    tensor.data_type == DataType::Float16 as i32
}

/// The output of a cast to `f32`, which half floats are already since they were read.
fn float_cast(node: &NodeProto) -> Option<&str> {
    let to = node.attribute.iter().find(|attribute| attribute.name == "to")?.i;
    let [output] = node.output.as_slice() else { return None };
    (node.op_type == "Cast" && to == DataType::Float as i64).then_some(output)
}
