//! Hashed n-grams: the "hashing trick" (Weinberger et al., ICML 2009, arXiv:0902.2206).

use std::sync::LazyLock;

use super::{Occupied, occupy};

/// Bits of an `f32` that are zero in most counts: whole numbers below 32, halves, quarters, eighths.
const FRACTION: u32 = 19;
/// The smallest count, an eighth, without these bits.
const SMALLEST: u32 = 0.125_f32.to_bits() >> FRACTION;

/// `ln(1 + n)` of the counts from an eighth to 31 whose last [`FRACTION`] bits are zero.
static LOG_COUNTS: LazyLock<[f32; 128]> = LazyLock::new(|| {
    std::array::from_fn(|place| libm::log1pf(f32::from_bits((SMALLEST + place as u32) << FRACTION)))
});

/// `ln(1 + count)`.
pub(super) fn log1p(count: f32) -> f32 {
    log1p_by(&LOG_COUNTS, count)
}

fn log1p_by(logs: &[f32; 128], count: f32) -> f32 {
    let bits = count.to_bits();
    let place = (bits >> FRACTION).wrapping_sub(SMALLEST) as usize;
    match logs.get(place) {
        Some(&known) if bits.trailing_zeros() >= FRACTION => known,
        _ => libm::log1pf(count),
    }
}

/// Counts n-grams into a block of the feature vector.
///
/// Finished, the block holds `ln(1 + count)` scaled to unit length, so that long prompts do not
/// weigh more than short ones.
pub(super) struct Buckets<'f, const SIZE: usize> {
    block: &'f mut [f32; SIZE],
    /// Buckets that are not empty, in the order of their first n-gram.
    touched: Vec<u16>,
    distinct: usize,
    /// What one n-gram counts: a power of two, so that sums are exact.
    pub(super) weight: f32,
}

impl<'f, const SIZE: usize> Buckets<'f, SIZE> {
    pub(super) fn new(block: &'f mut [f32; SIZE]) -> Self {
        Buckets { block, touched: vec![0; SIZE], distinct: 0, weight: 1.0 }
    }

    /// Counts one n-gram.
    pub(super) fn add(&mut self, hash: u32) {
        self.fill(|filling| filling.add(hash));
    }

    /// Counts many n-grams.
    fn fill(&mut self, count: impl FnOnce(&mut Filling<SIZE>)) {
        let Buckets { block, touched, distinct, weight } = self;
        let mut filling = Filling { block, touched, distinct: *distinct, weight: *weight };
        count(&mut filling);
        *distinct = filling.distinct;
    }

    /// Scales the counts, and marks the buckets that are not empty as positions from `start` on.
    pub(super) fn finish(self, occupied: &mut Occupied, start: usize) {
        let touched = self.touched.get(..self.distinct).unwrap_or_default();
        let logs = &*LOG_COUNTS;
        // One loop for each thing to do: done together, V8 takes two to four times as long, by its
        // version.
        for &bucket in touched {
            if let Some(count) = self.block.get_mut(usize::from(bucket)) {
                *count = log1p_by(logs, *count);
            }
        }
        let mut squares = 0.0_f32;
        for &bucket in touched {
            squares += self.block.get(usize::from(bucket)).map_or(0.0, |count| count * count);
        }
        let scale = 1.0 / squares.sqrt();
        for &bucket in touched {
            if let Some(value) = self.block.get_mut(usize::from(bucket)) {
                *value *= scale;
            }
        }
        for &bucket in touched {
            occupy(occupied, start + usize::from(bucket));
        }
    }
}

/// [`Buckets`] while a text is read: a value of its own, so that it stays in registers.
struct Filling<'f, const SIZE: usize> {
    block: &'f mut [f32; SIZE],
    touched: &'f mut [u16],
    distinct: usize,
    weight: f32,
}

impl<const SIZE: usize> Filling<'_, SIZE> {
    const SHIFT: u32 = {
        assert!(SIZE.is_power_of_two() && SIZE <= 1 << 16, "buckets are numbered in 16 bits");
        32 - SIZE.trailing_zeros()
    };

    /// Counts the n-gram with this hash once, as much as the weight says.
    fn add(&mut self, hash: u32) {
        // Fibonacci hashing: the multiplication's high bits depend on all bits of the hash.
        let bucket = hash.wrapping_mul(0x9e37_79b1) >> Self::SHIFT;
        let Some(count) = self.block.get_mut(bucket as usize) else { return };
        // Always noted, and kept when it is the first: half of the n-grams are, and a processor
        // would guess a branch wrong as often.
        if let Some(place) = self.touched.get_mut(self.distinct) {
            *place = bucket as u16;
        }
        self.distinct += usize::from(*count == 0.0);
        *count += self.weight;
    }
}

/// The words seen last, as n-grams.
#[derive(Default)]
pub(super) struct WordGrams {
    previous: u32,
}

impl WordGrams {
    pub(super) fn add<const SIZE: usize>(&mut self, word: u32, buckets: &mut Buckets<SIZE>) {
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
    /// Reads on in the text.
    pub(super) fn add<const SIZE: usize>(&mut self, text: &[u8], buckets: &mut Buckets<SIZE>) {
        buckets.fill(|buckets| self.count(text, buckets));
    }

    fn count<const SIZE: usize>(&mut self, text: &[u8], buckets: &mut Filling<SIZE>) {
        let CharGrams { mut window, mut filled } = *self;
        for &byte in text {
            let byte = NORMAL.get(usize::from(byte)).copied().unwrap_or_default();
            let last = window as u8;
            if matches!(byte, b' ' | b'\n') && (last == b'\n' || last == byte) {
                continue;
            }
            window = window << 8 | u32::from(byte);
            filled = (filled + 1).min(4);
            if filled >= 3 {
                // The top bit pattern distinguishes trigrams from tetragrams.
                buckets.add((window & 0x00ff_ffff).wrapping_mul(0xc2b2_ae35) ^ 0x5bd1_e995);
            }
            if filled == 4 {
                buckets.add(window ^ window >> 15);
            }
        }
        *self = CharGrams { window, filled };
    }
}

/// What a byte counts as in character n-grams.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
const NORMAL: [u8; 256] = {
    let mut normal = [0; 256];
    let mut byte = 0;
    while byte < normal.len() {
        normal[byte] = match byte as u8 {
            b'0'..=b'9' => b'0',
            b'\t' | b'\r' => b' ',
            other => other.to_ascii_lowercase(),
        };
        byte += 1;
    }
    normal
};
