//! Matrix products for what router models multiply: few rows that are mostly zero.

use std::iter::repeat;

use tract_core::internal::{ShapeFact, Tensor, TractResult, TypedFact};

use super::kernel::Kernel;
use crate::features;

/// How many values are skipped together when all are zero.
const BLOCK: usize = 8;

/// `f32[m, k]` times a constant `f32[k, n]`, plus a last input `f32[1, n]` or `f32[m, n]` if there is
/// one.
///
/// tract's own product works on tiles of 4 by 4 in wasm, so a single row costs as much as four,
/// and multiplies every zero of the hashed n-grams. Here a zero costs a comparison, or nothing where
/// marks say where it is.
#[derive(Debug)]
pub(super) struct SparseMatMul {
    /// Panels of the second factor, one after the other: `k` rows of `width`, the last panel
    /// filled up with zeros.
    panels: Vec<f32>,
    width: usize,
    inner: usize,
    columns: usize,
    /// The first factor is the one row of features.
    pub(super) marked: bool,
}

impl SparseMatMul {
    /// `None` when the weights are not an `f32` matrix.
    pub(super) fn new(weights: &Tensor) -> Option<Self> {
        let &[inner, columns] = weights.shape() else { return None };
        if inner == 0 || columns == 0 {
            return None;
        }
        let values = weights.as_slice::<f32>().ok()?;
        let width = match columns {
            1 => 1,
            2..=4 => 4,
            5..=8 => 8,
            9..=12 => 12,
            _ => 16,
        };
        let mut panels: Vec<f32> = Vec::with_capacity(inner * columns.next_multiple_of(width));
        for start in (0..columns).step_by(width) {
            for row in values.chunks_exact(columns) {
                let taken = row.get(start..)?.iter().take(width);
                panels.extend(taken.chain(repeat(&0.0)).take(width));
            }
        }
        Some(SparseMatMul { panels, width, inner, columns, marked: false })
    }

    /// Columns that the other factor must have.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    fn multiply(&self, row: &[f32], marks: Option<&[u64]>, product: &mut [f32]) -> Option<()> {
        let panels = self.panels.chunks_exact(self.inner * self.width);
        for (panel, product) in panels.zip(product.chunks_mut(self.width)) {
            match self.width {
                1 => put(multiply_panel::<1>(row, marks, panel), product),
                4 => put(multiply_panel::<4>(row, marks, panel), product),
                8 => put(multiply_panel::<8>(row, marks, panel), product),
                12 => put(multiply_panel::<12>(row, marks, panel), product),
                _ => put(multiply_panel::<16>(row, marks, panel), product),
            }
        }
        Some(())
    }
}

/// The last panel is wider than what is left of the product.
fn put<const WIDTH: usize>(sums: [f32; WIDTH], product: &mut [f32]) {
    product.iter_mut().zip(sums).for_each(|(place, sum)| *place = sum);
}

/// A width that is known when compiling keeps the sums in vector registers.
fn multiply_panel<const WIDTH: usize>(
    row: &[f32],
    marks: Option<&[u64]>,
    panel: &[f32],
) -> [f32; WIDTH] {
    let mut sums = [0.0; WIDTH];
    let (panel, _) = panel.as_chunks::<WIDTH>();
    if let Some(marks) = marks {
        for position in features::positions(marks) {
            let (Some(value), Some(weights)) = (row.get(position), panel.get(position)) else {
                break;
            };
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        return sums;
    }
    for (values, weights) in row.chunks(BLOCK).zip(panel.chunks(BLOCK)) {
        // Most blocks of n-gram buckets are all zero, and a block is compared at once.
        if values.iter().fold(0, |bits, value| bits | value.to_bits()) == 0 {
            continue;
        }
        for (&value, weights) in values.iter().zip(weights) {
            if value != 0.0 {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    }
    sums
}

impl Kernel for SparseMatMul {
    fn name(&self) -> &'static str {
        "SparseMatMul"
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        let rows = inputs.first().and_then(|input| input.shape.first().cloned());
        let rows = rows.unwrap_or_else(|| 1.into());
        Ok(ShapeFact::from_dims([rows, self.columns.into()]))
    }

    fn run(&self, inputs: &[&[f32]], marks: &[u64], output: &mut [f32]) -> Option<()> {
        let (input, summand) = inputs.split_first()?;
        let rows = input.chunks_exact(self.inner);
        for (row, product) in rows.zip(output.chunks_exact_mut(self.columns)) {
            self.multiply(row, self.marked.then_some(marks), product)?;
        }
        if let Some(summand) = summand.first() {
            add(output, summand);
        }
        Some(())
    }
}

/// A constant `f32[1, k]` times `f32[k, n]`, plus a second input `f32[1, n]` if there is one.
#[derive(Debug)]
pub(super) struct WeightedRows {
    weights: Vec<f32>,
}

impl WeightedRows {
    /// `None` when the weights are not an `f32` row.
    pub(super) fn new(weights: &Tensor) -> Option<Self> {
        let &[1, inner] = weights.shape() else { return None };
        let weights = weights.as_slice::<f32>().ok()?.to_vec();
        (inner > 0).then_some(WeightedRows { weights })
    }

    /// Rows that the other factor must have.
    pub(super) fn inner(&self) -> usize {
        self.weights.len()
    }
}

impl Kernel for WeightedRows {
    fn name(&self) -> &'static str {
        "WeightedRows"
    }

    fn shape(&self, inputs: &[&TypedFact]) -> TractResult<ShapeFact> {
        let columns = inputs.first().and_then(|input| input.shape.get(1).cloned());
        Ok(ShapeFact::from_dims([1.into(), columns.unwrap_or_else(|| 1.into())]))
    }

    fn run(&self, inputs: &[&[f32]], _marks: &[u64], output: &mut [f32]) -> Option<()> {
        let (input, summand) = inputs.split_first()?;
        output.fill(0.0);
        let rows = input.chunks_exact(output.len().max(1));
        for (weight, row) in self.weights.iter().zip(rows) {
            for (sum, value) in output.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        if let Some(summand) = summand.first() {
            add(output, summand);
        }
        Some(())
    }
}

/// Adds the summand, once or to every row.
fn add(product: &mut [f32], summand: &[f32]) {
    for row in product.chunks_mut(summand.len().max(1)) {
        row.iter_mut().zip(summand).for_each(|(value, summand)| *value += summand);
    }
}
