//! OpenAI responses: `{"instructions": "…", "input": "…" | [item, …], …}`.
//!
//! An item is a message, a tool call (`function_call`, `web_search_call`, …) or a tool's result
//! (`function_call_output`, …). What an earlier response holds (`previous_response_id`) is with
//! the provider and not in the request.
//!
//! <https://platform.openai.com/docs/api-reference/responses/create>

use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::body::Format;
use super::fields::TextParts;
use super::message::{Message, Messages, TextOrMessages, push};
use super::{Prompt, ResponseFormat, Role, Turn};

pub(super) struct Responses;

impl Format for Responses {
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "input" => {
                map.next_value_seed(TextOrMessages(Messages(&mut prompt.turns, add)))?;
            }
            "instructions" => {
                let TextParts { text, .. } = map.next_value()?;
                push(&mut prompt.turns, Turn { role: Role::System, text, ..Turn::default() });
            }
            "text" => {
                #[derive(Default, Deserialize)]
                struct Text {
                    #[serde(default)]
                    format: ResponseFormat,
                }
                let raw = map.next_value::<&RawValue>()?;
                let text = serde_json::from_str::<Text>(raw.get()).unwrap_or_default();
                prompt.parameters.response_format = text.format;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn add<'a>(turns: &mut Vec<Turn<'a>>, message: Message<'a>) {
    let turn = match message.kind.as_deref() {
        Some(kind) if kind.ends_with("_call") => {
            Turn { role: Role::Assistant, tool_calls: 1, ..Turn::default() }
        }
        Some(kind) if kind.ends_with("_call_output") => {
            let TextParts { text, images, .. } = message.output;
            Turn { role: Role::Tool, text, images, tool_calls: 0 }
        }
        // The model's own notes.
        Some("reasoning") => Turn { role: Role::Assistant, ..Turn::default() },
        _ => message.into_turn(),
    };
    push(turns, turn);
}
