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

/// `content`: a string, or an array of typed parts. Text is joined by line feeds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TextParts<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) images: u32,
}

impl<'a> TextParts<'a> {
    fn push(&mut self, text: Cow<'a, str>) {
        if self.text.is_empty() {
            self.text = text;
        } else if !text.is_empty() {
            let joined = self.text.to_mut();
            joined.push('\n');
            joined.push_str(&text);
        }
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
                Ok(TextParts { text: Cow::Borrowed(value), images: 0 })
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(TextParts { text: Cow::Owned(value.to_owned()), images: 0 })
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(TextParts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = TextParts::default();
                while let Some(part) = seq.next_element::<Part>()? {
                    parts.images = parts.images.saturating_add(part.images);
                    parts.push(part.text);
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
    text: Cow<'a, str>,
    images: u32,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartField {
    Type,
    Text,
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

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Part { text: Cow::Borrowed(value), images: 0 })
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Part { text: Cow::Owned(value.to_owned()), images: 0 })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        PartField::Type => {
                            let kind = map.next_value::<Scalar>()?.text();
                            let image = matches!(
                                kind.as_deref(),
                                Some("image_url" | "input_image" | "image")
                            );
                            part.images = u32::from(image);
                        }
                        PartField::Text => {
                            part.text = map.next_value::<Scalar>()?.text().unwrap_or_default();
                        }
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
