//! Dense layers, as plain numbers.

use candle_core::{Result, Tensor};

/// A row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    /// `f32[rows * columns]`.
    pub values: Vec<f32>,
}

impl Matrix {
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn of(tensor: &Tensor) -> Result<Matrix> {
        let (rows, columns) = tensor.dims2()?;
        Ok(Matrix { rows, columns, values: tensor.flatten_all()?.to_vec1()? })
    }
}

/// A dense layer: `x · weights + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub weights: Matrix,
    pub bias: Vec<f32>,
}

/// What a layer makes of an input.
pub(super) fn dense(layer: &Layer, input: &[f32]) -> Vec<f32> {
    let mut out = layer.bias.clone();
    for (row, value) in input.iter().enumerate() {
        add_scaled(&mut out, layer.weights.row(row), *value);
    }
    out
}

/// Adds a multiple of a row.
pub(super) fn add_scaled(out: &mut [f32], row: &[f32], factor: f32) {
    for (o, r) in out.iter_mut().zip(row) {
        *o += r * factor;
    }
}
