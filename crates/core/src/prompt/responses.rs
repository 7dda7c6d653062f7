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

use super::body::{Format, read_response_format};
use super::message::{Message, Messages, TextOrMessages, lead, push};
use super::parts::TextParts;
use super::{Prompt, Role, Turn};
use crate::target::Need;

pub(super) struct Responses;

impl Format for Responses {
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "input" => {
                map.next_value_seed(TextOrMessages(Messages(prompt, add)))?;
            }
            "instructions" => {
                let TextParts { text, extras, .. } = map.next_value()?;
                prompt.extras.merge(extras);
                lead(&mut prompt.turns, Turn { role: Role::System, text, ..Turn::default() });
            }
            "text" => {
                #[derive(Default, Deserialize)]
                struct Text<'a> {
                    #[serde(borrow)]
                    format: Option<&'a RawValue>,
                }
                let raw = map.next_value::<&RawValue>()?;
                let text = serde_json::from_slice::<Text>(raw.get().as_bytes()).unwrap_or_default();
                if let Some(format) = text.format {
                    read_response_format(prompt, format.get());
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn add<'a>(prompt: &mut Prompt<'a>, mut message: Message<'a>) {
    let mut extras = message.take_extras();
    let others = std::mem::take(&mut message.others);
    let turn = match message.kind.as_deref() {
        Some("image_generation_call") => {
            extras.take_media(Need::Images, others);
            Turn { role: Role::Assistant, tool_calls: 1, ..Turn::default() }
        }
        // The model's own notes.
        Some("reasoning" | "compaction") => {
            extras.take_notes(others);
            Turn { role: Role::Assistant, ..Turn::default() }
        }
        Some(kind) if kind.ends_with("_call") => {
            extras.bytes += others.bytes;
            Turn { role: Role::Assistant, tool_calls: 1, ..Turn::default() }
        }
        Some(kind) if kind.ends_with("_call_output") => {
            extras.bytes += others.bytes;
            let TextParts { text, images, .. } = message.output;
            Turn { role: Role::Tool, text, images, tool_calls: 0 }
        }
        kind => {
            extras.bytes += others.bytes;
            let known = ["message", "item_reference", "mcp_list_tools"];
            let asks = |kind: &str| kind.starts_with("mcp_approval_");
            if kind.is_some_and(|kind| !known.contains(&kind) && !asks(kind)) {
                extras.needs.insert(Need::UnknownInput);
            }
            message.into_turn()
        }
    };
    prompt.extras.merge(extras);
    push(&mut prompt.turns, turn);
}
