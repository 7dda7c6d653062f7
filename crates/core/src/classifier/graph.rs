//! ONNX graph to a tract plan.
//!
//! Only the operators that a router model needs are mapped; linking tract's whole importer would
//! more than double the filter. An operator that is missing here is refused by name.

use std::collections::HashSet;

use prost::Message;
use tract_core::internal::{Fact, SpecialOps};
use tract_core::prelude::{DatumExt, OutletId};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::forest::{self, Found};
use super::kernel::KernelOp;
use super::operators::Node;
use super::plan::Plan;
use super::wiring::{Refusal, Wiring, graph_error};
use super::{MAX_NUMBERS, ModelError};

/// The name of the output that a second question is answered in.
pub const GAIN: &str = "gain";

/// Decodes and wires a model that takes `width` features and gives `targets` scores. `gain` asks for
/// its output of that name in the place of its first one.
pub(crate) fn plan(
    onnx: &[u8],
    width: usize,
    targets: usize,
    gain: bool,
) -> Result<Plan, ModelError> {
    let proto = ModelProto::decode(onnx).map_err(|error| ModelError::NotOnnx(error.to_string()))?;
    let graph = proto.graph.ok_or_else(|| ModelError::NotOnnx("no graph".to_owned()))?;
    let mut wiring = Wiring::new(&graph, width)?;
    let mut forests = forest::find(&graph, &wiring.constants);
    let within: HashSet<&str> =
        forests.values().flat_map(|found| found.within.iter().copied()).collect();
    let mut numbers = 0_usize;
    for node in &graph.node {
        let name = node.output.first().map_or("", String::as_str);
        if within.contains(name) || wiring.constants.contains_key(name) {
            continue;
        }
        add_node(&mut wiring, node, name, forests.remove(name))?;
        // At once: what comes next computes with these shapes.
        numbers = numbers.saturating_add(made(&wiring, name)?);
        if numbers > MAX_NUMBERS {
            return Err(ModelError::TooMuchMemory { numbers });
        }
    }
    finish(wiring, &graph, targets, gain)
}

/// Numbers that a node leaves in one run; more than there are when its shape says more.
fn made(wiring: &Wiring, name: &str) -> Result<usize, ModelError> {
    let Some(wire) = wiring.wires.get(name) else { return Ok(0) };
    let fact = wiring.model.outlet_fact(*wire).map_err(graph_error)?;
    let shape = fact.shape.as_concrete().unwrap_or_default();
    let size = shape.iter().try_fold(1_usize, |size, length| size.checked_mul(*length));
    Ok(size.unwrap_or(usize::MAX))
}

fn add_node(
    wiring: &mut Wiring,
    proto: &NodeProto,
    name: &str,
    forest: Option<Found>,
) -> Result<(), ModelError> {
    let problem = |problem: String| ModelError::Node { node: name.to_owned(), problem };
    let [_] = proto.output.as_slice() else {
        return Err(problem("expected one output".to_owned()));
    };
    let wire = match forest {
        Some(found) => wire_forest(wiring, name, found),
        None => Node { proto, name, wiring }.wire(),
    };
    let wire = wire.map_err(|refusal| match refusal {
        Refusal::Operator => {
            ModelError::Operator { operator: proto.op_type.clone(), node: name.to_owned() }
        }
        Refusal::Problem(text) => problem(text),
    })?;
    wiring.wires.insert(name.to_owned(), wire);
    Ok(())
}

fn wire_forest(wiring: &mut Wiring, name: &str, found: Found) -> Result<OutletId, Refusal> {
    let inputs = [wiring.wire(found.features)?, wiring.wire(found.summand)?];
    let outlets = wiring.model.wire_node(name, KernelOp::new(found.forest), &inputs)?;
    Ok(outlets.first().copied().ok_or("no outlet")?)
}

fn finish(
    mut wiring: Wiring,
    graph: &GraphProto,
    targets: usize,
    gain: bool,
) -> Result<Plan, ModelError> {
    let output = match graph.output.as_slice() {
        [scores] if !gain => scores,
        [scores, second] if second.name == GAIN => {
            if gain {
                second
            } else {
                scores
            }
        }
        _ => {
            return Err(graph_error(
                "expected one output, f32[1, targets], and where the manifest has gain_threshold a \
                 second one called gain",
            ));
        }
    };
    let wire = wiring
        .wires
        .get(&output.name)
        .copied()
        .ok_or_else(|| graph_error(format!("no node makes the output \"{}\"", output.name)))?;
    wiring.model.set_output_outlets(&[wire]).map_err(graph_error)?;
    let fact = wiring.model.outlet_fact(wire).map_err(graph_error)?;
    let expected = f32::fact([1, targets]);
    if !fact.compatible_with(&expected) {
        return Err(graph_error(format!(
            "the output is {fact:?}, expected f32[1, {targets}]: one score for each target of the manifest"
        )));
    }
    Plan::new(&wiring.model).map_err(graph_error)
}
