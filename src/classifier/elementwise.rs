//! Operators that make one number out of one or two, in place.

use tract_core::internal::{
    EvalOp, Op, StaticName, TValue, TVec, TractError, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::{DatumExt, IntoTValue, IntoTensor};

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

    fn eval(&self, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (Some(right), Some(left), true) = (inputs.pop(), inputs.pop(), inputs.is_empty())
        else {
            return Err(TractError::msg("two tensors are expected"));
        };
        let mut result = left.into_tensor();
        let pairs = result.as_slice_mut::<f32>()?.iter_mut().zip(right.as_slice::<f32>()?);
        match self {
            Pairwise::Add => pairs.for_each(|(left, right)| *left += right),
            Pairwise::Sub => pairs.for_each(|(left, right)| *left -= right),
            Pairwise::Mul => pairs.for_each(|(left, right)| *left *= right),
            Pairwise::Div => pairs.for_each(|(left, right)| *left /= right),
            Pairwise::Less => {
                pairs.for_each(|(left, right)| *left = f32::from(u8::from(*left < *right)));
            }
        }
        Ok(tvec!(result.into_tvalue()))
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

    fn eval(&self, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = inputs.pop().ok_or_else(|| TractError::msg("a tensor is expected"))?;
        let mut result = input.into_tensor();
        for value in result.as_slice_mut::<f32>()? {
            // Not `clamp`, which panics on limits the wrong way round.
            *value = value.max(self.low).min(self.high);
        }
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for Limit {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let input = inputs.first().ok_or_else(|| TractError::msg("a tensor is expected"))?;
        Ok(tvec!(f32::fact(&*input.shape)))
    }
}
