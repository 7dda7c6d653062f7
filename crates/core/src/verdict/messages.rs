//! Answers of Anthropic's messages.
//!
//! <https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/api/messages-streaming>

use serde_json::Value;

use super::assembly::{Assembly, is_thought};
use super::call::Piece;
use super::{elements, text};

impl Assembly {
    pub(super) fn messages(&mut self, event: &Value) {
        let index = event["index"].as_u64().unwrap_or_default();
        let delta = &event["delta"];
        match text(&event["type"]) {
            "message_start" => self.message(&event["message"]),
            "content_block_start" => self.block(index, &event["content_block"]),
            kind => {
                let Some(choice) = self.choice(0) else { return };
                match kind {
                    "content_block_delta" => {
                        choice.say(text(&delta["text"]));
                        choice.calls.write(index, &delta["partial_json"]);
                    }
                    "content_block_stop" => choice.calls.end(index),
                    "message_delta" => choice.end(text(&delta["stop_reason"])),
                    _ => {}
                }
            }
        }
    }

    /// A message with all that it has so far.
    pub(super) fn message(&mut self, message: &Value) {
        for (index, block) in (0..).zip(elements(&message["content"])) {
            self.block(index, block);
        }
        if let Some(choice) = self.choice(0) {
            choice.end(text(&message["stop_reason"]));
        }
    }

    fn block(&mut self, key: u64, block: &Value) {
        let kind = text(&block["type"]);
        // The provider's own tools, and what they gave back.
        let ran =
            matches!(kind, "server_tool_use" | "mcp_tool_use") || kind.ends_with("_tool_result");
        self.ran_tools |= ran;
        let Some(choice) = self.choice(0) else { return };
        match kind {
            "text" => {
                choice.begin_part();
                choice.say(text(&block["text"]));
            }
            "tool_use" => choice.calls.add(&Piece {
                key,
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: &block["input"],
                free: false,
            }),
            kind => choice.other |= !ran && !is_thought(kind),
        }
    }
}
