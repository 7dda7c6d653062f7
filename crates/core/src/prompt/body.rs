//! What the bodies of all API formats share: one JSON object with the model's name and parameters.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Scalar;
use super::{Prompt, ResponseFormat};
use crate::target::Need;

/// Where an API format keeps its text.
pub(super) trait Format {
    /// Reads the value of `name` from `map` if the format has such a field; otherwise leaves it.
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error>;
}

/// Fills a [`Prompt`] from a request body of a format.
pub(super) struct Body<'p, 'a, F> {
    prompt: &'p mut Prompt<'a>,
    format: PhantomData<F>,
}

impl<'p, 'a, F> Body<'p, 'a, F> {
    pub(super) fn of(_: F, prompt: &'p mut Prompt<'a>) -> Self {
        Body { prompt, format: PhantomData }
    }
}

impl<'de, F: Format> DeserializeSeed<'de> for Body<'_, 'de, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Format> Visitor<'de> for Body<'_, 'de, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a request body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Scalar>()? {
            let name = name.text().unwrap_or_default();
            if F::read(&name, self.prompt, &mut map)? {
                continue;
            }
            read_common(&name, self.prompt, &mut map)?;
        }
        Ok(())
    }
}

/// Reads a field that means the same in all formats, or skips it. Not a part of the visitor, which
/// is in the module once for each format.
#[inline(never)]
fn read_common<'de, A: MapAccess<'de>>(
    name: &str,
    prompt: &mut Prompt<'de>,
    map: &mut A,
) -> Result<(), A::Error> {
    let parameters = &mut prompt.parameters;
    match name {
        "model" => parameters.model = map.next_value::<Scalar>()?.text(),
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
            parameters.max_tokens =
                map.next_value::<Scalar>()?.unsigned().or(parameters.max_tokens);
        }
        "temperature" => parameters.temperature = map.next_value::<Scalar>()?.number(),
        "stream" => parameters.stream = map.next_value::<Scalar>()?.is_true(),
        "response_format" => {
            read_response_format(prompt, map.next_value::<&'de RawValue>()?.get());
        }
        "user" => parameters.user = map.next_value::<Scalar>()?.text(),
        "tools" | "functions" => {
            let tools: Elements = map.next_value()?;
            parameters.tools = tools.count;
            parameters.tools_bytes = tools.bytes;
        }
        "mcp_servers" => {
            let servers: Elements = map.next_value()?;
            if servers.count > 0 {
                prompt.extras.needs.insert(Need::Tools);
            }
        }
        "modalities" => {
            if map.next_value::<&'de RawValue>()?.get().contains("\"audio\"") {
                prompt.extras.needs.insert(Need::Audio);
            }
        }
        name => match structure_of(name) {
            Some(read) => {
                if read(map.next_value::<&'de RawValue>()?.get()) {
                    prompt.extras.needs.insert(Need::ResponseFormat);
                }
            }
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        },
    }
    Ok(())
}

/// Notes the format of the answer that a value, JSON text, asks for.
pub(super) fn read_response_format(prompt: &mut Prompt, value: &str) {
    let kind = type_of(value);
    prompt.parameters.response_format = match kind.as_deref() {
        Some("json_object") => ResponseFormat::JsonObject,
        Some("json_schema") => ResponseFormat::JsonSchema,
        _ => ResponseFormat::Text,
    };
    if is_format(value, kind.as_deref()) {
        prompt.extras.needs.insert(Need::ResponseFormat);
    }
}

/// Whether a format of this type, JSON text, is anything but text. What kind it is does not matter:
/// providers have more than are known here.
fn is_format(value: &str, kind: Option<&str>) -> bool {
    value != "null" && kind != Some("text")
}

fn asks_for_format(value: &str) -> bool {
    is_format(value, type_of(value).as_deref())
}

/// How to see in a field's value whether it asks for an answer of some structure; `None` for
/// fields that never do. `response_format` and `text` are read elsewhere.
fn structure_of(name: &str) -> Option<fn(&str) -> bool> {
    match name {
        // vLLM's, SGLang's and llama.cpp's own.
        "structured_outputs" | "guided_json" | "guided_regex" | "guided_choice"
        | "guided_grammar" | "grammar" | "json_schema" | "regex" | "ebnf" => {
            Some(|value| value != "null")
        }
        // Anthropic's, as it was in the beta, and as it is.
        "output_format" => Some(asks_for_format),
        "output_config" => Some(|value| {
            #[derive(Deserialize)]
            struct Config<'a> {
                #[serde(borrow)]
                format: Option<&'a RawValue>,
            }
            let config = serde_json::from_slice::<Config>(value.as_bytes());
            config.is_ok_and(|config| config.format.is_some_and(|it| asks_for_format(it.get())))
        }),
        _ => None,
    }
}

/// The `type` of an object, JSON text.
fn type_of(object: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, default)]
        r#type: Scalar<'a>,
    }
    serde_json::from_slice::<Typed>(object.as_bytes()).ok()?.r#type.text()
}

/// The elements of an array: how many, and their bytes of JSON. Nothing for any other value.
#[derive(Default)]
pub(super) struct Elements {
    pub(super) count: u32,
    pub(super) bytes: usize,
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;

        impl<'de> Visitor<'de> for Count {
            type Value = Elements;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
                let mut elements = Elements::default();
                while let Some(element) = seq.next_element::<&RawValue>()? {
                    elements.count = elements.count.saturating_add(1);
                    elements.bytes += element.get().len();
                }
                Ok(elements)
            }
        }

        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let mut array = serde_json::Deserializer::from_slice(raw.get().as_bytes());
        Ok(array.deserialize_seq(Count).unwrap_or_default())
    }
}
