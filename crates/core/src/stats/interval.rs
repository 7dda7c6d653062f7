//! Percentile intervals.

/// The middle 95 % of some samples, by nearest rank: the samples at 2.5 % and 97.5 % of the way from
/// the smallest to the largest, each position rounded to the nearest. Sorts the samples; `None`
/// when there are none.
pub fn percentile95(samples: &mut [f64]) -> Option<[f64; 2]> {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)? as f64;
    let at = |share: f64| samples.get((last * share).round() as usize).copied();
    Some([at(0.025)?, at(0.975)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_the_samples_nearest_to_the_percentiles() {
        let mut samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        // 2.5 rounds away from zero.
        assert_eq!(percentile95(&mut samples), Some([3.0, 98.0]));
        let mut samples: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(percentile95(&mut samples), Some([25.0, 974.0]));
    }

    #[test]
    fn one_sample_is_its_own_interval_and_none_has_none() {
        assert_eq!(percentile95(&mut [7.0]), Some([7.0, 7.0]));
        assert_eq!(percentile95(&mut []), None);
    }
}
