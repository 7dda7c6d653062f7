//! What an answer leaves behind at its provider.

use super::Beginning;
use crate::api_field::ApiField::{self, *};
use crate::api_field::{Way, is_foreign};
use crate::prompt::ApiFormat;
use crate::skim::Step::{Field, Item as Element};
use crate::skim::Token;

/// Most pieces of state of one answer; of more, the last count.
const MOST: usize = 64;

/// Reads the names of what an answer leaves behind.
#[derive(Debug)]
pub(crate) struct MadeState {
    /// Whether the answer itself can be referred to.
    stored: bool,
    text: Beginning,
    /// Not taken yet, and all of the answer.
    new: Vec<u64>,
    seen: Vec<u64>,
}

impl MadeState {
    /// Of an answer in a format.
    pub(crate) fn new(format: ApiFormat) -> Self {
        let stored = matches!(format, ApiFormat::Responses | ApiFormat::Messages);
        let text = Beginning::default();
        MadeState { stored, text, new: Vec::new(), seen: Vec::new() }
    }

    /// A new JSON text begins.
    pub(crate) fn reset(&mut self) {
        self.text.take();
    }

    /// Something is met on this way.
    pub(crate) fn read(&mut self, way: Way, token: Token) {
        match token {
            Token::Text(text) if self.is_state(way) => self.text.push(text),
            Token::Escape(byte) if self.is_state(way) => self.text.push(&[b'\\', byte]),
            Token::TextEnd => {
                if let Some(id) = self.text.take() {
                    self.add(id);
                }
            }
            _ => {}
        }
    }

    /// What was met since it was asked for the last time.
    pub(crate) fn take(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.new)
    }

    fn is_state(&self, way: Way) -> bool {
        match way {
            [Field(Id)] | [Field(Response | Message), Field(Id)] => self.stored,
            [Field(Output), Element, Field(Id)]
            | [Field(Response), Field(Output), Element, Field(Id)]
            | [Field(ApiField::Item), Field(Id)]
            | [.., Field(Conversation | Container | Thread | Audio), Field(Id)]
            | [.., Field(ContainerId | FileId | EncryptedContent | Signature | ThoughtSignature)]
            | [Field(Content), Element, Field(Data)]
            | [Field(ContentBlock), Field(Data)] => !is_foreign(way),
            _ => false,
        }
    }

    fn add(&mut self, id: u64) {
        if self.seen.contains(&id) {
            return;
        }
        if self.seen.len() == MOST {
            self.seen.remove(0);
        }
        self.seen.push(id);
        self.new.push(id);
    }
}
