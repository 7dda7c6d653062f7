//! Resampling with replacement.

/// How often each row is in a resample as large as the rows (the bootstrap, Efron 1979). Counting
/// instead of copying lets a measure sort its rows once for all resamples.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    counts: Vec<u32>,
}

impl Bootstrap {
    /// For `rows` rows.
    pub fn new(rows: usize) -> Bootstrap {
        Bootstrap { counts: vec![0; rows] }
    }

    /// Draws the next resample: how often each row is in it. `index(n)` is uniform over `0..n` and
    /// is called once per row.
    pub fn draw(&mut self, mut index: impl FnMut(usize) -> usize) -> &[u32] {
        self.counts.fill(0);
        let rows = self.counts.len();
        for _ in 0..rows {
            if let Some(count) = self.counts.get_mut(index(rows)) {
                *count += 1;
            }
        }
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_is_as_large_as_the_rows_and_forgets_the_one_before() {
        let mut bootstrap = Bootstrap::new(4);
        let mut next = [1, 1, 3, 0].into_iter().cycle();
        assert_eq!(bootstrap.draw(|_| next.next().unwrap()), [1, 2, 0, 1]);
        assert_eq!(bootstrap.draw(|rows| rows - 1), [0, 0, 0, 4]);
        assert!(Bootstrap::new(0).draw(|_| 0).is_empty());
    }
}
