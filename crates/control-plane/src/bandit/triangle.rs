//! Symmetric matrices as packed lower triangles, row by row.

/// Length of the triangle of an `n` × `n` matrix.
pub(super) fn len(n: usize) -> usize {
    n * (n + 1) / 2
}

fn at(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
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

/// The Cholesky factor `L`, `L Lᵀ = matrix`; `None` when the matrix is not positive definite.
pub(super) fn cholesky(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut factor = matrix.to_vec();
    for row in 0..n {
        for column in 0..=row {
            let mut sum = factor[at(row, column)];
            for k in 0..column {
                sum -= factor[at(row, k)] * factor[at(column, k)];
            }
            if row == column {
                if !(sum > 0.0 && sum.is_finite()) {
                    return None;
                }
                factor[at(row, row)] = sum.sqrt();
            } else {
                factor[at(row, column)] = sum / factor[at(column, column)];
            }
        }
    }
    Some(factor)
}

/// Solves `L Lᵀ x = b`.
pub(super) fn solve(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = b.to_vec();
    for row in 0..n {
        for k in 0..row {
            x[row] -= factor[at(row, k)] * x[k];
        }
        x[row] /= factor[at(row, row)];
    }
    for row in (0..n).rev() {
        for k in row + 1..n {
            x[row] -= factor[at(k, row)] * x[k];
        }
        x[row] /= factor[at(row, row)];
    }
    x
}

/// The inverse of `L Lᵀ`.
pub(super) fn inverse(factor: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; len(n)];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        for (row, value) in solve(factor, &unit).into_iter().enumerate().skip(column) {
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

    #[test]
    fn solving_and_inverting_undo_the_product() {
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]]
        let matrix = [4.0, 2.0, 5.0, 1.0, 3.0, 6.0];
        let factor = cholesky(&matrix, 3).unwrap();
        let x = solve(&factor, &[7.0, 10.0, 10.0]);
        for value in &x {
            assert!((value - 1.0).abs() < 1e-12, "{x:?}");
        }
        let inverse = inverse(&factor, 3);
        // xᵀ A⁻¹ x with x = A · 1 is 1ᵀ A 1 = 27.
        assert!((quadratic(&inverse, &[7.0, 10.0, 10.0]) - 27.0).abs() < 1e-9);
        assert!(cholesky(&[1.0, 2.0, 1.0], 2).is_none());
    }
}
