//! What the words of a text are about: the mean of static word vectors.
//!
//! A table gives each of some ten thousand frequent words a short vector, taken from a sentence
//! encoder and weighted by how rare the word is (Model2Vec, <https://github.com/MinishLab/model2vec>;
//! smooth inverse frequency, Arora et al., ICLR 2017). Adding them up costs a look-up a word. The
//! table is made by `scripts/word-vectors.py`, which says how it is laid out.

use super::counts::ONE;

/// Numbers of a word's vector, and of the block in the feature vector.
pub const MEANING: usize = 64;

/// The table that is compiled in.
const BYTES: &[u8] = include_bytes!("../../../../model/words.bin");
const TABLE: Table = Table::read(BYTES);

/// Words are sorted by their mixed hash; its high bits name one of this many runs.
const RUNS: usize = 4096;
/// Vectors that are added up before an `i16` could overflow.
const MOST_PENDING: u16 = 255;

/// 64-bit FNV-1a digest of the table, as its header has it: part of the schema's digest, because a
/// model fitted on other vectors would read noise.
pub(super) const fn table_digest() -> u64 {
    TABLE.digest
}

struct Table {
    digest: u64,
    /// `u16[RUNS + 1]`: where each run begins.
    runs: &'static [[u8; 2]],
    /// Mixed hashes, ascending.
    keys: &'static [[u8; 4]],
    /// `i8[words, MEANING]`.
    vectors: &'static [[u8; MEANING]],
}

impl Table {
    /// Bytes of the header: magic, digest of the rest, number of words, length of a vector.
    const HEADER: usize = 8 + 8 + 4 + 4;

    /// Evaluated by the compiler, which so refuses a table of another layout.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
    const fn read(bytes: &'static [u8]) -> Table {
        let (header, rest) = bytes.split_at(Self::HEADER);
        let (magic, header) = header.split_at(8);
        let mut byte = 0;
        while byte < magic.len() {
            assert!(magic[byte] == b"pmwords1"[byte], "model/words.bin is not a table of words");
            byte += 1;
        }
        let (digest, header) = header.split_at(8);
        let (words, length) = header.split_at(4);
        let words = number(words) as usize;
        assert!(number(length) as usize == MEANING, "vectors of another length");
        let (runs, rest) = rest.split_at(2 * (RUNS + 1));
        let (keys, vectors) = rest.split_at(4 * words);
        let (vectors, left) = vectors.as_chunks();
        assert!(vectors.len() == words && left.is_empty(), "vectors and words differ in number");
        Table {
            digest: number(digest),
            runs: runs.as_chunks().0,
            keys: keys.as_chunks().0,
            vectors,
        }
    }

    /// The vector of the word with this hash.
    fn vector(&self, word: u32) -> Option<&'static [u8; MEANING]> {
        let mixed = word.wrapping_mul(0x9e37_79b1);
        let run = (mixed >> (32 - RUNS.trailing_zeros())) as usize;
        let at = |place: usize| Some(usize::from(u16::from_le_bytes(*self.runs.get(place)?)));
        let (start, end) = (at(run)?, at(run + 1)?);
        let found = self.keys.get(start..end)?.iter();
        let place = found.map(|key| u32::from_le_bytes(*key)).position(|key| key == mixed)?;
        self.vectors.get(start + place)
    }
}

/// A little-endian number of up to eight bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within its own bounds")]
const fn number(bytes: &[u8]) -> u64 {
    let mut number = 0;
    let mut byte = 0;
    while byte < bytes.len() {
        number |= (bytes[byte] as u64) << (8 * byte);
        byte += 1;
    }
    number
}

/// The sum of the vectors of all words so far. Whole numbers, so that every host adds up alike.
pub(super) struct Meaning {
    /// In eighths.
    sum: [i32; MEANING],
    /// What was added since, each word once, whatever it weighs: short numbers add up faster.
    pending: [i16; MEANING],
    pending_words: u16,
    /// What a word counts, in eighths.
    weight: i32,
}

impl Default for Meaning {
    fn default() -> Self {
        Meaning {
            sum: [0; MEANING],
            pending: [0; MEANING],
            pending_words: 0,
            weight: ONE.cast_signed(),
        }
    }
}

impl Meaning {
    /// From here on, a word counts this many eighths.
    pub(super) fn weigh(&mut self, eighths: u32) {
        self.settle();
        self.weight = i32::try_from(eighths).unwrap_or(i32::MAX);
    }

    pub(super) fn add(&mut self, word: u32) {
        let Some(vector) = TABLE.vector(word) else { return };
        for (sum, value) in self.pending.iter_mut().zip(vector) {
            *sum = sum.wrapping_add(i16::from(value.cast_signed()));
        }
        self.pending_words += 1;
        if self.pending_words == MOST_PENDING {
            self.settle();
        }
    }

    fn settle(&mut self) {
        for (sum, pending) in self.sum.iter_mut().zip(&mut self.pending) {
            let weighed = i32::from(std::mem::take(pending)).saturating_mul(self.weight);
            *sum = sum.saturating_add(weighed);
        }
        self.pending_words = 0;
    }

    /// Writes the mean direction, of length 1; zeros where no word is known. `out` is
    /// `f32[MEANING]`.
    pub(super) fn finish(mut self, out: &mut [f32]) {
        self.settle();
        let squares: i64 = self.sum.iter().map(|sum| i64::from(*sum) * i64::from(*sum)).sum();
        if squares == 0 {
            return;
        }
        let scale = 1.0 / (squares as f64).sqrt();
        for (out, sum) in out.iter_mut().zip(self.sum) {
            *out = (f64::from(sum) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexicon::word_hash;
    use super::super::schema::Fnv1a;
    use super::*;

    fn meaning(words: &[&str]) -> Vec<f32> {
        let mut meaning = Meaning::default();
        words.iter().for_each(|word| meaning.add(word_hash(word)));
        let mut out = vec![0.0; MEANING];
        meaning.finish(&mut out);
        out
    }

    fn likeness(a: &[&str], b: &[&str]) -> f32 {
        meaning(a).iter().zip(meaning(b)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn the_header_holds_the_digest_of_the_rest() {
        let mut digest = Fnv1a::default();
        digest.write(&BYTES[16..]);
        assert_eq!(digest.0, table_digest());
    }

    #[test]
    fn keys_are_sorted_and_every_run_holds_its_own() {
        let keys: Vec<u32> = TABLE.keys.iter().map(|key| u32::from_le_bytes(*key)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for (place, key) in keys.iter().enumerate() {
            // Times the inverse of 0x9e3779b1 modulo 2^32: the word's own hash.
            let word = key.wrapping_mul(0x0e8b_2f51);
            assert_eq!(TABLE.vector(word), TABLE.vectors.get(place));
        }
    }

    #[test]
    fn words_of_a_kind_are_alike() {
        let related = likeness(&["integral", "theorem"], &["proof", "equation"]);
        let unrelated = likeness(&["integral", "theorem"], &["recipe", "kitchen"]);
        assert!(related > unrelated + 0.1, "{related} {unrelated}");
    }

    #[test]
    fn a_sum_does_not_depend_on_how_often_it_was_settled() {
        let many: Vec<&str> =
            ["proof", "kitchen", "integral"].into_iter().cycle().take(3000).collect();
        let one = meaning(&["proof", "kitchen", "integral"]);
        assert_eq!(meaning(&many), one);
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_text_of_unknown_words_has_no_direction() {
        assert_eq!(meaning(&["qqqxzzv"]), [0.0; MEANING]);
    }
}
