//! An answer as it is stored.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::key::{Digest128, ExactKey, Partition, hash_part};
use pointsman_core::target::Usage;

/// A whole, successful answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub exact: ExactKey,
    pub partition: Partition,
    /// The question, if this answer may serve others.
    pub question: Option<Box<str>>,
    /// The question's vector, if it came from an [`Endpoint`](super::Endpoint), which is not asked
    /// again.
    pub vector: Option<Box<[i8]>>,
    pub content_type: Box<str>,
    /// The body byte for byte, events and all.
    pub body: Bytes,
    pub usage: Option<Usage>,
    pub created_ms: u64,
    pub expires_ms: u64,
}

/// Bytes of an entry in addition to its texts: itself, its place in the tiers, a vector, its edges.
const OVERHEAD: usize = 1024;

impl Entry {
    /// Its name in the tiers and in feedback. Two requests may share an ID, so a lookup compares the
    /// key too.
    pub fn id(&self) -> u64 {
        id_of(self.exact)
    }

    /// Memory, roughly, in bytes.
    pub fn size(&self) -> usize {
        let question = self.question.as_ref().map_or(0, |text| text.len());
        // Here and in the index.
        let vector = self.vector.as_ref().map_or(0, |vector| 2 * vector.len());
        OVERHEAD + question + vector + self.content_type.len() + self.body.len()
    }

    /// The vector as it is stored.
    pub(super) fn vector_bytes(&self) -> Option<Vec<u8>> {
        let bytes = |vector: &[i8]| vector.iter().map(|number| number.cast_unsigned()).collect();
        self.vector.as_deref().map(bytes)
    }

    /// A checksum of every field: what comes back from a disk is compared with it.
    pub fn checksum(&self) -> Digest128 {
        let mut hash = Sha256::new();
        let (input, output) = self.usage.map_or((0, 0), |usage| (usage.input, usage.output));
        let question = self.question.as_deref();
        let vector = self.vector_bytes();
        for number in [
            u64::from(question.is_some()),
            u64::from(vector.is_some()),
            u64::from(self.usage.is_some()),
            input,
            output,
            self.created_ms,
            self.expires_ms,
        ] {
            hash.update(number.to_le_bytes());
        }
        let texts: [&[u8]; 6] = [
            &self.exact.0,
            &self.partition.0,
            question.unwrap_or_default().as_bytes(),
            vector.as_deref().unwrap_or_default(),
            self.content_type.as_bytes(),
            &self.body,
        ];
        texts.iter().for_each(|text| hash_part(&mut hash, text));
        Digest128::of(hash)
    }
}

/// A vector as it was stored.
pub(super) fn vector_of(bytes: &[u8]) -> Box<[i8]> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

/// The ID of an entry with this key.
pub fn id_of(exact: ExactKey) -> u64 {
    let (head, _) = exact.0.split_at(8);
    head.iter().fold(0, |id, byte| id << 8 | u64::from(*byte))
}
