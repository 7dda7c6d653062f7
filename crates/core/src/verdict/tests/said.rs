//! What a model does, as an answer of each format, streamed and not.

use serde_json::{Value, json};

use super::{EVENTS, JSON};
use crate::api::ApiFormat;

/// What a model does.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) calls: Vec<(&'static str, &'static str)>,
    /// By the word of chat completions; `stop` if empty.
    pub(super) finish: &'static str,
    pub(super) output_tokens: u64,
}

pub(super) fn says(text: impl Into<String>) -> Said {
    Said { text: text.into(), ..Said::default() }
}

pub(super) fn calls(name: &'static str, arguments: &'static str) -> Said {
    Said { calls: vec![(name, arguments)], ..Said::default() }
}

pub(super) fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// Pieces of a text, as a stream sends them.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(5).map(|piece| piece.iter().collect()).collect()
}

impl Said {
    fn finish(&self) -> &'static str {
        match (self.finish, self.calls.is_empty()) {
            ("", true) => "stop",
            ("", false) => "tool_calls",
            (finish, _) => finish,
        }
    }

    /// The answer in a format: its content type and its body.
    pub(super) fn answer(&self, format: ApiFormat, streamed: bool) -> (&'static [u8], String) {
        let body = match (format, streamed) {
            (ApiFormat::ChatCompletions, false) => self.chat().to_string(),
            (ApiFormat::ChatCompletions, true) => stream(&self.chat_events()) + "data: [DONE]\n\n",
            (ApiFormat::Completions, false) => self.completion().to_string(),
            (ApiFormat::Completions, true) => {
                let mut events: Vec<Value> = pieces(&self.text)
                    .iter()
                    .map(|piece| json!({"choices": [{"index": 0, "text": piece}]}))
                    .collect();
                events.push(json!({"choices": [{"text": "", "finish_reason": self.finish()}]}));
                events.push(self.chat_usage());
                stream(&events) + "data: [DONE]\n\n"
            }
            (ApiFormat::Responses, false) => self.response().to_string(),
            (ApiFormat::Responses, true) => stream(&self.response_events()),
            (ApiFormat::Messages, false) => self.message().to_string(),
            (ApiFormat::Messages, true) => stream(&self.message_events()),
        };
        (if streamed { EVENTS } else { JSON }, body)
    }

    fn chat_usage(&self) -> Value {
        let usage = json!({"prompt_tokens": 5, "completion_tokens": self.output_tokens});
        json!({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    }

    fn chat(&self) -> Value {
        let tool_calls: Vec<Value> = self
            .calls
            .iter()
            .map(|(name, arguments)| {
                let function = json!({"name": name, "arguments": arguments});
                json!({"id": format!("call_{name}"), "type": "function", "function": function})
            })
            .collect();
        let mut message = json!({"role": "assistant", "content": self.text, "refusal": null});
        if !tool_calls.is_empty() {
            message["tool_calls"] = json!(tool_calls);
            if self.text.is_empty() {
                message["content"] = Value::Null;
            }
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish()});
        json!({"object": "chat.completion", "choices": [choice],
            "usage": self.chat_usage()["usage"]})
    }

    fn chat_events(&self) -> Vec<Value> {
        let event = |delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            json!({"object": "chat.completion.chunk", "choices": [choice], "usage": null})
        };
        let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
        for piece in pieces(&self.text) {
            events.push(event(json!({"content": piece}), Value::Null));
        }
        for (index, (name, arguments)) in self.calls.iter().enumerate() {
            let function = json!({"name": name, "arguments": ""});
            let call = json!({"index": index, "id": format!("call_{index}"), "function": function});
            events.push(event(json!({"tool_calls": [call]}), Value::Null));
            for piece in pieces(arguments) {
                let call = json!({"index": index, "function": {"arguments": piece}});
                events.push(event(json!({"tool_calls": [call]}), Value::Null));
            }
        }
        events.push(event(json!({}), json!(self.finish())));
        events.push(self.chat_usage());
        events
    }

    fn completion(&self) -> Value {
        let choice = json!({"index": 0, "text": self.text, "finish_reason": self.finish()});
        json!({"object": "text_completion", "choices": [choice],
            "usage": self.chat_usage()["usage"]})
    }

    fn items(&self) -> Vec<Value> {
        let mut items = vec![json!({"type": "reasoning", "summary": []})];
        if !self.text.is_empty() {
            let part = json!({"type": "output_text", "text": self.text, "annotations": []});
            items.push(json!({"type": "message", "role": "assistant", "content": [part],
                "status": "completed"}));
        }
        for (name, arguments) in &self.calls {
            items.push(json!({"type": "function_call", "name": name, "arguments": arguments,
                "call_id": format!("call_{name}"), "status": "completed"}));
        }
        items
    }

    fn response(&self) -> Value {
        let (status, reason) = match self.finish() {
            "length" => ("incomplete", Some("max_output_tokens")),
            "content_filter" => ("incomplete", Some("content_filter")),
            _ => ("completed", None),
        };
        let details = reason.map(|reason| json!({"reason": reason}));
        json!({"object": "response", "status": status, "error": null, "output": self.items(),
            "incomplete_details": details,
            "usage": {"input_tokens": 5, "output_tokens": self.output_tokens}})
    }

    fn response_events(&self) -> Vec<Value> {
        let mut events = vec![json!({"type": "response.created",
            "response": {"object": "response", "status": "in_progress", "output": []}})];
        for (index, mut item) in self.items().into_iter().enumerate() {
            let whole = item.clone();
            let message = item["type"] == "message";
            if message {
                item["content"] = json!([]);
            } else if !item["arguments"].is_null() {
                item["arguments"] = json!("");
            }
            let event = |kind: &str| json!({"type": kind, "output_index": index});
            let mut added = event("response.output_item.added");
            added["item"] = item;
            events.push(added);
            if message {
                events.push(event("response.content_part.added"));
                for piece in pieces(&self.text) {
                    let mut delta = event("response.output_text.delta");
                    delta["delta"] = json!(piece);
                    events.push(delta);
                }
            } else {
                for piece in pieces(whole["arguments"].as_str().unwrap_or_default()) {
                    let mut delta = event("response.function_call_arguments.delta");
                    delta["delta"] = json!(piece);
                    events.push(delta);
                }
            }
            let mut done = event("response.output_item.done");
            done["item"] = whole;
            events.push(done);
        }
        let response = self.response();
        let kind = format!("response.{}", response["status"].as_str().unwrap());
        events.push(json!({"type": kind, "response": response}));
        events
    }

    fn stop_reason(&self) -> &'static str {
        match self.finish() {
            "stop" => "end_turn",
            "tool_calls" => "tool_use",
            "length" => "max_tokens",
            other => other,
        }
    }

    fn message(&self) -> Value {
        let mut content = vec![json!({"type": "thinking", "thinking": "Hm.", "signature": "s"})];
        if !self.text.is_empty() {
            content.push(json!({"type": "text", "text": self.text}));
        }
        for (name, arguments) in &self.calls {
            let input: Value = serde_json::from_str(arguments).unwrap_or(json!(arguments));
            content.push(json!({"type": "tool_use", "id": "t", "name": name, "input": input}));
        }
        json!({"type": "message", "role": "assistant", "content": content,
            "stop_reason": self.stop_reason(),
            "usage": {"input_tokens": 5, "output_tokens": self.output_tokens}})
    }

    fn message_events(&self) -> Vec<Value> {
        let mut events = vec![json!({"type": "message_start", "message": {"type": "message",
            "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}})];
        let blocks = self.message()["content"].as_array().unwrap().clone();
        let mut arguments = self.calls.iter().map(|(_, arguments)| *arguments);
        for (index, mut block) in blocks.into_iter().enumerate() {
            let (name, kind, text) = match block["type"].as_str().unwrap() {
                "text" => ("text", "text_delta", self.text.as_str()),
                "tool_use" => {
                    block["input"] = json!({});
                    ("partial_json", "input_json_delta", arguments.next().unwrap())
                }
                _ => ("thinking", "thinking_delta", "Hm."),
            };
            if name != "partial_json" {
                block[name] = json!("");
            }
            events.push(json!({"type": "content_block_start", "index": index,
                "content_block": block}));
            for piece in pieces(text) {
                events.push(json!({"type": "content_block_delta", "index": index,
                    "delta": {"type": kind, name: piece}}));
            }
            events.push(json!({"type": "content_block_stop", "index": index}));
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": self.stop_reason()},
            "usage": {"output_tokens": self.output_tokens}}));
        events.push(json!({"type": "message_stop"}));
        events
    }
}
