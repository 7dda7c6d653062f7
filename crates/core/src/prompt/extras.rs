//! What a body holds besides the text of its turns: other input, and JSON that the model reads.

use crate::target::{Need, Needs};

/// What of a body is in no turn's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extras<'a> {
    /// What it asks of a target.
    pub(super) needs: Needs,
    /// Bytes of JSON that the model reads: arguments of tools, documents, results of searches.
    pub(super) bytes: usize,
    /// Encodings of pictures, sounds and files: JSON of the body that is not read as text.
    pub(super) payloads: Vec<&'a str>,
    /// Tokens that the payloads stand for, at most.
    pub(super) payload_tokens: usize,
}

/// Most payloads that are told from text; more count as text. A body may hold a hundred thousand
/// empty ones.
const MAX_PAYLOADS: usize = 256;

/// Tokens of a picture, about the most that providers count before they make it smaller.
const IMAGE_TOKENS: usize = 1600;
/// Bytes of an encoded sound, film or document that stand for a token: a page of a document is
/// counted as its text and as a picture.
const FILE_BYTES: usize = 16;
/// Bytes of encrypted notes of the model that stand for a token.
const NOTE_BYTES: usize = 4;

impl<'a> Extras<'a> {
    pub(super) fn merge(&mut self, other: Extras<'a>) {
        self.needs.extend(other.needs);
        self.bytes += other.bytes;
        self.payload_tokens += other.payload_tokens;
        if self.payloads.is_empty() {
            self.payloads = other.payloads;
        } else {
            self.payloads.extend(other.payloads);
        }
        self.payloads.truncate(MAX_PAYLOADS);
    }

    /// Input that is not text: the longest field is its encoding.
    pub(super) fn take_media(&mut self, need: Need, fields: Others<'a>) {
        self.needs.insert(need);
        self.payload_tokens += match need {
            Need::Images => IMAGE_TOKENS,
            _ => fields.largest.len() / FILE_BYTES,
        };
        self.take_payload(fields);
    }

    /// What the model noted for itself, encrypted.
    pub(super) fn take_notes(&mut self, fields: Others<'a>) {
        self.payload_tokens += fields.largest.len() / NOTE_BYTES;
        self.take_payload(fields);
    }

    fn take_payload(&mut self, fields: Others<'a>) {
        self.bytes += fields.bytes - fields.largest.len();
        if self.payloads.len() < MAX_PAYLOADS {
            self.payloads.push(fields.largest);
        }
    }
}

/// The fields of an object that nobody asked for by name.
#[derive(Debug, Default)]
pub(super) struct Others<'a> {
    /// Bytes of their values.
    pub(super) bytes: usize,
    /// The longest value, JSON text.
    pub(super) largest: &'a str,
}

impl<'a> Others<'a> {
    pub(super) fn push(&mut self, value: &'a str) {
        self.bytes += value.len();
        if value.len() > self.largest.len() {
            self.largest = value;
        }
    }
}
