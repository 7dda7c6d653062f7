//! A matrix product for what router models multiply: few rows that are mostly zero.

use tract_core::internal::{
    Arc, EvalOp, Op, StaticName, TValue, TVec, Tensor, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::{DatumExt, IntoTValue};

/// How many values are skipped together when all are zero.
const BLOCK: usize = 8;

/// `f32[m, k]` times a constant `f32[k, n]`.
///
/// tract's own product works on tiles of 4 by 4 in wasm, so a single row costs as much as four,
/// and multiplies every zero of the hashed n-grams. Here a zero costs a comparison.
#[derive(Clone, Debug, Hash)]
pub(super) struct SparseMatMul {
    /// Row-major, `k` rows of `n`.
    weights: Arc<Tensor>,
    columns: usize,
}

impl SparseMatMul {
    /// `None` when the weights are no `f32` matrix.
    pub(super) fn new(weights: Tensor) -> Option<Self> {
        let &[_, columns] = weights.shape() else { return None };
        weights.as_slice::<f32>().ok()?;
        (columns > 0).then(|| SparseMatMul { weights: Arc::new(weights), columns })
    }

    /// Columns that the other factor must have.
    pub(super) fn inner(&self) -> usize {
        self.weights.shape().first().copied().unwrap_or(0)
    }

    fn multiply(&self, row: &[f32], weights: &[f32], sums: &mut [f32]) {
        if let [sum] = sums {
            *sum = row.iter().zip(weights).map(|(value, weight)| value * weight).sum();
            return;
        }
        let blocks = weights.chunks(BLOCK * self.columns);
        for (values, weights) in row.chunks(BLOCK).zip(blocks) {
            // Most blocks of n-gram buckets are all zero, and a block is compared at once.
            if values.iter().fold(0, |bits, value| bits | value.to_bits()) == 0 {
                continue;
            }
            for (&value, weights) in values.iter().zip(weights.chunks_exact(self.columns)) {
                if value != 0.0 {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
        }
    }
}

impl Op for SparseMatMul {
    fn name(&self) -> StaticName {
        "SparseMatMul".into()
    }

    op_as_typed_op!();
}

impl EvalOp for SparseMatMul {
    fn is_stateless(&self) -> bool {
        true
    }

    fn eval(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Some(input) = inputs.first() else { return Ok(tvec!()) };
        let inner = self.inner().max(1);
        let (values, weights) = (input.as_slice::<f32>()?, self.weights.as_slice::<f32>()?);
        let rows = values.len() / inner;
        let mut product = vec![0.0; rows * self.columns];
        for (row, sums) in values.chunks_exact(inner).zip(product.chunks_exact_mut(self.columns)) {
            self.multiply(row, weights, sums);
        }
        let product = Tensor::from_shape(&[rows, self.columns], &product)?;
        Ok(tvec!(product.into_tvalue()))
    }
}

impl TypedOp for SparseMatMul {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let rows = inputs.first().and_then(|input| input.shape.first().cloned());
        let rows = rows.unwrap_or_else(|| 1.into());
        Ok(tvec!(f32::fact([rows, self.columns.into()])))
    }
}
