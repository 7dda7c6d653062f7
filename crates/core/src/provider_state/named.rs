//! What a request builds on that is with a provider.

use super::Beginning;
use crate::api_field::ApiField::{self, *};
use crate::api_field::{Way, is_foreign};
use crate::features::hash64;
use crate::skim::Step::{Field, Item as Element};
use crate::skim::{Skimmer, Token};

/// Most pieces of state that are looked up; of more, the last count.
const MOST: usize = 64;
/// Longest kind that is looked at, and longest name of a session.
const WORD: usize = 256;

/// What a request's body names that is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedState {
    /// State that it builds on, in the order of the body.
    pub ids: Vec<u64>,
    /// It builds on state, named or not.
    pub is_needed: bool,
    /// What was said before is with the provider: the body does not show how the conversation
    /// begins.
    pub history: bool,
    /// What names its session, and the position of that field's name.
    pub session: Option<(u8, u64)>,
}

impl NamedState {
    /// Of a request body, or its beginning; `sessions` are the top-level fields that name a
    /// session. Whatever is broken in the body is somebody else's to refuse.
    pub fn of(body: &[u8], sessions: &[String]) -> Self {
        let mut reader = Reader::default();
        let named = |name: &[u8]| {
            let session = sessions.iter().position(|session| session.as_bytes() == name);
            let session = session.and_then(|position| u8::try_from(position).ok());
            session.map(Session).or_else(|| ApiField::named(name))
        };
        Skimmer::new().read(body, named, |way, token| reader.read(way, token));
        reader.named
    }
}

#[derive(Default)]
struct Reader {
    named: NamedState,
    text: Beginning,
    word: Vec<u8>,
    /// Of the present item of a response's input.
    item: Option<u64>,
    is_reference: bool,
}

impl Reader {
    fn read(&mut self, way: Way, token: Token) {
        match token {
            Token::Text(text) => self.push(way, text),
            Token::Escape(byte) => self.push(way, &[b'\\', byte]),
            Token::TextEnd => self.text_end(way),
            Token::Close if matches!(way, [Field(Input), Element]) => {
                let id = self.item.take().filter(|_| self.is_reference);
                id.into_iter().for_each(|id| self.add(id));
                self.is_reference = false;
            }
            _ => {}
        }
    }

    fn push(&mut self, way: Way, text: &[u8]) {
        match way {
            [.., Field(Type)] | [Field(Session(_))] => {
                let room = WORD.saturating_sub(self.word.len());
                self.word.extend(text.iter().take(room));
            }
            _ if is_state(way) || is_item_id(way) => self.text.push(text),
            _ => {}
        }
    }

    fn text_end(&mut self, way: Way) {
        let word = std::mem::take(&mut self.word);
        match way {
            [Field(Session(position))] if names_a_session(&word) => {
                let earlier = self.named.session.is_some_and(|(other, _)| other <= *position);
                if !earlier {
                    self.named.session = Some((*position, hash64(&[b"field", &word])));
                }
            }
            [Field(Input), Element, Field(Type)] => {
                self.is_reference = matches!(word.as_slice(), b"item_reference" | b"reasoning");
            }
            // A thread that goes on may have no name.
            [Field(Thread), Field(Type)] if word == b"continue" => {
                self.named.is_needed = true;
                self.named.history = true;
            }
            _ => {
                let Some(id) = self.text.take() else { return };
                if is_item_id(way) {
                    self.item = Some(id);
                } else {
                    self.named.history |= matches!(
                        way,
                        [Field(PreviousResponseId)] | [Field(Conversation | Thread), ..]
                    );
                    self.add(id);
                }
            }
        }
    }

    fn add(&mut self, id: u64) {
        self.named.is_needed = true;
        if self.named.ids.len() == MOST {
            self.named.ids.remove(0);
        }
        self.named.ids.push(id);
    }
}

/// An item has a name whether the provider keeps it or not.
fn is_item_id(way: Way) -> bool {
    matches!(way, [Field(Input), Element, Field(Id)])
}

/// What is here is state, or the name of some.
fn is_state(way: Way) -> bool {
    match way {
        [Field(PreviousResponseId | Conversation | Container)]
        | [Field(Conversation | Container | Thread), Field(Id)]
        | [Field(Thread), Field(PreviousMessageId)] => true,
        [Field(Messages), Element, Field(Audio), Field(Id)]
        | [Field(Messages), Element, Field(Content), Element, Field(Data)] => true,
        [.., Field(Container | ContainerId | FileId | EncryptedContent)]
        | [.., Field(FileIds | VectorStoreIds), Element] => !is_foreign(way),
        [Field(Messages | Input), .., Field(Signature | ThoughtSignature)] => !is_foreign(way),
        _ => false,
    }
}

/// Whether a value of a field tells sessions apart. A cache key may be one for everything that an
/// application asks; that of an agent is a UUID or another long random word.
fn names_a_session(value: &[u8]) -> bool {
    const RANDOM: usize = 20;
    const UUID: usize = 36;
    let is_uuid = |part: &[u8]| {
        part.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let random = |word: &[u8]| word.len() >= RANDOM && word.iter().any(u8::is_ascii_digit);
    value.windows(UUID).any(is_uuid)
        || value.split(|byte| !byte.is_ascii_alphanumeric()).any(random)
}
