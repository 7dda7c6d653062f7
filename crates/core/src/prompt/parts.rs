//! `content`: text, or an array of typed parts, of which some are no text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::extras::{Extras, Others};
use super::fields::Scalar;
use crate::target::Need;

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
    /// What is there besides the text.
    pub(super) extras: Extras<'a>,
}

impl<'a> TextParts<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        TextParts { text, ..TextParts::default() }
    }

    fn push(&mut self, part: Part<'a>) {
        let kind = part.kind();
        let mut content = *part.content;
        self.extras.merge(std::mem::take(&mut content.extras));
        match kind {
            Kind::Media(need, counts) => {
                self.images = self.images.saturating_add(u32::from(counts));
                self.extras.take_media(need, part.others);
            }
            Kind::Document(source) => {
                self.extras.needs.insert(Need::Files);
                match source {
                    Some(text) => {
                        self.extras.bytes += part.others.bytes;
                        self.extras.merge(text.extras);
                    }
                    None => self.extras.take_media(Need::Files, part.others),
                }
            }
            Kind::ToolUse => {
                self.tool_uses = self.tool_uses.saturating_add(1);
                self.extras.bytes += part.others.bytes;
            }
            Kind::ToolResult => {
                self.images = self.images.saturating_add(content.images);
                join(self.tool_results.get_or_insert_default(), content.text);
                content.text = Cow::default();
                self.extras.bytes += part.others.bytes;
            }
            Kind::Text => self.extras.bytes += part.others.bytes,
            Kind::Unknown => {
                self.extras.needs.insert(Need::UnknownInput);
                self.extras.bytes += part.others.bytes;
            }
        }
        // What stands in a part's `content` is read by the model, though it is no turn's text.
        self.extras.bytes += content.text.len();
        join(&mut self.text, part.text);
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

            /// One part that is not in an array, as a computer's screenshot is. Text is not
            /// looked for there.
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut parts = TextParts::default();
                parts.push(PartVisitor.visit_map(map)?);
                parts.extras.bytes += std::mem::take(&mut parts.text).len();
                Ok(TextParts { images: 0, tool_uses: 0, tool_results: None, ..parts })
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
    r#type: Option<Cow<'a, str>>,
    text: Cow<'a, str>,
    /// What a tool's result holds.
    content: Box<TextParts<'a>>,
    /// A document's own `source`.
    source: Option<&'a str>,
    /// What a field says by its name alone.
    implied: Option<Need>,
    others: Others<'a>,
    /// Whether it is an object.
    object: bool,
}

/// What a part is.
enum Kind<'a> {
    /// No text; whether it counts among a turn's images.
    Media(Need, bool),
    /// A document; what it holds where that is text.
    Document(Option<TextParts<'a>>),
    ToolUse,
    ToolResult,
    Text,
    Unknown,
}

impl<'a> Part<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        Part { text, ..Part::default() }
    }

    fn kind(&self) -> Kind<'a> {
        let Some(name) = self.r#type.as_deref() else {
            return match self.implied {
                Some(need) => Kind::Media(need, false),
                // Scalars, and objects that hold text, whatever they are called.
                None if !self.object || !self.text.is_empty() => Kind::Text,
                None => Kind::Unknown,
            };
        };
        match name {
            "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text"
            | "refusal" | "thinking" | "redacted_thinking" | "reasoning" | "search_result"
            | "tool_reference" | "compaction" => Kind::Text,
            "image_url" | "input_image" | "image" => Kind::Media(Need::Images, true),
            "computer_screenshot" | "image_file" => Kind::Media(Need::Images, false),
            "input_audio" | "audio" | "audio_url" | "output_audio" => {
                Kind::Media(Need::Audio, false)
            }
            "video" | "video_url" | "input_video" => Kind::Media(Need::Video, false),
            "file" | "input_file" | "file_url" | "document_url" | "container_upload" => {
                Kind::Media(Need::Files, false)
            }
            "document" => Kind::Document(self.source.and_then(document_text)),
            "tool_use" | "server_tool_use" | "mcp_tool_use" => Kind::ToolUse,
            "tool_result" => Kind::ToolResult,
            // `web_search_tool_result` and its like.
            _ if name.ends_with("_tool_result") => Kind::Text,
            _ => Kind::Unknown,
        }
    }
}

/// What a document holds, when that is text and no encoding of a file.
fn document_text(source: &str) -> Option<TextParts<'_>> {
    #[derive(Deserialize)]
    struct Source<'a> {
        #[serde(borrow, default)]
        r#type: Scalar<'a>,
        #[serde(borrow, default)]
        content: TextParts<'a>,
    }
    // As bytes, like the body: the parser is in the module once for each kind of input.
    let source: Source = serde_json::from_slice(source.as_bytes()).ok()?;
    matches!(source.r#type.text()?.as_ref(), "text" | "content").then_some(source.content)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartField {
    Type,
    Text,
    Content,
    Source,
    ImageUrl,
    Image,
    InputAudio,
    AudioUrl,
    Audio,
    VideoUrl,
    Video,
    File,
    #[serde(other)]
    Other,
}

impl PartField {
    /// The input that such a field holds, where no type says it.
    fn implies(&self) -> Option<Need> {
        match self {
            PartField::ImageUrl | PartField::Image => Some(Need::Images),
            PartField::InputAudio | PartField::AudioUrl | PartField::Audio => Some(Need::Audio),
            PartField::VideoUrl | PartField::Video => Some(Need::Video),
            PartField::File => Some(Need::Files),
            PartField::Type
            | PartField::Text
            | PartField::Content
            | PartField::Source
            | PartField::Other => None,
        }
    }
}

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
        let mut part = Part { object: true, ..Part::default() };
        while let Some(field) = map.next_key::<PartField>()? {
            match field {
                PartField::Type => part.r#type = map.next_value::<Scalar>()?.text(),
                PartField::Text => {
                    part.text = map.next_value::<Scalar>()?.text().unwrap_or_default();
                }
                PartField::Content => part.content = map.next_value()?,
                other => {
                    let value = map.next_value::<&'de RawValue>()?.get();
                    if matches!(other, PartField::Source) {
                        part.source = Some(value);
                    }
                    part.implied = part.implied.or(other.implies());
                    part.others.push(value);
                }
            }
        }
        Ok(part)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}
