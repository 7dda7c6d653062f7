//! The operators of a model, one after the other.

use std::collections::{HashMap, HashSet};

use tract_core::internal::{Arc, SessionState};
use tract_core::ops::konst::Const;
use tract_core::prelude::{
    OutletId, TValue, TVec, Tensor, TractError, TractResult, TypedModel, TypedOp,
};

/// A model, ready to run.
///
/// tract's own plan sets up a session for every run. That is little beside a large model, but as much
/// as all of a router's small operators.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
    output: Source,
}

/// An operator with one output, which is found behind the model's inputs and the outputs of the steps
/// before.
#[derive(Debug)]
struct Step {
    op: Box<dyn TypedOp>,
    inputs: Vec<Source>,
}

#[derive(Clone, Debug)]
enum Source {
    Constant(Arc<Tensor>),
    Value(usize),
    /// A value that nothing needs afterwards, so that the operator may write over it.
    LastUse(usize),
}

impl Plan {
    /// Of a model with one output, whose operators have one output each and keep no state.
    pub(super) fn new(model: &TypedModel) -> TractResult<Self> {
        let inputs = model.inputs.iter().enumerate();
        let mut sources: HashMap<usize, Source> =
            inputs.map(|(place, input)| (input.node, Source::Value(place))).collect();
        let find = |sources: &HashMap<usize, Source>, outlet: &OutletId| {
            let source = sources.get(&outlet.node).cloned();
            source.ok_or_else(|| TractError::msg("an operator runs before what it needs"))
        };
        let mut steps = Vec::new();
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
            let inputs = inputs.collect::<TractResult<_>>()?;
            sources.insert(id, Source::Value(model.inputs.len() + steps.len()));
            steps.push(Step { op: node.op.clone(), inputs });
        }
        let outlet = model.outputs.first().ok_or_else(|| TractError::msg("no output"))?;
        let mut plan = Plan { steps, output: find(&sources, outlet)? };
        plan.mark_last_uses();
        Ok(plan)
    }

    fn mark_last_uses(&mut self) {
        let mut used = HashSet::new();
        let inputs = self.steps.iter_mut().rev().flat_map(|step| step.inputs.iter_mut().rev());
        for source in std::iter::once(&mut self.output).chain(inputs) {
            if let Source::Value(place) = *source
                && used.insert(place)
            {
                *source = Source::LastUse(place);
            }
        }
    }

    /// The output for these inputs, in the model's order.
    pub(super) fn run(&self, inputs: impl IntoIterator<Item = TValue>) -> TractResult<TValue> {
        let session = SessionState::default();
        let mut values: Vec<Option<TValue>> = inputs.into_iter().map(Some).collect();
        for (number, step) in self.steps.iter().enumerate() {
            let inputs = step.inputs.iter().map(|source| source.take(&mut values));
            let inputs = inputs.collect::<TractResult<TVec<_>>>()?;
            values.push(step.op.eval_with_session(number, &session, inputs)?.pop());
        }
        self.output.take(&mut values)
    }

    #[cfg(test)]
    pub(super) fn runs(&self, operator: &str) -> bool {
        self.steps.iter().any(|step| step.op.name() == operator)
    }
}

impl Source {
    fn take(&self, values: &mut [Option<TValue>]) -> TractResult<TValue> {
        let value = match self {
            Source::Constant(constant) => Some(TValue::Const(Arc::clone(constant))),
            Source::Value(place) => values.get(*place).cloned().flatten(),
            Source::LastUse(place) => values.get_mut(*place).and_then(Option::take),
        };
        value.ok_or_else(|| TractError::msg("a value is missing"))
    }
}
