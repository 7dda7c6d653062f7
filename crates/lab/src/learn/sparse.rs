//! Features as a row keeps them.

use pointsman_core::features::{DENSE, ENGINEERED, Features, LEN};

/// [`Features`], with the hashed blocks as (index, value) pairs: a prompt fills a few hundred
/// of their buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseFeatures {
    /// `f32[DENSE]`.
    pub dense: Vec<f32>,
    /// Buckets that are not zero, counted from the first word bucket, ascending.
    pub buckets: Vec<(u32, f32)>,
}

impl SparseFeatures {
    /// The engineered features alone, `f32[ENGINEERED]`.
    pub fn engineered(&self) -> &[f32] {
        &self.dense[..ENGINEERED]
    }
}

impl From<&Features> for SparseFeatures {
    fn from(features: &Features) -> Self {
        let (dense, hashed) = features.as_slice().split_at(DENSE);
        let buckets =
            (0..).zip(hashed).filter(|(_, value)| **value != 0.0).map(|(i, v)| (i, *v)).collect();
        SparseFeatures { dense: dense.to_vec(), buckets }
    }
}

impl From<&SparseFeatures> for Features {
    fn from(sparse: &SparseFeatures) -> Self {
        let mut values = sparse.dense.clone();
        values.resize(LEN, 0.0);
        for &(bucket, value) in &sparse.buckets {
            values[DENSE + bucket as usize] = value;
        }
        Features::from_values(values).expect("LEN values")
    }
}
