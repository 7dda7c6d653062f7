//! OpenAI chat completions: `{"messages": [{"role", "content"}], …}`.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use serde::de::MapAccess;

use super::Prompt;
use super::body::Format;
use super::message::{Messages, push};

pub(super) struct Chat;

impl Format for Chat {
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        if name != "messages" {
            return Ok(false);
        }
        map.next_value_seed(Messages(prompt, |prompt, mut message| {
            prompt.extras.merge(message.take_extras());
            prompt.extras.bytes += message.others.bytes;
            push(&mut prompt.turns, message.into_turn());
        }))?;
        Ok(true)
    }
}
