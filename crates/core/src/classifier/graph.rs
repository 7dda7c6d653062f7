//! ONNX graph to a tract plan.
//!
//! Only the operators that a router model needs are mapped; linking tract's whole importer would
//! more than double the filter. An operator that is missing here is refused by name.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tract_core::internal::{Fact, SpecialOps};
use tract_core::prelude::{DatumExt, OutletId, Tensor, TypedModel};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::forest::{self, Found};
use super::operators::{Node, Refusal};
use super::plan::Plan;
use super::{ModelError, tensor};
use crate::features;

/// Decodes and wires a model with `targets` outputs.
pub(super) fn plan(onnx: &[u8], targets: usize) -> Result<Plan, ModelError> {
    let proto = ModelProto::decode(onnx).map_err(|error| ModelError::NotOnnx(error.to_string()))?;
    let graph = proto.graph.ok_or_else(|| ModelError::NotOnnx("no graph".to_owned()))?;
    let mut wiring = Wiring::new(&graph)?;
    let mut forests = forest::find(&graph, &wiring.constants);
    let within: HashSet<&str> =
        forests.values().flat_map(|found| found.within.iter().copied()).collect();
    for node in &graph.node {
        let name = node.output.first().map_or("", String::as_str);
        if !within.contains(name) {
            wiring.add(node, name, forests.remove(name))?;
        }
    }
    wiring.finish(&graph, targets)
}

fn graph_error(error: impl std::fmt::Display) -> ModelError {
    ModelError::Graph(error.to_string())
}

/// A tract model under construction: ONNX names to constants and wires.
pub(super) struct Wiring {
    pub(super) model: TypedModel,
    pub(super) constants: HashMap<String, Tensor>,
    wires: HashMap<String, OutletId>,
    pub(super) features: OutletId,
}

impl Wiring {
    fn new(graph: &GraphProto) -> Result<Self, ModelError> {
        let mut constants = HashMap::new();
        for initializer in &graph.initializer {
            let tensor = tensor::read(initializer).map_err(|problem| {
                ModelError::Graph(format!("initializer \"{}\": {problem}", initializer.name))
            })?;
            constants.insert(initializer.name.clone(), tensor);
        }
        let mut inputs = graph.input.iter().filter(|input| !constants.contains_key(&input.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(graph_error("expected one input, f32[1, features]"));
        };
        let mut model = TypedModel::default();
        let features =
            model.add_source(&input.name, f32::fact([1, features::LEN])).map_err(graph_error)?;
        let wires = HashMap::from([(input.name.clone(), features)]);
        Ok(Wiring { model, constants, wires, features })
    }

    fn add(
        &mut self,
        proto: &NodeProto,
        name: &str,
        forest: Option<Found>,
    ) -> Result<(), ModelError> {
        let problem = |problem: String| ModelError::Node { node: name.to_owned(), problem };
        let [_] = proto.output.as_slice() else {
            return Err(problem("expected one output".to_owned()));
        };
        let wire = match forest {
            Some(found) => self.forest(name, found),
            None => Node { proto, name, wiring: self }.wire(),
        };
        let wire = wire.map_err(|refusal| match refusal {
            Refusal::Operator => {
                ModelError::Operator { operator: proto.op_type.clone(), node: name.to_owned() }
            }
            Refusal::Problem(text) => problem(text),
        })?;
        self.wires.insert(name.to_owned(), wire);
        Ok(())
    }

    fn forest(&mut self, name: &str, found: Found) -> Result<OutletId, Refusal> {
        let inputs = [self.wire(found.features)?, self.wire(found.summand)?];
        let outlets = self.model.wire_node(name, found.forest, &inputs)?;
        Ok(outlets.first().copied().ok_or("no outlet")?)
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

    fn finish(mut self, graph: &GraphProto, targets: usize) -> Result<Plan, ModelError> {
        let [output] = graph.output.as_slice() else {
            return Err(graph_error("expected one output, f32[1, targets]"));
        };
        let wire =
            self.wires.get(&output.name).copied().ok_or_else(|| {
                graph_error(format!("no node makes the output \"{}\"", output.name))
            })?;
        self.model.set_output_outlets(&[wire]).map_err(graph_error)?;
        let fact = self.model.outlet_fact(wire).map_err(graph_error)?;
        let expected = f32::fact([1, targets]);
        if !fact.compatible_with(&expected) {
            return Err(graph_error(format!(
                "the output is {fact:?}, expected f32[1, {targets}]: one score for each target of the manifest"
            )));
        }
        Plan::new(&self.model).map_err(graph_error)
    }
}
