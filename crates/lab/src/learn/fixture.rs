//! Made-up rows for tests of fitting.

use std::collections::BTreeMap;

use super::network::Network;
use super::row::Row;
use super::scaler::Scaler;
use super::scores::ScoredOutcome;
use super::sparse::SparseFeatures;
use super::split::Split;
use pointsman_core::features::DENSE;
use pointsman_core::stats::sigmoid_f32;

/// Rows with every combination of one dense signal and one hashed signal, labelled by them,
/// among hashed noise.
pub(super) fn rows(n: usize, label: impl Fn(bool, bool) -> bool) -> Vec<Row> {
    let row = |i: usize| {
        let (signal, word) = (i.is_multiple_of(2), i.is_multiple_of(3));
        let cheap_ok = label(signal, word);
        let mut dense = vec![1.0; DENSE];
        dense[0] = if signal { 3.0 } else { 1.0 };
        let mut buckets = vec![(10 + (i * 37 % 20) as u32, 0.6)];
        buckets.insert(0, if word { (3, 0.8) } else { (4, 0.8) });
        Row {
            id: i.to_string(),
            source: String::new(),
            split: if i.is_multiple_of(5) { Split::Val } else { Split::Train },
            group_id: i as u64,
            features: SparseFeatures { dense, buckets },
            cheap_ok,
            cheap: f32::from(u8::from(cheap_ok)),
            strong: 1.0,
            rules: 1.0,
            weight: 1.0,
            auxiliary_models: BTreeMap::new(),
            soft_label: None,
        }
    };
    (0..n).map(row).collect()
}

/// Outcomes of some rows under a network.
pub(super) fn scores(
    network: &Network,
    rows: &[Row],
    indices: &[usize],
    scaler: &Scaler,
) -> Vec<ScoredOutcome> {
    let score = |&i: &usize| {
        let row = &rows[i];
        let mut scaled = Vec::new();
        scaler.apply(&row.features.dense, &mut scaled);
        let logit = network.logit(&scaled, &row.features.buckets);
        row.outcome(sigmoid_f32(logit))
    };
    indices.iter().map(score).collect()
}
