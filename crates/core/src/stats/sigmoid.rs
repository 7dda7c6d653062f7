//! The logistic function.

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// [`sigmoid`] in single precision, as exported models compute it: rounding a double would give
/// other bits.
pub fn sigmoid_f32(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_precisions_are_half_at_zero_and_saturate_without_overflow() {
        assert_eq!((sigmoid(0.0), sigmoid_f32(0.0)), (0.5, 0.5));
        assert_eq!((sigmoid(1e4), sigmoid(-1e4)), (1.0, 0.0));
        assert_eq!((sigmoid_f32(1e4), sigmoid_f32(-1e4)), (1.0, 0.0));
    }
}
