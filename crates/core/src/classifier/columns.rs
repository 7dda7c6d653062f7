//! Picking columns that are known beforehand.

use tract_core::internal::{ShapeFact, TractError, TractResult, TypedFact};

use super::kernel::Kernel;

/// The same columns of every row of `f32[m, n]`.
#[derive(Debug)]
pub(super) struct Columns {
    positions: Vec<usize>,
    /// Columns there are.
    of: usize,
}

impl Columns {
    /// `None` when a position is out of range.
    pub(super) fn new(positions: impl IntoIterator<Item = i64>, of: usize) -> Option<Self> {
        let positions = positions.into_iter();
        let within = |position| usize::try_from(position).ok().filter(|position| *position < of);
        Some(Columns { positions: positions.map(within).collect::<Option<_>>()?, of })
    }
}

impl Kernel for Columns {
    fn name(&self) -> &'static str {
        "Columns"
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        match inputs {
            [data] if data.rank() == 2 => {
                let rows = data.shape.first().cloned().unwrap_or_else(|| 1.into());
                Ok(ShapeFact::from_dims([rows, self.positions.len().into()]))
            }
            _ => Err(TractError::msg("a matrix is expected")),
        }
    }

    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let [data] = inputs else { return None };
        let picked = output.chunks_exact_mut(self.positions.len().max(1));
        for (row, picked) in data.chunks_exact(self.of).zip(picked) {
            for (value, &position) in picked.iter_mut().zip(&self.positions) {
                *value = *row.get(position)?;
            }
        }
        Some(())
    }
}
