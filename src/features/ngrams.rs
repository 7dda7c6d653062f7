//! Hashed n-grams: the "hashing trick" (Weinberger et al., ICML 2009, arXiv:0902.2206).

use std::sync::LazyLock;

/// `ln(1 + n)` of small counts, which nearly all are.
static LOG_COUNTS: LazyLock<[f32; 32]> =
    LazyLock::new(|| std::array::from_fn(|count| libm::log1pf(count as f32)));

/// Counts n-grams into a block of the feature vector.
///
/// Finished, the block holds `ln(1 + count)` scaled to unit length, so that long prompts do not
/// weigh more than short ones.
pub(super) struct Buckets<'f> {
    /// Its length is a power of two of at most 2^16.
    block: &'f mut [f32],
    shift: u32,
    touched: Vec<u16>,
    /// What one n-gram counts: a power of two, so that sums are exact.
    pub(super) weight: f32,
}

impl<'f> Buckets<'f> {
    pub(super) fn new(block: &'f mut [f32]) -> Self {
        let shift = block.len().leading_zeros() + 33 - usize::BITS;
        Buckets { block, shift, touched: Vec::with_capacity(1024), weight: 1.0 }
    }

    /// Counts the n-gram with this hash once, as much as the weight says.
    pub(super) fn add(&mut self, hash: u32) {
        // Fibonacci hashing: the multiplication's high bits depend on all bits of the hash.
        let bucket = hash.wrapping_mul(0x9e37_79b1) >> self.shift;
        if let Some(count) = self.block.get_mut(bucket as usize) {
            if *count == 0.0 {
                self.touched.push(bucket as u16);
            }
            *count += self.weight;
        }
    }

    pub(super) fn finish(self) {
        let mut squares = 0.0_f32;
        for &bucket in &self.touched {
            if let Some(count) = self.block.get_mut(usize::from(bucket)) {
                let whole = *count as usize;
                let known = LOG_COUNTS.get(whole).filter(|_| whole as f32 == *count).copied();
                *count = known.unwrap_or_else(|| libm::log1pf(*count));
                squares += *count * *count;
            }
        }
        if squares == 0.0 {
            return;
        }
        let scale = 1.0 / squares.sqrt();
        for &bucket in &self.touched {
            if let Some(value) = self.block.get_mut(usize::from(bucket)) {
                *value *= scale;
            }
        }
    }
}

/// The words seen last, as n-grams.
#[derive(Default)]
pub(super) struct WordGrams {
    previous: u32,
}

impl WordGrams {
    pub(super) fn add(&mut self, word: u32, buckets: &mut Buckets) {
        buckets.add(word);
        if self.previous != 0 {
            buckets.add(self.previous.rotate_left(13).wrapping_mul(0x85eb_ca6b) ^ word);
        }
        self.previous = word;
    }
}

/// The last four bytes of the text, lower-cased, digits alike, white space collapsed.
#[derive(Default)]
pub(super) struct CharGrams {
    window: u32,
    filled: u32,
}

impl CharGrams {
    pub(super) fn add(&mut self, byte: u8, buckets: &mut Buckets) {
        let byte = match byte {
            b'0'..=b'9' => b'0',
            b' ' | b'\t' | b'\r' if matches!(self.window as u8, b' ' | b'\n') => return,
            b'\t' | b'\r' => b' ',
            b'\n' if self.window as u8 == b'\n' => return,
            _ => byte.to_ascii_lowercase(),
        };
        self.window = self.window << 8 | u32::from(byte);
        self.filled = (self.filled + 1).min(4);
        if self.filled >= 3 {
            // The top bit pattern tells trigrams from tetragrams.
            buckets.add((self.window & 0x00ff_ffff).wrapping_mul(0xc2b2_ae35) ^ 0x5bd1_e995);
        }
        if self.filled == 4 {
            buckets.add(self.window ^ self.window >> 15);
        }
    }
}
