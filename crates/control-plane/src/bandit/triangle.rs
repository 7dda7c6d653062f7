//! Symmetric matrices as packed lower triangles, row by row, as
//! [`pointsman_core::stats::cholesky`] has them.

use pointsman_core::stats::cholesky::{packed_len, solve};

fn at(row: usize, column: usize) -> usize {
    packed_len(row) + column
}

/// Adds `weight · x xᵀ`.
pub(super) fn add_outer(matrix: &mut [f64], x: &[f32], weight: f64) {
    let mut rest = matrix;
    for (row, a) in x.iter().enumerate() {
        let (line, tail) = rest.split_at_mut(row + 1);
        let scaled = weight * f64::from(*a);
        for (cell, b) in line.iter_mut().zip(x) {
            *cell += scaled * f64::from(*b);
        }
        rest = tail;
    }
}

/// The inverse of the `n` × `n` matrix `L Lᵀ`, where `factor` is `L`.
pub(super) fn inverse(factor: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; packed_len(n)];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        for (row, value) in solve(factor, unit).into_iter().enumerate().skip(column) {
            inverse[at(row, column)] = value;
        }
    }
    inverse
}

/// `xᵀ matrix x`.
pub(super) fn quadratic(matrix: &[f64], x: &[f64]) -> f64 {
    let mut sum = 0.0;
    for row in 0..x.len() {
        for column in 0..row {
            sum += 2.0 * matrix[at(row, column)] * x[row] * x[column];
        }
        sum += matrix[at(row, row)] * x[row] * x[row];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_core::stats::cholesky;

    #[test]
    fn inverting_undoes_the_product() {
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]]
        let factor = cholesky::factor(vec![4.0, 2.0, 5.0, 1.0, 3.0, 6.0]).unwrap();
        let inverse = inverse(&factor, 3);
        // xᵀ A⁻¹ x with x = A · 1 is 1ᵀ A 1 = 27.
        assert!((quadratic(&inverse, &[7.0, 10.0, 10.0]) - 27.0).abs() < 1e-9);
    }
}
