//! OpenAI chat completions: `{"messages": [{"role", "content"}], …}`.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Scalar, TextParts};
use super::{Parameters, Prompt, ResponseFormat, Role, Turn};

/// Fills a [`Prompt`] from a request body.
pub(super) struct Request<'p, 'a>(pub(super) &'p mut Prompt<'a>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum RequestField {
    Messages,
    Model,
    MaxTokens,
    MaxCompletionTokens,
    Temperature,
    Stream,
    ResponseFormat,
    Tools,
    Functions,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Request<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a chat completions request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Prompt { turns, parameters, .. } = self.0;
        while let Some(field) = map.next_key()? {
            match field {
                RequestField::Messages => map.next_value_seed(Messages(turns))?,
                RequestField::Model => parameters.model = map.next_value::<Scalar>()?.text(),
                RequestField::MaxTokens | RequestField::MaxCompletionTokens => {
                    parameters.max_tokens =
                        map.next_value::<Scalar>()?.unsigned().or(parameters.max_tokens);
                }
                RequestField::Temperature => {
                    parameters.temperature = map.next_value::<Scalar>()?.number();
                }
                RequestField::Stream => parameters.stream = map.next_value::<Scalar>()?.is_true(),
                RequestField::ResponseFormat => {
                    map.next_value_seed(ResponseFormatSeed(&mut parameters.response_format))?;
                }
                RequestField::Tools | RequestField::Functions => {
                    map.next_value_seed(Tools(parameters))?;
                }
                RequestField::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct Messages<'p, 'a>(&'p mut Vec<Turn<'a>>);

impl<'de> DeserializeSeed<'de> for Messages<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Message(turn)) = seq.next_element()? {
            self.0.push(turn);
        }
        Ok(())
    }
}

struct Message<'a>(Turn<'a>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum MessageField {
    Role,
    Content,
    ToolCalls,
    FunctionCall,
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
                let mut turn = Turn::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        MessageField::Role => {
                            turn.role = role(map.next_value::<Scalar>()?.text().as_deref());
                        }
                        MessageField::Content => {
                            let parts: TextParts = map.next_value()?;
                            turn.text = parts.text;
                            turn.images = parts.images;
                        }
                        MessageField::ToolCalls => {
                            turn.tool_calls = map.next_value::<Count>()?.0;
                        }
                        MessageField::FunctionCall => {
                            map.next_value::<IgnoredAny>()?;
                            turn.tool_calls = 1;
                        }
                        MessageField::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Message(turn))
            }
        }

        deserializer.deserialize_map(MessageVisitor)
    }
}

fn role(name: Option<&str>) -> Role {
    match name {
        Some("system" | "developer") => Role::System,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => Role::User,
    }
}

/// The number of elements of an array; 0 for anything else.
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Option::<Vec<IgnoredAny>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Count(u32::try_from(elements.len()).unwrap_or(u32::MAX)))
    }
}

struct Tools<'p, 'a>(&'p mut Parameters<'a>);

impl<'de> DeserializeSeed<'de> for Tools<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let tools = Option::<Vec<&'de RawValue>>::deserialize(deserializer)?.unwrap_or_default();
        self.0.tools = u32::try_from(tools.len()).unwrap_or(u32::MAX);
        self.0.tools_bytes = tools.iter().map(|tool| tool.get().len()).sum();
        Ok(())
    }
}

struct ResponseFormatSeed<'p>(&'p mut ResponseFormat);

impl<'de> DeserializeSeed<'de> for ResponseFormatSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        #[derive(Deserialize)]
        struct Format<'a> {
            #[serde(borrow, default)]
            r#type: Scalar<'a>,
        }
        let format = Option::<Format>::deserialize(deserializer)?;
        *self.0 = match format.and_then(|format| format.r#type.text()).as_deref() {
            Some("json_object") => ResponseFormat::JsonObject,
            Some("json_schema") => ResponseFormat::JsonSchema,
            _ => ResponseFormat::Text,
        };
        Ok(())
    }
}
