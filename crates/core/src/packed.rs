//! Numbers as text, bit for bit: in records, snapshots and golden vectors.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Packs features as base64 (RFC 4648, padded) of little-endian `f32`.
pub fn pack(features: &[f32]) -> String {
    let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// The inverse of [`pack`]; `None` for what it cannot have made.
pub fn unpack(packed: &str) -> Option<Vec<f32>> {
    let bytes = BASE64_STANDARD.decode(packed).ok()?;
    let (words, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_packing_bit_for_bit() {
        let values = [0.0, -0.0, 1.5, f32::MIN_POSITIVE, 16.635_532];
        let unpacked = unpack(&pack(&values)).unwrap();
        assert_eq!(unpacked.map_bits(), values.to_vec().map_bits());
        assert_eq!(unpack("A"), None);
        assert_eq!(unpack("AAAA"), None);
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }
}
