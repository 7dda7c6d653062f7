//! Operators that make one number out of one or two.

use tract_core::internal::{ShapeFact, TractError, TractResult, TypedFact};

use super::kernel::Kernel;

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

impl Kernel for Pairwise {
    fn name(&self) -> &'static str {
        match self {
            Pairwise::Add => "Add",
            Pairwise::Sub => "Sub",
            Pairwise::Mul => "Mul",
            Pairwise::Div => "Div",
            Pairwise::Less => "Less",
        }
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        match inputs {
            [left, right] if left.shape == right.shape => Ok(left.shape.clone()),
            _ => Err(TractError::msg("two tensors of the same shape are expected")),
        }
    }

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

/// ONNX `Clip`, and `Relu`, which has no upper limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Kernel for Limit {
    fn name(&self) -> &'static str {
        "Limit"
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        let input = inputs.first().ok_or_else(|| TractError::msg("a tensor is expected"))?;
        Ok(input.shape.clone())
    }

    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [input] = inputs else { return None };
        for (limited, value) in output.iter_mut().zip(*input) {
            // Not `clamp`, which panics on limits the wrong way round.
            *limited = value.max(self.low).min(self.high);
        }
        Some(())
    }
}
