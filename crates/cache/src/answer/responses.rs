//! Answers of OpenAI's responses.

use serde_json::Value;

use super::text::Text;
use super::{Reading, call, elements};
use crate::metrics::NoStoreReason;

/// Items that are an answer by themselves: what the client is to do, and images. Other calls are
/// what the provider did on the way to an answer.
const CALLS: [&str; 7] = [
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "image_generation_call",
];

#[derive(Debug, Default)]
pub(super) struct Responses {
    content: bool,
    refused: bool,
    ended: bool,
}

impl Responses {
    fn item(&mut self, item: &Value) -> Result<(), NoStoreReason> {
        let kind = item["type"].as_str().unwrap_or_default();
        let unfinished = item["status"].as_str().is_some_and(|status| status != "completed");
        let arguments = item["arguments"].as_str().unwrap_or_default();
        if unfinished || kind == "function_call" && !call::are_whole(arguments) {
            return Err(NoStoreReason::Failed);
        }
        let mut text = Text::default();
        for part in elements(&item["content"]).iter().filter(|_| kind == "message") {
            self.refused |= part["type"] == "refusal";
            if part["type"] == "output_text" {
                text.add(&part["text"]);
            }
        }
        self.content |= CALLS.contains(&kind) || text.says();
        Ok(())
    }
}

impl Reading for Responses {
    fn whole(&mut self, answer: &Value) -> Result<(), NoStoreReason> {
        // Some say both, that it is completed and what it lacks.
        let lacks = ["error", "incomplete_details"].iter().any(|name| !answer[*name].is_null());
        match answer["status"].as_str() {
            Some("completed") if !lacks => {
                elements(&answer["output"]).iter().try_for_each(|it| self.item(it))
            }
            _ => Err(NoStoreReason::Failed),
        }
    }

    fn event(&mut self, event: &Value) -> Result<(), NoStoreReason> {
        match event["type"].as_str() {
            Some("response.completed") => {
                self.ended = true;
                self.whole(&event["response"])
            }
            Some("response.failed" | "response.incomplete" | "response.cancelled") => {
                Err(NoStoreReason::Failed)
            }
            // Servers may leave the items out of the last event.
            Some("response.output_item.done") => self.item(&event["item"]),
            _ => Ok(()),
        }
    }

    fn ended(&self) -> Option<bool> {
        Some(self.ended)
    }

    fn verdict(&self) -> Result<(), NoStoreReason> {
        match (self.refused, self.content) {
            (true, _) => Err(NoStoreReason::Refused),
            (false, true) => Ok(()),
            (false, false) => Err(NoStoreReason::NoAnswer),
        }
    }
}
