//! One message of a conversation, in the shape that the formats with messages share.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::body::Elements;
use super::extras::{Extras, Others};
use super::fields::Scalar;
use super::parts::TextParts;
use super::{MAX_TURNS, Prompt, Role, Turn};
use crate::target::Need;

/// A message before its format says what it means.
#[derive(Default)]
pub(super) struct Message<'a> {
    pub(super) role: Option<Cow<'a, str>>,
    /// `type`, of the items of OpenAI responses.
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) content: TextParts<'a>,
    /// `output`, of a tool's result in OpenAI responses.
    pub(super) output: TextParts<'a>,
    pub(super) tool_calls: u32,
    /// A sound that the model answered with before.
    audio: bool,
    pub(super) others: Others<'a>,
}

impl<'a> Message<'a> {
    /// What is there besides the texts.
    pub(super) fn take_extras(&mut self) -> Extras<'a> {
        let mut extras = std::mem::take(&mut self.content.extras);
        extras.merge(std::mem::take(&mut self.output.extras));
        if self.audio {
            extras.needs.insert(Need::Audio);
        }
        extras
    }

    /// The turn that it is in chat completions.
    pub(super) fn into_turn(self) -> Turn<'a> {
        let role = match self.role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("assistant") => Role::Assistant,
            Some("tool" | "function") => Role::Tool,
            _ => Role::User,
        };
        let TextParts { text, images, .. } = self.content;
        Turn { role, text, images, tool_calls: self.tool_calls }
    }
}

/// Adds a turn. Beyond [`MAX_TURNS`] the last place is overwritten, so that the newest turn is
/// always the last.
pub(super) fn push<'a>(turns: &mut Vec<Turn<'a>>, turn: Turn<'a>) {
    if turns.len() == MAX_TURNS {
        turns.pop();
    }
    turns.push(turn);
}

/// Puts a turn in front of all others. Instructions in a field of their own stand first, wherever
/// in the body the field does.
pub(super) fn lead<'a>(turns: &mut Vec<Turn<'a>>, turn: Turn<'a>) {
    if turns.len() == MAX_TURNS {
        turns.remove(0);
    }
    turns.insert(0, turn);
}

/// An array of messages; the function turns each into turns.
pub(super) struct Messages<'p, 'a>(
    pub(super) &'p mut Prompt<'a>,
    pub(super) fn(&mut Prompt<'a>, Message<'a>),
);

impl<'de> DeserializeSeed<'de> for Messages<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(message) = seq.next_element()? {
            (self.1)(self.0, message);
        }
        Ok(())
    }
}

/// As [`Messages`], or one text that stands for a single user turn.
pub(super) struct TextOrMessages<'p, 'a>(pub(super) Messages<'p, 'a>);

impl<'de> DeserializeSeed<'de> for TextOrMessages<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextOrMessages<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a text or an array of items")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        push(&mut self.0.0.turns, Turn { text: Cow::Borrowed(text), ..Turn::default() });
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        push(&mut self.0.0.turns, Turn { text: Cow::Owned(text.to_owned()), ..Turn::default() });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.0.visit_seq(seq)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Role,
    Type,
    Content,
    Output,
    ToolCalls,
    FunctionCall,
    Audio,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MessageVisitor;

        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut message = Message::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Role => message.role = map.next_value::<Scalar>()?.text(),
                        Field::Type => message.kind = map.next_value::<Scalar>()?.text(),
                        Field::Content => message.content = map.next_value()?,
                        Field::Output => message.output = map.next_value()?,
                        Field::ToolCalls => {
                            let calls: Elements = map.next_value()?;
                            message.tool_calls = calls.count;
                            message.others.bytes += calls.bytes;
                        }
                        Field::FunctionCall => {
                            let call = map.next_value::<&'de RawValue>()?;
                            message.others.push(call.get());
                            message.tool_calls = 1;
                        }
                        Field::Audio => {
                            message.audio = map.next_value::<&'de RawValue>()?.get() != "null";
                        }
                        Field::Other => {
                            message.others.push(map.next_value::<&'de RawValue>()?.get());
                        }
                    }
                }
                Ok(message)
            }
        }

        deserializer.deserialize_map(MessageVisitor)
    }
}
