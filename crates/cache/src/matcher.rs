//! Two questions to a verdict: may the answer to the one serve the other?

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::embedding::{Embedder, dot, unit};
use super::guards::{Disagreement, Pair, QuestionFacts};
use super::index::quantise;
use super::pair::{FEATURES, PairFeatures};
use super::question::Question;

/// The result of comparing two questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The probability that one answer serves both, whatever the guards say.
    pub similarity: f32,
    pub cosine: f32,
    pub guards: Result<(), Disagreement>,
}

impl Verdict {
    /// Whether the answer may serve at this threshold.
    pub fn hits(&self, threshold: f32) -> bool {
        self.guards.is_ok() && self.similarity >= threshold
    }
}

/// How the features of a pair make a similarity, and how much of it is enough: the output of
/// `calibrate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Log-odds of "one answer serves both": a weight a feature, see [`PairFeatures`], and a bias.
    pub weights: [f32; FEATURES],
    pub bias: f32,
    /// Similarity from which an answer serves.
    pub threshold: f32,
    /// The model whose vectors it was made with; absent for the built-in embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<String>,
}

impl Calibration {
    /// The one that is built in, `model/cache/calibration.json`; docs/cache.md describes the pairs
    /// it was made from.
    ///
    /// # Errors
    ///
    /// When the program was built with an invalid file.
    pub fn built_in() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("../../../model/cache/calibration.json"))
    }
}

/// The probability that one answer serves a pair with these features. Calibration ranks pairs by
/// the same function, so that its threshold means the same to a cache.
pub(super) fn similarity(weights: &[f32; FEATURES], bias: f32, features: &[f32; FEATURES]) -> f32 {
    1.0 / (1.0 + (-(bias + dot(weights, features))).exp())
}

/// Compares questions.
#[derive(Clone)]
pub struct Matcher {
    embedder: Embedder,
    pub calibration: Calibration,
    /// Vectors that texts have instead of the built-in embedding's.
    known: Arc<HashMap<String, Vec<f32>>>,
}

impl Matcher {
    pub fn new(embedder: Embedder, calibration: Calibration) -> Self {
        Matcher { embedder, calibration, known: Arc::default() }
    }

    /// The same with vectors that an [`Endpoint`](super::Endpoint) gave for texts.
    pub fn knowing(self, vectors: HashMap<String, Vec<f32>>) -> Self {
        Matcher { known: Arc::new(vectors), ..self }
    }

    /// Reads a question. Tens of microseconds for a sentence.
    pub fn question(&self, text: &str) -> Question {
        self.question_with(text, self.known.get(text).cloned())
    }

    /// Reads a question with this vector; by default with that of the built-in embedding.
    pub fn question_with(&self, text: &str, vector: Option<Vec<f32>>) -> Question {
        let facts = QuestionFacts::of(text);
        // "How do I" and "what is a way to" say the same, but would be half of a short question.
        let tokens = self.embedder.tokens(&facts.content_text());
        let embedding = vector.map_or_else(|| self.embedder.embed_tokens(&tokens), unit);
        Question { embedding, tokens, facts }
    }

    /// A hash of what makes vectors of texts: the embedding's files, and what is left of a text
    /// before they are asked.
    pub(super) fn vectors(&self) -> [u8; 32] {
        const TEXTS: [&str; 3] = [
            "How do I convert 10.5 km to miles, and why isn't it 6?",
            "Please tell me: what's the best way from Riga to \"Tallinn\" by bus?",
            "The parser drops `blank` lines. It did not, once.",
        ];
        let mut hash = Sha256::new();
        hash.update(self.embedder.digest());
        for text in TEXTS {
            let vector = quantise(&self.question_with(text, None).embedding);
            vector.iter().for_each(|number| hash.update(number.to_le_bytes()));
        }
        hash.finalize().into()
    }

    /// Compares two questions.
    pub fn judge(&self, a: &Question, b: &Question) -> Verdict {
        let features = self.features(a, b);
        let Calibration { weights, bias, .. } = &self.calibration;
        Verdict {
            similarity: similarity(weights, *bias, &features.0),
            cosine: dot(&a.embedding, &b.embedding),
            guards: Pair::new(&a.facts, &b.facts, &|x, y| self.embedder.closeness(x, y)).agree(),
        }
    }

    /// Whether the answer to one may serve the other.
    pub fn hits(&self, verdict: &Verdict) -> bool {
        verdict.hits(self.calibration.threshold)
    }

    /// What the similarity is made of.
    pub fn features(&self, a: &Question, b: &Question) -> PairFeatures {
        PairFeatures::of(&self.embedder, a, b)
    }
}
