//! Anthropic messages: `{"system": "…", "messages": [{"role", "content"}], …}`.
//!
//! Results of tools come as parts of a user message; here they are a turn of their own.
//!
//! <https://docs.anthropic.com/en/api/messages>

use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::body::Format;
use super::fields::Scalar;
use super::message::{Message, Messages, lead, push};
use super::parts::TextParts;
use super::{Prompt, Role, Turn};

pub(super) struct AnthropicMessages;

impl Format for AnthropicMessages {
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        match name {
            "messages" => map.next_value_seed(Messages(prompt, add))?,
            "system" => {
                let TextParts { text, extras, .. } = map.next_value()?;
                prompt.extras.merge(extras);
                lead(&mut prompt.turns, Turn { role: Role::System, text, ..Turn::default() });
            }
            "metadata" => {
                #[derive(Default, Deserialize)]
                struct Metadata<'a> {
                    #[serde(borrow, default)]
                    user_id: Scalar<'a>,
                }
                let raw = map.next_value::<&'de RawValue>()?;
                let metadata =
                    serde_json::from_slice::<Metadata>(raw.get().as_bytes()).unwrap_or_default();
                prompt.parameters.user = metadata.user_id.text();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn add<'a>(prompt: &mut Prompt<'a>, mut message: Message<'a>) {
    prompt.extras.merge(message.take_extras());
    prompt.extras.bytes += message.others.bytes;
    message.tool_calls = message.content.tool_uses;
    let turns = &mut prompt.turns;
    let Some(text) = message.content.tool_results.take() else {
        return push(turns, message.into_turn());
    };
    push(turns, Turn { role: Role::Tool, text, ..Turn::default() });
    // What a person, or an agent, adds to the results.
    let turn = message.into_turn();
    if turn.images > 0 || !turn.text.is_empty() {
        push(turns, turn);
    }
}
