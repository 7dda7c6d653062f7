//! Picking columns that are known beforehand.

use tract_core::internal::{
    Arc, EvalOp, Op, StaticName, TVec, TractError, TractResult, TypedFact, TypedOp, as_op,
    op_as_typed_op, tvec,
};
use tract_core::prelude::DatumExt;

use super::plan::Kernel;

/// The same columns of every row of `f32[m, n]`.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    positions: Arc<Vec<usize>>,
    /// Columns there are.
    of: usize,
}

impl Columns {
    /// `None` when a position is out of range.
    pub(super) fn new(positions: impl IntoIterator<Item = i64>, of: usize) -> Option<Self> {
        let positions = positions.into_iter();
        let within = |position| usize::try_from(position).ok().filter(|position| *position < of);
        Some(Columns { positions: Arc::new(positions.map(within).collect::<Option<_>>()?), of })
    }
}

impl Op for Columns {
    fn name(&self) -> StaticName {
        "Columns".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Columns {
    fn is_stateless(&self) -> bool {
        true
    }
}

impl Kernel for Columns {
    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [data] = inputs else { return None };
        let picked = output.chunks_exact_mut(self.positions.len().max(1));
        for (row, picked) in data.chunks_exact(self.of).zip(picked) {
            for (value, &position) in picked.iter_mut().zip(&*self.positions) {
                *value = *row.get(position)?;
            }
        }
        Some(())
    }
}

impl TypedOp for Columns {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        match inputs {
            [data] if data.rank() == 2 => {
                let rows = data.shape.first().cloned().unwrap_or_else(|| 1.into());
                Ok(tvec!(f32::fact([rows, self.positions.len().into()])))
            }
            _ => Err(TractError::msg("a matrix is expected")),
        }
    }
}
