//! Answers of OpenAI's chat completions and completions, and of the many servers that speak them.
//!
//! <https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/api-reference/chat-streaming>

use serde_json::Value;

use super::assembly::{Assembly, Choice, is_thought};
use super::call::Piece;
use super::{elements, says, text};

/// The number of a `function_call`, of which there is one and which has none.
const FUNCTION_CALL: u64 = u64::MAX;

impl Assembly {
    /// An answer, or an event of one: they differ in one name only.
    pub(super) fn chat(&mut self, event: &Value) {
        for (place, choice) in (0..).zip(elements(&event["choices"])) {
            let index = choice["index"].as_u64().unwrap_or(place);
            // Some servers add all that was said so far to each event.
            let delta = &choice["delta"];
            let message = if delta.is_object() { delta } else { &choice["message"] };
            if index == 0 {
                let tokens = &choice["logprobs"];
                self.add_log_probabilities(&tokens["content"]);
                self.add_log_probabilities(&tokens["token_logprobs"]);
            }
            // What Groq's systems did on the way.
            self.ran_tools |= !elements(&message["executed_tools"]).is_empty();
            let Some(own) = self.choice(index) else { continue };
            own.say(text(&choice["text"]));
            own.message(message);
            // Azure's, by category. The one in the singular is of one choice, too.
            for results in ["content_filter_results", "content_filter_result"] {
                let results = choice[results].as_object().into_iter().flatten();
                own.filtered |= results.into_iter().any(|(_, it)| it["filtered"] == true);
            }
            own.end(text(&choice["finish_reason"]));
        }
    }
}

impl Choice {
    fn message(&mut self, message: &Value) {
        self.say(text(&message["content"]));
        for part in elements(&message["content"]) {
            match text(&part["type"]) {
                "text" | "output_text" | "" => self.say(text(&part["text"])),
                "refusal" => self.refused = true,
                kind => self.other |= !is_thought(kind),
            }
        }
        self.refused |= says(&message["refusal"]);
        self.other |= message["audio"].is_object() || !elements(&message["images"]).is_empty();
        for (place, call) in (0..).zip(elements(&message["tool_calls"])) {
            let custom = &call["custom"];
            let free = custom.is_object();
            let function = if free { custom } else { &call["function"] };
            self.calls.add(&Piece {
                key: call["index"].as_u64().unwrap_or(place),
                id: text(&call["id"]),
                name: text(&function["name"]),
                arguments: &function[if free { "input" } else { "arguments" }],
                free,
            });
        }
        let call = &message["function_call"];
        if call.is_object() {
            let (name, arguments) = (text(&call["name"]), &call["arguments"]);
            self.calls.add(&Piece { key: FUNCTION_CALL, id: "", name, arguments, free: false });
        }
    }
}
