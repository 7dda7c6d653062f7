//! JSON values that several API formats share: scalars of any type, and text in parts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A scalar of whatever type a client chose to send; arrays and objects are skipped.
///
/// A parameter of the wrong type is the provider's to refuse: the router reads on without it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    #[default]
    Other,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn unsigned(&self) -> Option<u64> {
        // The cast saturates.
        self.number().filter(|number| *number >= 0.0).map(|number| number as u64)
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Scalar::Bool(true)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// Visits of scalars that say nothing here: they count as absent.
macro_rules! ignore_scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

/// `content`: a string, or an array of typed parts. Text is joined by line feeds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TextParts<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) images: u32,
    /// `tool_use` parts, of Anthropic messages.
    pub(super) tool_uses: u32,
    /// Text of the `tool_result` parts, where there are some.
    pub(super) tool_results: Option<Cow<'a, str>>,
}

impl<'a> TextParts<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        TextParts { text, ..TextParts::default() }
    }

    fn push(&mut self, part: Part<'a>) {
        let content = match part.kind {
            PartKind::Image => {
                self.images = self.images.saturating_add(1);
                part.text
            }
            PartKind::ToolUse => {
                self.tool_uses = self.tool_uses.saturating_add(1);
                part.text
            }
            PartKind::ToolResult => {
                self.images = self.images.saturating_add(part.content.images);
                join(self.tool_results.get_or_insert_default(), part.content.text);
                part.text
            }
            PartKind::Other => part.text,
        };
        join(&mut self.text, content);
    }
}

fn join<'a>(whole: &mut Cow<'a, str>, text: Cow<'a, str>) {
    if whole.is_empty() {
        *whole = text;
    } else if !text.is_empty() {
        let joined = whole.to_mut();
        joined.push('\n');
        joined.push_str(&text);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextParts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartsVisitor;

        impl<'de> Visitor<'de> for PartsVisitor {
            type Value = TextParts<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("text or an array of content parts")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(TextParts::of(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(TextParts::of(Cow::Owned(value.to_owned())))
            }

            ignore_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TextParts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = TextParts::default();
                while let Some(part) = seq.next_element::<Part>()? {
                    parts.push(part);
                }
                Ok(parts)
            }
        }

        deserializer.deserialize_any(PartsVisitor)
    }
}

/// One element of a content array.
#[derive(Default)]
struct Part<'a> {
    kind: PartKind,
    text: Cow<'a, str>,
    /// What a tool's result holds.
    content: Box<TextParts<'a>>,
}

impl<'a> Part<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        Part { text, ..Part::default() }
    }
}

#[derive(Default)]
enum PartKind {
    Image,
    ToolUse,
    ToolResult,
    #[default]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartField {
    Type,
    Text,
    Content,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;

        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a content part")
            }

            ignore_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Part::default())
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Part::of(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Part::of(Cow::Owned(value.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        PartField::Type => {
                            part.kind = match map.next_value::<Scalar>()?.text().as_deref() {
                                Some("image_url" | "input_image" | "image") => PartKind::Image,
                                Some("tool_use" | "server_tool_use") => PartKind::ToolUse,
                                Some("tool_result") => PartKind::ToolResult,
                                _ => PartKind::Other,
                            };
                        }
                        PartField::Text => {
                            part.text = map.next_value::<Scalar>()?.text().unwrap_or_default();
                        }
                        PartField::Content => part.content = map.next_value()?,
                        PartField::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(part)
            }
        }

        deserializer.deserialize_any(PartVisitor)
    }
}
