//! Answers of Anthropic's messages.

use serde_json::Value;

use super::call::Calls;
use super::end::End;
use super::text::Text;
use super::{Reading, elements};
use crate::metrics::NoStoreReason;

/// Stop reasons of whole messages.
const WHOLE: [&str; 3] = ["end_turn", "stop_sequence", "tool_use"];

#[derive(Debug, Default)]
pub(super) struct Messages {
    text: Text,
    calls: Calls,
    stop: End,
    ended: bool,
}

impl Messages {
    fn block(&mut self, place: u64, block: &Value) {
        match block["type"].as_str() {
            Some("text") => self.text.add(&block["text"]),
            // In a stream its input follows in pieces.
            Some("tool_use") => self.calls.add(place, block["name"].as_str(), None),
            // Thinking, and what the provider did by itself on the way to an answer.
            _ => {}
        }
    }
}

impl Reading for Messages {
    fn whole(&mut self, answer: &Value) -> Result<(), NoStoreReason> {
        for (place, block) in (0..).zip(elements(&answer["content"])) {
            self.block(place, block);
        }
        self.stop.add(&answer["stop_reason"], &WHOLE);
        Ok(())
    }

    fn event(&mut self, event: &Value) -> Result<(), NoStoreReason> {
        let place = event["index"].as_u64().unwrap_or_default();
        let delta = &event["delta"];
        match event["type"].as_str() {
            Some("message_start") => self.whole(&event["message"])?,
            Some("content_block_start") => self.block(place, &event["content_block"]),
            Some("content_block_delta") => {
                if delta["type"] == "text_delta" {
                    self.text.add(&delta["text"]);
                }
                self.calls.add_arguments(place, delta["partial_json"].as_str().unwrap_or_default());
            }
            Some("message_delta") => self.stop.add(&delta["stop_reason"], &WHOLE),
            Some("message_stop") => self.ended = true,
            _ => {}
        }
        Ok(())
    }

    fn ended(&self) -> Option<bool> {
        Some(self.ended)
    }

    fn verdict(&self) -> Result<(), NoStoreReason> {
        let answered = match self.stop.reason() {
            Some("end_turn" | "stop_sequence") => !self.calls.is_empty() || self.text.says(),
            Some("tool_use") => !self.calls.is_empty(),
            Some("refusal") => return Err(NoStoreReason::Refused),
            // `max_tokens`, `pause_turn`, `model_context_window_exceeded`, and what is not known.
            Some(_) => return Err(NoStoreReason::Failed),
            None => return Err(NoStoreReason::NoAnswer),
        };
        match (answered, self.calls.are_whole()) {
            (true, true) => Ok(()),
            (true, false) => Err(NoStoreReason::Failed),
            (false, _) => Err(NoStoreReason::NoAnswer),
        }
    }
}
