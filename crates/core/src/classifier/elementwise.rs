//! Operators that make one number out of one or two.

use tract_core::internal::{
    EvalOp, Op, StaticName, TVec, TractError, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::DatumExt;

use super::plan::Kernel;

/// An operator on two `f32` tensors of the same shape.
///
/// tract's own are generic over broadcasting and datum types, which costs more than the hundred
/// numbers that a router's model computes at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pairwise {
    Add,
    Sub,
    Mul,
    Div,
    /// As 0 and 1: a graph may only cast the result to a number, so the booleans in between are
    /// left out.
    Less,
}

impl Op for Pairwise {
    fn name(&self) -> StaticName {
        format!("{self:?}").into()
    }

    op_as_typed_op!();
}

impl EvalOp for Pairwise {
    fn is_stateless(&self) -> bool {
        true
    }
}

impl Kernel for Pairwise {
    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let &[left, right] = inputs else { return None };
        let pairs = output.iter_mut().zip(left).zip(right);
        match self {
            Pairwise::Add => pairs.for_each(|((result, left), right)| *result = left + right),
            Pairwise::Sub => pairs.for_each(|((result, left), right)| *result = left - right),
            Pairwise::Mul => pairs.for_each(|((result, left), right)| *result = left * right),
            Pairwise::Div => pairs.for_each(|((result, left), right)| *result = left / right),
            Pairwise::Less => pairs
                .for_each(|((result, left), right)| *result = f32::from(u8::from(left < right))),
        }
        Some(())
    }
}

impl TypedOp for Pairwise {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        match inputs {
            [left, right] if left.shape == right.shape => Ok(tvec!(f32::fact(&*left.shape))),
            _ => Err(TractError::msg("two tensors of the same shape are expected")),
        }
    }
}

/// ONNX `Clip`, and `Relu`, which has no upper limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Op for Limit {
    fn name(&self) -> StaticName {
        "Limit".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Limit {
    fn is_stateless(&self) -> bool {
        true
    }
}

impl Kernel for Limit {
    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [input] = inputs else { return None };
        for (limited, value) in output.iter_mut().zip(*input) {
            // Not `clamp`, which panics on limits the wrong way round.
            *limited = value.max(self.low).min(self.high);
        }
        Some(())
    }
}

impl TypedOp for Limit {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let input = inputs.first().ok_or_else(|| TractError::msg("a tensor is expected"))?;
        Ok(tvec!(f32::fact(&*input.shape)))
    }
}
