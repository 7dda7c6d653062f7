//! Answers of OpenAI's responses.
//!
//! <https://platform.openai.com/docs/api-reference/responses/object>,
//! <https://platform.openai.com/docs/api-reference/responses-streaming>

use serde_json::Value;

use super::assembly::{Assembly, is_thought};
use super::call::Piece;
use super::{elements, text};

impl Assembly {
    pub(super) fn responses(&mut self, event: &Value) {
        let item = &event["item"];
        let index = event["output_index"].as_u64().unwrap_or_default();
        let Some(choice) = self.choice(0) else { return };
        match text(&event["type"]) {
            "response.content_part.added" => choice.begin_part(),
            "response.output_text.delta" => {
                choice.say(text(&event["delta"]));
                self.add_log_probabilities(&event["logprobs"]);
            }
            "response.refusal.delta" | "response.refusal.done" => choice.refused = true,
            "response.output_item.added" => self.item(index, item, false),
            // Its text has come before, unless the server sends no deltas.
            "response.output_item.done"
                if text(&item["type"]) == "message" && !choice.text.is_empty() => {}
            "response.output_item.done" => self.item(index, item, true),
            "response.completed" | "response.incomplete" => self.response(&event["response"]),
            _ => {}
        }
    }

    /// A response with all that it has. What came of it before is replaced, unless it is left out.
    pub(super) fn response(&mut self, response: &Value) {
        let output = elements(&response["output"]);
        let Some(choice) = self.choice(0) else { return };
        if !output.is_empty() {
            *choice = Default::default();
        }
        for (index, item) in (0..).zip(output) {
            self.item(index, item, true);
        }
        let Some(choice) = self.choice(0) else { return };
        match text(&response["status"]) {
            "incomplete" => {
                let reason = response.pointer("/incomplete_details/reason").map_or("", text);
                choice.end(if reason.is_empty() { "incomplete" } else { reason });
            }
            status => choice.end(status),
        }
    }

    /// An item; of one that only begins, what is in it comes later.
    fn item(&mut self, key: u64, item: &Value, done: bool) {
        let kind = text(&item["type"]);
        // Tools that the provider executes. Lists of tools and thoughts are nothing to see.
        let ran = matches!(
            kind,
            "web_search_call"
                | "file_search_call"
                | "code_interpreter_call"
                | "image_generation_call"
                | "mcp_call"
        );
        self.ran_tools |= ran;
        if kind == "message" && done {
            return self.parts(item);
        }
        let Some(choice) = self.choice(0) else { return };
        match kind {
            "function_call" | "custom_tool_call" => {
                let free = kind == "custom_tool_call";
                let arguments = &item[if free { "input" } else { "arguments" }];
                let arguments = if done { arguments } else { &Value::Null };
                let (id, name) = (text(&item["call_id"]), text(&item["name"]));
                choice.calls.add(&Piece { key, id, name, arguments, free });
                if done {
                    choice.calls.end(key);
                }
            }
            "image_generation_call" => choice.other = true,
            "message" | "mcp_list_tools" | "" => {}
            // What the client is to do: a click, a patch, an approval. And what is not known.
            kind => choice.other |= !ran && !is_thought(kind),
        }
    }

    /// The content of a message.
    fn parts(&mut self, message: &Value) {
        for part in elements(&message["content"]) {
            let Some(choice) = self.choice(0) else { return };
            match text(&part["type"]) {
                "output_text" | "text" => {
                    choice.begin_part();
                    choice.say(text(&part["text"]));
                    if self.log_probability().is_none() {
                        self.add_log_probabilities(&part["logprobs"]);
                    }
                }
                "refusal" => choice.refused = true,
                kind => choice.other |= !is_thought(kind),
            }
        }
    }
}
