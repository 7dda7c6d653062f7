//! What the bodies of all API formats share: one JSON object with the model's name and parameters.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Scalar;
use super::{Prompt, ResponseFormat};

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
            let parameters = &mut self.prompt.parameters;
            match &*name {
                "model" => parameters.model = map.next_value::<Scalar>()?.text(),
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                    parameters.max_tokens =
                        map.next_value::<Scalar>()?.unsigned().or(parameters.max_tokens);
                }
                "temperature" => parameters.temperature = map.next_value::<Scalar>()?.number(),
                "stream" => parameters.stream = map.next_value::<Scalar>()?.is_true(),
                "response_format" => parameters.response_format = map.next_value()?,
                "user" => parameters.user = map.next_value::<Scalar>()?.text(),
                "tools" | "functions" => {
                    let tools: Elements = map.next_value()?;
                    parameters.tools = tools.count;
                    parameters.tools_bytes = tools.bytes;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The elements of an array: how many, and their bytes of JSON. Nothing for any other value.
#[derive(Default)]
pub(super) struct Elements {
    pub(super) count: u32,
    bytes: usize,
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
        let mut array = serde_json::Deserializer::from_str(raw.get());
        Ok(array.deserialize_seq(Count).unwrap_or_default())
    }
}

/// `{"type": "json_object" | "json_schema" | …}`; text for any other value.
impl<'de> Deserialize<'de> for ResponseFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Format<'a> {
            #[serde(borrow, default)]
            r#type: Scalar<'a>,
        }
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let format = serde_json::from_str::<Format>(raw.get()).ok();
        Ok(match format.and_then(|format| format.r#type.text()).as_deref() {
            Some("json_object") => ResponseFormat::JsonObject,
            Some("json_schema") => ResponseFormat::JsonSchema,
            _ => ResponseFormat::Text,
        })
    }
}
