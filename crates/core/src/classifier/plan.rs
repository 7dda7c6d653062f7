//! The operators of a model, one after the other.

use std::collections::HashMap;
use std::ops::Range;

use tract_core::internal::{Arc, SessionState};
use tract_core::ops::konst::Const;
use tract_core::prelude::{
    Datum, OutletId, TValue, TVec, Tensor, TractError, TractResult, TypedModel, TypedOp,
};

use super::kernel::{Kernel, KernelOp};
use crate::features::Features;

/// The vector that a model takes, `f32[1, values]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'i> {
    pub(crate) values: &'i [f32],
    /// A bit for each position that may be other than zero, the first ones in the lowest bits.
    pub(crate) occupied: &'i [u64],
}

impl<'i> From<&'i Features> for Input<'i> {
    fn from(features: &'i Features) -> Self {
        Input { values: features.as_slice(), occupied: features.occupied() }
    }
}

/// Most inputs that a kernel has.
const KERNEL_INPUTS: usize = 2;

/// A model, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    output: Source,
    /// Numbers that all steps together leave.
    scratch: usize,
    /// Tensors of other types than `f32`, which some of tract's operators leave.
    values: usize,
}

/// An operator with one output.
#[derive(Debug)]
struct Step {
    operator: Operator,
    inputs: Vec<Source>,
}

#[derive(Debug)]
enum Operator {
    /// Leaves numbers at this place of the scratch.
    Ours(Arc<dyn Kernel>, Range<usize>),
    Tract(Box<dyn TypedOp>, Output),
}

/// Where one of tract's operators leaves what it made.
#[derive(Debug)]
enum Output {
    Scratch(Range<usize>),
    Value(usize),
}

#[derive(Clone, Debug)]
enum Source {
    Features,
    Constant(Arc<Tensor>),
    /// `f32` of this shape, behind what earlier steps left.
    Scratch(Range<usize>, TVec<usize>),
    Value(usize),
}

impl Plan {
    /// Of a model that takes the features and has one `f32` output, whose operators have one output
    /// each and keep no state.
    pub(super) fn new(model: &TypedModel) -> TractResult<Self> {
        let input = model.inputs.first().ok_or_else(|| TractError::msg("no input"))?;
        let mut sources = HashMap::from([(input.node, Source::Features)]);
        let find = |sources: &HashMap<usize, Source>, outlet: &OutletId| {
            let source = sources.get(&outlet.node).cloned();
            source.ok_or_else(|| TractError::msg("an operator runs before what it needs"))
        };
        let (mut steps, mut scratch, mut values) = (Vec::new(), 0, 0);
        for id in model.eval_order()? {
            let node = model.node(id);
            if sources.contains_key(&id) {
                continue;
            }
            if let Some(constant) = node.op_as::<Const>() {
                sources.insert(id, Source::Constant(Arc::clone(constant.val())));
                continue;
            }
            let inputs = node.inputs.iter().map(|outlet| find(&sources, outlet));
            let inputs = inputs.collect::<TractResult<Vec<_>>>()?;
            let fact = model.outlet_fact(OutletId::new(id, 0))?;
            let shape = fact.shape.as_concrete().filter(|_| fact.datum_type == f32::datum_type());
            let operator = if let Some(shape) = shape {
                let start = scratch;
                scratch += shape.iter().product::<usize>();
                sources.insert(id, Source::Scratch(start..scratch, shape.into()));
                match node.op_as::<KernelOp>() {
                    Some(KernelOp(kernel)) => Operator::Ours(Arc::clone(kernel), start..scratch),
                    None => Operator::Tract(node.op.clone(), Output::Scratch(start..scratch)),
                }
            } else {
                sources.insert(id, Source::Value(values));
                values += 1;
                Operator::Tract(node.op.clone(), Output::Value(values - 1))
            };
            steps.push(Step { operator, inputs });
        }
        let outlet = model.outputs.first().ok_or_else(|| TractError::msg("no output"))?;
        Ok(Plan { steps, output: find(&sources, outlet)?, scratch, values })
    }

    /// The output for these features, which are as many as the model takes.
    pub(crate) fn run(&self, features: Input) -> TractResult<Vec<f32>> {
        let mut scratch = vec![0.0; self.scratch];
        let mut values: Vec<Option<TValue>> = vec![None; self.values];
        for (number, step) in self.steps.iter().enumerate() {
            match &step.operator {
                Operator::Ours(kernel, place) => {
                    let (before, after) =
                        scratch.split_at_mut_checked(place.start).unwrap_or_default();
                    let mut inputs: [&[f32]; KERNEL_INPUTS] = [&[]; KERNEL_INPUTS];
                    for (input, source) in inputs.iter_mut().zip(&step.inputs) {
                        *input = source.numbers(features, before)?;
                    }
                    let inputs = inputs.get(..step.inputs.len());
                    let output = after.get_mut(..place.len());
                    let done = inputs
                        .zip(output)
                        .and_then(|(inputs, output)| kernel.run(inputs, features.occupied, output));
                    done.ok_or_else(|| TractError::msg("an operator's inputs do not fit"))?;
                }
                Operator::Tract(op, output) => {
                    let inputs = step.inputs.iter();
                    let inputs = inputs.map(|source| source.value(features, &scratch, &values));
                    let inputs = inputs.collect::<TractResult<TVec<_>>>()?;
                    let outputs = op.eval_with_session(number, &SessionState::default(), inputs)?;
                    let made = outputs.into_iter().next().ok_or_else(missing)?;
                    match output {
                        Output::Scratch(place) => {
                            let place = scratch.get_mut(place.clone()).ok_or_else(missing)?;
                            let made = made.as_slice::<f32>()?;
                            if made.len() != place.len() {
                                return Err(TractError::msg("an operator gave another shape"));
                            }
                            place.copy_from_slice(made);
                        }
                        Output::Value(place) => {
                            *values.get_mut(*place).ok_or_else(missing)? = Some(made);
                        }
                    }
                }
            }
        }
        Ok(self.output.numbers(features, &scratch)?.to_vec())
    }

    #[cfg(test)]
    pub(super) fn runs(&self, operator: &str) -> bool {
        self.steps.iter().any(|step| match &step.operator {
            Operator::Ours(kernel, _) => kernel.name() == operator,
            Operator::Tract(op, _) => op.name() == operator,
        })
    }
}

fn missing() -> TractError {
    TractError::msg("a value is missing")
}

impl Source {
    fn numbers<'s>(&'s self, features: Input<'s>, scratch: &'s [f32]) -> TractResult<&'s [f32]> {
        match self {
            Source::Features => Ok(features.values),
            Source::Constant(constant) => constant.as_slice::<f32>(),
            Source::Scratch(range, _) => scratch.get(range.clone()).ok_or_else(missing),
            Source::Value(_) => Err(TractError::msg("numbers are expected")),
        }
    }

    fn value(
        &self,
        features: Input,
        scratch: &[f32],
        values: &[Option<TValue>],
    ) -> TractResult<TValue> {
        match self {
            Source::Features => {
                let tensor = Tensor::from_shape(&[1, features.values.len()], features.values)?;
                Ok(TValue::Const(Arc::new(tensor)))
            }
            Source::Constant(constant) => Ok(TValue::Const(Arc::clone(constant))),
            Source::Scratch(range, shape) => {
                let numbers = scratch.get(range.clone()).ok_or_else(missing)?;
                Ok(TValue::Const(Arc::new(Tensor::from_shape(shape, numbers)?)))
            }
            Source::Value(place) => values.get(*place).cloned().flatten().ok_or_else(missing),
        }
    }
}
