//! Texts to vectors, in microseconds: the weighted mean of static token vectors.
//!
//! The table was distilled from a sentence transformer (`scripts/distil-embedding.py`): what the
//! transformer makes of each token on its own, reduced to [`DIMENSIONS`] by PCA; a token weighs the
//! less the commoner it is. This is the method of model2vec and WordLlama. It is built in, so that
//! a cache depends on no other server.

use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::guards::Closeness;
use super::key::hash_part;

/// Length of every vector.
pub const DIMENSIONS: usize = 128;

const TOKENIZER: &[u8] = include_bytes!("../../../model/cache/tokenizer.json");
const TABLE: &[u8] = include_bytes!("../../../model/cache/embedding.bin");
const MAGIC: &[u8; 4] = b"PMSE";

/// Why an embedding's files were rejected.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EmbeddingError {
    #[error("invalid tokenizer: {0}")]
    Tokenizer(String),
    #[error("invalid table: not {DIMENSIONS} numbers for each of the tokenizer's {0} tokens")]
    Table(usize),
}

/// Token ids of a text, in order.
pub type Tokens = Vec<u32>;

/// Texts to vectors. Cheap to clone.
#[derive(Clone)]
pub struct Embedder(Arc<Inner>);

struct Inner {
    tokenizer: Tokenizer,
    /// `f32[tokens]`: how much a token says.
    weights: Vec<f32>,
    /// `f32[tokens, DIMENSIONS]`.
    vectors: Vec<f32>,
    /// Of both files.
    digest: [u8; 32],
}

static BUILT_IN: LazyLock<Result<Embedder, EmbeddingError>> =
    LazyLock::new(|| Embedder::read(TOKENIZER, TABLE));

impl Embedder {
    /// The embedding that is built in; read once a process.
    ///
    /// # Errors
    ///
    /// When the program was built with files that do not fit each other.
    pub fn built_in() -> Result<Self, EmbeddingError> {
        BUILT_IN.clone()
    }

    /// Reads a tokenizer (Hugging Face JSON) and a table: `PMSE`, then little-endian `u32` tokens
    /// and dimensions, `f32[tokens]` weights, `f32[tokens]` scales, `i8[tokens, dimensions]`.
    ///
    /// # Errors
    ///
    /// When either is malformed or they do not fit each other.
    pub fn read(tokenizer: &[u8], table: &[u8]) -> Result<Self, EmbeddingError> {
        let mut digest = Sha256::new();
        [tokenizer, table].iter().for_each(|file| hash_part(&mut digest, file));
        let tokenizer = Tokenizer::from_bytes(tokenizer)
            .map_err(|error| EmbeddingError::Tokenizer(error.to_string()))?;
        let tokens = tokenizer.get_vocab_size(false);
        let table = table.strip_prefix(MAGIC).and_then(|table| {
            let (head, rest) = table.split_at_checked(8)?;
            let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
            let fits = number(0)? as usize == tokens && number(4)? as usize == DIMENSIONS;
            let (floats, integers) = rest.split_at_checked(8 * tokens)?;
            (fits && integers.len() == tokens * DIMENSIONS).then_some((floats, integers))
        });
        let (floats, integers) = table.ok_or(EmbeddingError::Table(tokens))?;
        let (floats, _) = floats.as_chunks::<4>();
        let floats: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (weights, scales) = floats.split_at(tokens);
        let rows = integers.chunks_exact(DIMENSIONS).zip(scales);
        let vectors = rows
            .flat_map(|(row, scale)| row.iter().map(move |byte| f32::from(*byte as i8) * scale))
            .collect();
        let (weights, digest) = (weights.to_vec(), digest.finalize().into());
        Ok(Embedder(Arc::new(Inner { tokenizer, weights, vectors, digest })))
    }

    /// A hash of the files that it was read from.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// The tokens of a text; what no token stands for is left out.
    pub fn tokens(&self, text: &str) -> Tokens {
        let Ok(encoding) = self.0.tokenizer.encode_fast(text, false) else { return Tokens::new() };
        encoding.get_ids().to_vec()
    }

    /// The vector of a text: `f32[DIMENSIONS]`, of length one, or zero when the text says nothing.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        self.embed_tokens(&self.tokens(text))
    }

    /// As [`Embedder::embed`], of tokens.
    pub fn embed_tokens(&self, tokens: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; DIMENSIONS];
        for token in tokens {
            let weight = self.weight(*token);
            for (sum, value) in sum.iter_mut().zip(self.vector(*token)) {
                *sum += weight * value;
            }
        }
        unit(sum)
    }

    /// How close two words are. Pairs of Quora's with one word replaced, by the cosine of the two
    /// words: of those from 0.8 on, 19 in 20 are labelled as the same, as many as of the surest
    /// hits; from 0.5 to 0.6 it is half. Two rare words are alike or far: what names one kind of
    /// thing, two cities, is near and not the same.
    pub fn closeness(&self, a: &str, b: &str) -> Closeness {
        const ALIKE: f32 = 0.8;
        const NEAR: f32 = 0.5;
        const RARE: f32 = 0.93;
        // A mean of pieces says too little.
        let ([a], [b]) = (&*self.tokens(a), &*self.tokens(b)) else { return Closeness::Far };
        let (x, y) = (self.vector(*a), self.vector(*b));
        let reaches = |cosine: f32| dot(x, y) >= cosine * (dot(x, x) * dot(y, y)).sqrt();
        let rare = self.weight(*a).min(self.weight(*b)) >= RARE;
        if reaches(ALIKE) {
            Closeness::Alike
        } else if !rare && reaches(NEAR) {
            Closeness::Near
        } else {
            Closeness::Far
        }
    }

    /// How much a token says, 0 for one that says nothing.
    pub fn weight(&self, token: u32) -> f32 {
        self.0.weights.get(token as usize).copied().unwrap_or_default()
    }

    /// The vector of one token: `f32[DIMENSIONS]`, not scaled to length one.
    pub fn vector(&self, token: u32) -> &[f32] {
        let start = token as usize * DIMENSIONS;
        self.0.vectors.get(start..start + DIMENSIONS).unwrap_or_default()
    }
}

/// The vector at length one, unless it is zero.
pub(super) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = dot(&vector, &vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    vector
}

/// The dot product; the cosine for vectors of length one.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, which the compiler turns into vector instructions.
    let mut sums = [0.0_f32; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let embedder = Embedder::built_in().unwrap();
        dot(&embedder.embed(a), &embedder.embed(b))
    }

    #[test]
    fn what_means_the_same_is_nearer_than_what_does_not() {
        let question = "How can I learn to play the guitar?";
        let near = cosine(question, "What is a good way to learn guitar playing?");
        let far = cosine(question, "What is the boiling point of ethanol?");
        assert!(near > 0.7 && far < 0.4, "{near} {far}");
        assert!((cosine(question, question) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn forms_and_synonyms_are_alike_and_names_of_one_kind_are_far() {
        let embedder = Embedder::built_in().unwrap();
        for (a, b, closeness) in [
            ("lawyer", "attorney", Closeness::Alike),
            ("movies", "films", Closeness::Alike),
            ("big", "huge", Closeness::Alike),
            ("rice", "wheat", Closeness::Near),
            ("tea", "law", Closeness::Far),
            ("riga", "tallinn", Closeness::Far),
            ("", "", Closeness::Far),
        ] {
            assert_eq!(embedder.closeness(a, b), closeness, "{a} {b}");
            assert_eq!(embedder.closeness(b, a), closeness, "{b} {a}");
        }
    }

    #[test]
    fn a_text_that_says_nothing_is_near_nothing() {
        assert_eq!(cosine("", "anything"), 0.0);
        assert_eq!(cosine("", ""), 0.0);
    }

    #[test]
    fn files_that_do_not_fit_are_refused() {
        assert!(matches!(Embedder::read(b"{}", TABLE), Err(EmbeddingError::Tokenizer(_))));
        for table in [&TABLE[..TABLE.len() - 1], b"", b"PMSE", &TABLE[1..]] {
            assert!(matches!(Embedder::read(TOKENIZER, table), Err(EmbeddingError::Table(_))));
        }
    }
}
