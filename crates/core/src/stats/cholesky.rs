//! Symmetric positive definite systems, up to a few dozen dimensions.
//!
//! A matrix is its lower triangle, packed row by row: entry (row, column) with `column <= row` is
//! at `row * (row + 1) / 2 + column`.

/// Length of the packed triangle of an `n` × `n` matrix.
pub const fn packed_len(n: usize) -> usize {
    n * (n + 1) / 2
}

/// The Cholesky factor `L` with `L Lᵀ = matrix`, packed like the matrix; `None` when the matrix is
/// not positive definite, or not finite.
pub fn factor(mut matrix: Vec<f64>) -> Option<Vec<f64>> {
    let mut start = 0;
    for row in 0.. {
        let (above, below) = matrix.split_at_mut_checked(start)?;
        if below.is_empty() {
            break;
        }
        // The rows above are finished.
        let line = below.get_mut(..=row)?;
        let mut upper = 0;
        for column in 0..row {
            let (done, open) = line.split_at_mut_checked(column)?;
            let other = above.get(upper..=upper + column)?;
            let (diagonal, other) = other.split_last()?;
            let cell = open.first_mut()?;
            for (a, b) in done.iter().zip(other) {
                *cell -= a * b;
            }
            *cell /= diagonal;
            upper += column + 1;
        }
        let (diagonal, done) = line.split_last_mut()?;
        for a in done {
            *diagonal -= *a * *a;
        }
        if !(*diagonal > 0.0 && diagonal.is_finite()) {
            return None;
        }
        *diagonal = diagonal.sqrt();
        start += row + 1;
    }
    Some(matrix)
}

/// Solves `L Lᵀ x = b`; `factor` is what [`factor`] gave, `b` has one value per row.
pub fn solve(factor: &[f64], mut b: Vec<f64>) -> Vec<f64> {
    let lines: Vec<&[f64]> =
        (0..b.len()).map_while(|row| factor.get(packed_len(row)..packed_len(row + 1))).collect();
    for (row, line) in lines.iter().enumerate() {
        let Some((known, rest)) = b.split_at_mut_checked(row) else { break };
        let (Some(value), Some((diagonal, line))) = (rest.first_mut(), line.split_last()) else {
            break;
        };
        for (a, x) in line.iter().zip(known) {
            *value -= a * *x;
        }
        *value /= diagonal;
    }
    for (row, line) in lines.iter().enumerate().rev() {
        let Some((value, known)) = b.get_mut(row..).and_then(<[f64]>::split_first_mut) else {
            continue;
        };
        // The column below the diagonal, which is the row of the transposed factor.
        let column = lines.iter().skip(row + 1).filter_map(|line| line.get(row));
        for (a, x) in column.zip(known) {
            *value -= a * *x;
        }
        if let Some(diagonal) = line.last() {
            *value /= diagonal;
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]] · [1, -2, 3]
        let factor = factor(vec![4.0, 2.0, 5.0, 1.0, 3.0, 6.0]).unwrap();
        let x = solve(&factor, vec![3.0, 1.0, 13.0]);
        for (got, expected) in x.into_iter().zip([1.0, -2.0, 3.0]) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
    }

    #[test]
    fn a_diagonal_system_is_solved_exactly() {
        let factor = factor(vec![4.0, 0.0, 16.0]).unwrap();
        assert_eq!(factor, [2.0, 0.0, 4.0]);
        assert_eq!(solve(&factor, vec![4.0, 8.0]), [1.0, 0.5]);
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert_eq!(factor(vec![1.0, 2.0, 1.0]), None);
        assert_eq!(factor(vec![f64::NAN]), None);
        assert_eq!(factor(vec![0.0]), None);
        assert_eq!(factor(vec![1.0, 0.0]), None, "half a row");
    }
}
