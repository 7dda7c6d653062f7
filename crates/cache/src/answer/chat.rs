//! Answers of OpenAI's chat completions and completions, and of the many servers that speak them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Calls;
use super::end::End;
use super::text::Text;
use super::{Reading, elements, is_text};
use crate::metrics::NoStoreReason;

/// Finish reasons of whole answers: OpenAI's, those of Anthropic that gateways hand on, and those of
/// text-generation-inference.
const WHOLE: [&str; 8] = [
    "stop",
    "tool_calls",
    "function_call",
    "end_turn",
    "tool_use",
    "stop_sequence",
    "eos",
    "eos_token",
];
/// Parts of a message's content that are an answer without being text.
const MEDIA: [&str; 5] = ["image_url", "image", "output_image", "audio", "output_audio"];
/// The place of a `function_call`, of which there is one and which has no index.
const FUNCTION_CALL: u64 = u64::MAX;

/// The choices by their index.
#[derive(Debug, Default)]
pub(super) struct Chat(BTreeMap<u64, Choice>);

#[derive(Debug, Default)]
struct Choice {
    text: Text,
    media: bool,
    refused: bool,
    calls: Calls,
    finish: End,
}

impl Reading for Chat {
    fn whole(&mut self, answer: &Value) -> Result<(), NoStoreReason> {
        self.event(answer)
    }

    fn event(&mut self, event: &Value) -> Result<(), NoStoreReason> {
        for (place, choice) in (0..).zip(elements(&event["choices"])) {
            if !choice["error"].is_null() {
                return Err(NoStoreReason::Failed);
            }
            let read = self.0.entry(choice["index"].as_u64().unwrap_or(place)).or_default();
            read.message(&choice["message"]);
            read.message(&choice["delta"]);
            read.text.add(&choice["text"]);
            read.finish.add(&choice["finish_reason"], &WHOLE);
        }
        Ok(())
    }

    fn ended(&self) -> Option<bool> {
        None
    }

    fn verdict(&self) -> Result<(), NoStoreReason> {
        if self.0.is_empty() {
            return Err(NoStoreReason::NoAnswer);
        }
        self.0.values().try_for_each(Choice::verdict)
    }
}

impl Choice {
    /// A message, or the piece of one that an event adds.
    fn message(&mut self, message: &Value) {
        self.refused |= is_text(&message["refusal"]);
        self.text.add(&message["content"]);
        self.media |=
            is_text(&message["audio"]["data"]) || !elements(&message["images"]).is_empty();
        for part in elements(&message["content"]) {
            let kind = part["type"].as_str().unwrap_or_default();
            self.refused |= kind == "refusal";
            self.media |= MEDIA.contains(&kind);
            if kind == "text" {
                self.text.add(&part["text"]);
            }
        }
        for (place, call) in (0..).zip(elements(&message["tool_calls"])) {
            let place = call["index"].as_u64().unwrap_or(place);
            let name = ["function", "custom"].iter().find_map(|kind| call[kind]["name"].as_str());
            self.calls.add(place, name, call["function"]["arguments"].as_str());
        }
        if let Some(call) = message["function_call"].as_object() {
            let text = |name: &str| call.get(name).and_then(Value::as_str);
            self.calls.add(FUNCTION_CALL, text("name"), text("arguments"));
        }
    }

    fn verdict(&self) -> Result<(), NoStoreReason> {
        let finish = self.finish.reason().ok_or(NoStoreReason::Incomplete)?;
        if self.refused || matches!(finish, "content_filter" | "refusal") {
            return Err(NoStoreReason::Refused);
        }
        if !WHOLE.contains(&finish) || !self.calls.are_whole() {
            return Err(NoStoreReason::Failed);
        }
        let calls = matches!(finish, "tool_calls" | "function_call" | "tool_use");
        let answered = !self.calls.is_empty() || !calls && (self.media || self.text.says());
        if answered { Ok(()) } else { Err(NoStoreReason::NoAnswer) }
    }
}
