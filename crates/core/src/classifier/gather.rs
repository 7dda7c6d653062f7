//! Picking rows or columns of a matrix.

use tract_core::internal::{
    EvalOp, Op, StaticName, TValue, TVec, Tensor, TractError, TractResult, TypedFact, TypedOp,
    as_op, op_as_typed_op, tvec,
};
use tract_core::prelude::{DatumExt, IntoTValue};

/// ONNX `Gather` on an `f32` matrix with a list of `i64` indices.
///
/// tract's own goes through n-dimensional views of every datum type: thirty times slower on the
/// thousand single numbers that decision trees pick, and a fiftieth of the filter's size.
#[derive(Clone, Debug, Hash)]
pub(super) struct Gather {
    /// 0 picks rows, 1 picks columns.
    pub(super) axis: usize,
}

impl Op for Gather {
    fn name(&self) -> StaticName {
        "Gather".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Gather {
    fn is_stateless(&self) -> bool {
        true
    }

    fn eval(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let ([data, indices], &[rows, columns]) = (inputs.as_slice(), shape(&inputs)?) else {
            return Err(TractError::msg("a matrix and indices are expected"));
        };
        let (values, indices) = (data.as_slice::<f32>()?, indices.as_slice::<i64>()?);
        let picked = match self.axis {
            0 => pick_rows(values, columns, indices),
            _ => pick_columns(values, columns, indices),
        };
        let picked = picked.ok_or_else(|| TractError::msg("an index is out of range"))?;
        let shape = if self.axis == 0 { [indices.len(), columns] } else { [rows, indices.len()] };
        Ok(tvec!(Tensor::from_shape(&shape, &picked)?.into_tvalue()))
    }
}

fn shape(inputs: &[TValue]) -> TractResult<&[usize]> {
    inputs.first().map(|data| data.shape()).ok_or_else(|| TractError::msg("no data"))
}

fn pick_rows(values: &[f32], columns: usize, indices: &[i64]) -> Option<Vec<f32>> {
    if columns == 1 {
        return pick_columns(values, values.len(), indices);
    }
    let mut picked = Vec::with_capacity(indices.len() * columns);
    for &index in indices {
        let start = usize::try_from(index).ok()?.checked_mul(columns)?;
        picked.extend_from_slice(values.get(start..start.checked_add(columns)?)?);
    }
    Some(picked)
}

fn pick_columns(values: &[f32], columns: usize, indices: &[i64]) -> Option<Vec<f32>> {
    let mut picked = Vec::with_capacity(indices.len());
    for row in values.chunks_exact(columns.max(1)) {
        let mut in_range = true;
        // A negative index becomes a large one.
        picked.extend(indices.iter().map(|&index| {
            let value = row.get(index as usize);
            in_range &= value.is_some();
            value.copied().unwrap_or_default()
        }));
        if !in_range {
            return None;
        }
    }
    Some(picked)
}

impl TypedOp for Gather {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [data, indices] = inputs else {
            return Err(TractError::msg("data and indices are expected"));
        };
        let ([rows, columns], [count]) = (&*data.shape.to_tvec(), &*indices.shape.to_tvec()) else {
            return Err(TractError::msg("a matrix and a list of indices are expected"));
        };
        let shape = match self.axis {
            0 => [count.clone(), columns.clone()],
            _ => [rows.clone(), count.clone()],
        };
        Ok(tvec!(f32::fact(shape)))
    }
}
