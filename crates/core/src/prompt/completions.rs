//! OpenAI completions, the older API: `{"prompt": "…" | ["…", …], …}`.
//!
//! Several prompts in one request are read as one text. Prompts in tokens cannot be read: they
//! are not text to decide on.
//!
//! <https://platform.openai.com/docs/api-reference/completions/create>

use serde::de::MapAccess;

use super::body::Format;
use super::message::push;
use super::parts::TextParts;
use super::{Prompt, Turn};

pub(super) struct Completions;

impl Format for Completions {
    fn read<'de, A: MapAccess<'de>>(
        name: &str,
        prompt: &mut Prompt<'de>,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        if name != "prompt" {
            return Ok(false);
        }
        let TextParts { text, .. } = map.next_value()?;
        push(&mut prompt.turns, Turn { text, ..Turn::default() });
        Ok(true)
    }
}
