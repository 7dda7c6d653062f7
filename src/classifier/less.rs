//! Comparing two rows of numbers.

use tract_core::internal::{
    EvalOp, Op, StaticName, TValue, TVec, Tensor, TractError, TractResult, TypedFact, TypedOp,
    as_op, op_as_typed_op, tvec,
};
use tract_core::prelude::{DatumExt, IntoTValue};

/// ONNX `Less` of two `f32` tensors of the same shape, as 0 and 1.
///
/// A graph may only cast the result to a number, so the booleans in between are left out: decision
/// trees compare thousands of values at once, and tract's own comparison is generic over
/// broadcasting and datum types.
#[derive(Clone, Debug, Hash)]
pub(super) struct Less;

impl Op for Less {
    fn name(&self) -> StaticName {
        "Less".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Less {
    fn is_stateless(&self) -> bool {
        true
    }

    fn eval(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [left, right] = inputs.as_slice() else {
            return Err(TractError::msg("two tensors are expected"));
        };
        let pairs = left.as_slice::<f32>()?.iter().zip(right.as_slice::<f32>()?);
        let less: Vec<f32> = pairs.map(|(left, right)| f32::from(u8::from(left < right))).collect();
        Ok(tvec!(Tensor::from_shape(left.shape(), &less)?.into_tvalue()))
    }
}

impl TypedOp for Less {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        match inputs {
            [left, right] if left.shape == right.shape => Ok(tvec!(f32::fact(&*left.shape))),
            _ => Err(TractError::msg("two tensors of the same shape are expected")),
        }
    }
}
