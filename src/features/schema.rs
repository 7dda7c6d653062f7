//! The table of engineered features.

/// One engineered feature.
#[derive(Clone, Copy, Debug)]
pub struct FeatureSpec {
    pub name: &'static str,
    pub unit: &'static str,
    /// Smallest and largest value.
    pub range: (f32, f32),
    /// Why it might tell how hard a prompt is.
    pub why: &'static str,
}

/// All engineered features, in the order of the vector.
pub const SCHEMA: [FeatureSpec; 1] = [FeatureSpec {
    name: "text_bytes",
    unit: "ln(1 + bytes)",
    range: (0.0, 20.0),
    why: "long prompts are harder",
}];

/// 64-bit digest of everything that gives a vector its meaning, as 16 hex digits.
pub fn schema_hash() -> String {
    String::from("0000000000000000")
}
