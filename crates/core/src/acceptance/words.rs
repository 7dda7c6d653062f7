//! Sets of words and sentences that need no memory of their own.

/// Bits of a set of words.
const BITS: usize = 2048;

/// A set of words by their hash: two of some hundred words may count as one.
#[derive(Clone, Debug)]
pub(super) struct WordSet {
    bits: [u64; BITS / 64],
}

impl Default for WordSet {
    fn default() -> Self {
        WordSet { bits: [0; BITS / 64] }
    }
}

impl WordSet {
    /// Adds a word; returns whether it was new.
    pub(super) fn add(&mut self, hash: u32) -> bool {
        let (place, bit) = Self::place(hash);
        let Some(bits) = self.bits.get_mut(place) else { return false };
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }

    pub(super) fn has(&self, hash: u32) -> bool {
        let (place, bit) = Self::place(hash);
        self.bits.get(place).is_some_and(|bits| bits & bit != 0)
    }

    fn place(hash: u32) -> (usize, u64) {
        // The low bits of FNV-1a are its weakest.
        let at = (hash.wrapping_mul(0x9e37_79b1) >> 21) as usize % BITS;
        (at / 64, 1 << (at % 64))
    }

    pub(super) fn len(&self) -> usize {
        self.bits.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Words of both sets.
    pub(super) fn shared(&self, other: &Self) -> usize {
        self.bits.iter().zip(&other.bits).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }
}

/// Sentences that were seen, by their hash; of a text with more than it holds, the first ones.
#[derive(Clone, Debug)]
pub(super) struct Sentences {
    hash: u32,
    words: usize,
    seen: [u32; 64],
    count: usize,
    /// A bit for the first six bits of each hash: most sentences are new, and need no search.
    hint: u64,
    pub(super) repeated: usize,
}

impl Default for Sentences {
    fn default() -> Self {
        Sentences { hash: 0, words: 0, seen: [0; 64], count: 0, hint: 0, repeated: 0 }
    }
}

impl Sentences {
    /// The next word or number of a sentence.
    pub(super) fn add(&mut self, hash: u32) {
        self.hash = (self.hash ^ hash).wrapping_mul(0x9e37_79b1).rotate_left(13);
        self.words += 1;
    }

    /// A sentence ends. Short ones, such as "Yes.", are nothing to repeat.
    pub(super) fn end(&mut self) {
        /// Words of the shortest sentence that is remembered.
        const LEAST: usize = 5;
        let (hash, words) = (std::mem::take(&mut self.hash), std::mem::take(&mut self.words));
        if words < LEAST {
            return;
        }
        let bit = 1 << (hash >> 26);
        let known = self.hint & bit != 0;
        self.hint |= bit;
        if known && self.seen.iter().take(self.count).any(|seen| *seen == hash) {
            self.repeated += 1;
        } else if let Some(place) = self.seen.get_mut(self.count) {
            *place = hash;
            self.count += 1;
        }
    }
}
