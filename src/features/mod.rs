//! `Prompt` to `Features`: the one implementation, used by filter, trainer and command line.

use crate::prompt::Prompt;

mod schema;
pub use schema::{FeatureSpec, SCHEMA, schema_hash};

/// Number of engineered features: the rows of [`SCHEMA`].
pub const ENGINEERED: usize = SCHEMA.len();
/// Buckets of the hashed word uni- and bigrams.
pub const WORD_BUCKETS: usize = 4096;
/// Buckets of the hashed character n-grams.
pub const CHAR_BUCKETS: usize = 4096;
/// Length of a feature vector: engineered, then word buckets, then character buckets.
pub const LEN: usize = ENGINEERED + WORD_BUCKETS + CHAR_BUCKETS;

/// A prompt as the classifier sees it: `f32[LEN]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f32>,
}

impl Default for Features {
    fn default() -> Self {
        Features {
            values: vec![0.0; LEN],
        }
    }
}

impl Features {
    /// The whole vector, `f32[LEN]`.
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// The engineered part, `f32[ENGINEERED]`, in the order of [`SCHEMA`].
    pub fn engineered(&self) -> &[f32] {
        self.values.get(..ENGINEERED).unwrap_or_default()
    }
}

/// Computes the features of a prompt.
pub fn extract(prompt: &Prompt) -> Features {
    let mut features = Features::default();
    extract_into(prompt, &mut features);
    features
}

/// As [`extract`], reusing a vector.
pub fn extract_into(prompt: &Prompt, features: &mut Features) {
    features.values.fill(0.0);
    let _ = prompt;
}
