//! Percentiles and ratios.

use serde::{Deserialize, Serialize};

/// A value that was really measured (nearest rank); `None` when fewer than ten values lie above it,
/// for then it says more of chance than of the system.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    const ABOVE: f64 = 10.0;
    let count = sorted.len() as f64;
    if count * (1.0 - share) < ABOVE {
        return None;
    }
    let rank = (count * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// The middle of some values; NaN without any.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (count, middle) = (sorted.len(), sorted.len() / 2);
    match sorted.get(middle) {
        None => f64::NAN,
        Some(high) if count % 2 == 1 => *high,
        Some(high) => f64::midpoint(sorted[middle - 1], *high),
    }
}

/// A median with the range of the values: of n independent ones, that range covers the true median
/// with a probability of 1 − 2^(1 − n), so 98 % with seven.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().min_by(f64::total_cmp)?;
        let high = values.iter().copied().max_by(f64::total_cmp)?;
        Some(Self { median: median(values), low, high })
    }
}

/// Percentiles of latencies, in microseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    pub samples: usize,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
}

impl Latency {
    pub fn of(mut micros: Vec<f64>) -> Self {
        micros.sort_by(f64::total_cmp);
        Self {
            samples: micros.len(),
            p50: percentile(&micros, 0.5),
            p99: percentile(&micros, 0.99),
            p999: percentile(&micros, 0.999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_needs_samples() {
        let thousand: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&thousand, 0.5), Some(500.0));
        assert_eq!(percentile(&thousand, 0.99), Some(990.0));
        assert_eq!(percentile(&thousand, 0.999), None);
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let spread = Spread { median: 2.0, low: 1.0, high: 3.0 };
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(spread));
    }
}
