//! What a model does, as a request and an answer of each API, streamed and not.

use pointsman_core::api::ApiFormat;
use serde_json::{Value, json};

/// What a model does.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub text: String,
    /// Names and arguments of functions that it calls.
    pub calls: Vec<(&'static str, &'static str)>,
    /// By the word of chat completions; empty for the usual one.
    pub finish: &'static str,
    pub output_tokens: u64,
}

/// A text, and nothing else.
pub fn says(text: impl Into<String>) -> Said {
    Said { text: text.into(), output_tokens: 9, ..Said::default() }
}

/// A call of a function, and nothing else.
pub fn calls(name: &'static str, arguments: &'static str) -> Said {
    Said { calls: vec![(name, arguments)], output_tokens: 9, ..Said::default() }
}

/// The path of an API.
pub fn path(api: ApiFormat) -> &'static str {
    match api {
        ApiFormat::ChatCompletions => "/v1/chat/completions",
        ApiFormat::Completions => "/v1/completions",
        ApiFormat::Responses => "/v1/responses",
        ApiFormat::Messages => "/v1/messages",
    }
}

/// A question in an API.
pub fn question(api: ApiFormat, text: &str, streamed: bool) -> Value {
    let mut request = match api {
        ApiFormat::Completions => json!({"prompt": text, "max_tokens": 500}),
        ApiFormat::Responses => json!({"input": text}),
        ApiFormat::Messages => {
            json!({"max_tokens": 500, "messages": [{"role": "user", "content": text}]})
        }
        ApiFormat::ChatCompletions => json!({"messages": [{"role": "user", "content": text}]}),
    };
    request["model"] = json!("auto");
    if streamed {
        request["stream"] = json!(true);
    }
    request
}

/// One event of a stream.
pub fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A piece of a text in a stream of chat completions.
pub fn delta(text: &str) -> String {
    event(&json!({"object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// The event behind the last one of a stream of chat completions.
pub const DONE: &str = "data: [DONE]\n\n";

/// Pieces of a text, as a stream sends them.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(16).map(|piece| piece.iter().collect()).collect()
}

impl Said {
    /// The same, ended by this word of chat completions, with so many tokens.
    pub fn ended_by(self, finish: &'static str, output_tokens: u64) -> Self {
        Said { finish, output_tokens, ..self }
    }

    /// The answer as one JSON text.
    pub fn whole(&self, api: ApiFormat) -> String {
        match api {
            ApiFormat::ChatCompletions => self.chat(),
            ApiFormat::Completions => self.completion(),
            ApiFormat::Responses => self.response(),
            ApiFormat::Messages => self.message(),
        }
        .to_string()
    }

    /// The answer as events.
    pub fn events(&self, api: ApiFormat) -> Vec<String> {
        let (events, last) = match api {
            ApiFormat::ChatCompletions => (self.chat_events(), Some(DONE.to_owned())),
            ApiFormat::Completions => (self.completion_events(), Some(DONE.to_owned())),
            ApiFormat::Responses => (self.response_events(), None),
            ApiFormat::Messages => (self.message_events(), None),
        };
        let named = matches!(api, ApiFormat::Responses | ApiFormat::Messages);
        let name = |event: &Value| match event["type"].as_str().filter(|_| named) {
            Some(name) => format!("event: {name}\n"),
            None => String::new(),
        };
        events.iter().map(|it| name(it) + &event(it)).chain(last).collect()
    }

    fn finish(&self) -> &'static str {
        match (self.finish, self.calls.is_empty()) {
            ("", true) => "stop",
            ("", false) => "tool_calls",
            (finish, _) => finish,
        }
    }

    fn chat_usage(&self) -> Value {
        json!({"prompt_tokens": 5, "completion_tokens": self.output_tokens,
            "total_tokens": 5 + self.output_tokens})
    }

    fn chat(&self) -> Value {
        let call = |(index, (name, arguments)): (usize, &(&str, &str))| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": format!("call_{index}"), "type": "function", "function": function})
        };
        let tool_calls: Vec<Value> = self.calls.iter().enumerate().map(call).collect();
        let mut message = json!({"role": "assistant", "content": self.text, "refusal": null});
        if !tool_calls.is_empty() {
            message["tool_calls"] = json!(tool_calls);
            if self.text.is_empty() {
                message["content"] = Value::Null;
            }
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish()});
        json!({"object": "chat.completion", "choices": [choice], "usage": self.chat_usage()})
    }

    fn chat_events(&self) -> Vec<Value> {
        let chunk = |delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            json!({"object": "chat.completion.chunk", "choices": [choice]})
        };
        let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        for piece in pieces(&self.text) {
            events.push(chunk(json!({"content": piece}), Value::Null));
        }
        for (index, (name, arguments)) in self.calls.iter().enumerate() {
            let function = json!({"name": name, "arguments": ""});
            let call = json!({"index": index, "id": format!("call_{index}"), "type": "function",
                "function": function});
            events.push(chunk(json!({"tool_calls": [call]}), Value::Null));
            for piece in pieces(arguments) {
                let call = json!({"index": index, "function": {"arguments": piece}});
                events.push(chunk(json!({"tool_calls": [call]}), Value::Null));
            }
        }
        events.push(chunk(json!({}), json!(self.finish())));
        events.push(json!({"object": "chat.completion.chunk", "choices": [],
            "usage": self.chat_usage()}));
        events
    }

    fn completion(&self) -> Value {
        let choice = json!({"index": 0, "text": self.text, "finish_reason": self.finish()});
        json!({"object": "text_completion", "choices": [choice], "usage": self.chat_usage()})
    }

    fn completion_events(&self) -> Vec<Value> {
        let chunk = |text: &str, finish: Value| {
            let choice = json!({"index": 0, "text": text, "finish_reason": finish});
            json!({"object": "text_completion", "choices": [choice]})
        };
        let mut events: Vec<Value> =
            pieces(&self.text).iter().map(|piece| chunk(piece, Value::Null)).collect();
        events.push(chunk("", json!(self.finish())));
        events.push(json!({"object": "text_completion", "choices": [],
            "usage": self.chat_usage()}));
        events
    }

    fn items(&self) -> Vec<Value> {
        let mut items = vec![json!({"type": "reasoning", "summary": []})];
        if !self.text.is_empty() {
            let part = json!({"type": "output_text", "text": self.text, "annotations": []});
            items.push(json!({"type": "message", "role": "assistant", "content": [part],
                "status": "completed"}));
        }
        for (index, (name, arguments)) in self.calls.iter().enumerate() {
            items.push(json!({"type": "function_call", "name": name, "arguments": arguments,
                "call_id": format!("call_{index}"), "status": "completed"}));
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
            let event = |kind: &str| json!({"type": kind, "output_index": index});
            let (whole, message) = (item.clone(), item["type"] == "message");
            if message {
                item["content"] = json!([]);
            } else if !item["arguments"].is_null() {
                item["arguments"] = json!("");
            }
            let mut added = event("response.output_item.added");
            added["item"] = item;
            events.push(added);
            let (kind, text) = match message {
                true => ("response.output_text.delta", self.text.as_str()),
                false => (
                    "response.function_call_arguments.delta",
                    whole["arguments"].as_str().unwrap_or_default(),
                ),
            };
            for piece in pieces(text) {
                let mut delta = event(kind);
                delta["delta"] = json!(piece);
                events.push(delta);
            }
            let mut done = event("response.output_item.done");
            done["item"] = whole;
            events.push(done);
        }
        let response = self.response();
        let kind = format!("response.{}", response["status"].as_str().unwrap_or_default());
        events.push(json!({"type": kind, "response": response}));
        events
    }

    fn stop_reason(&self) -> &'static str {
        match self.finish() {
            "stop" => "end_turn",
            "tool_calls" => "tool_use",
            "length" => "max_tokens",
            // Here, the filter's word and the model's are one.
            "content_filter" => "refusal",
            other => other,
        }
    }

    fn message(&self) -> Value {
        let mut content = vec![json!({"type": "thinking", "thinking": "Hm.", "signature": "s"})];
        if !self.text.is_empty() {
            content.push(json!({"type": "text", "text": self.text}));
        }
        for (index, (name, arguments)) in self.calls.iter().enumerate() {
            let input: Value = serde_json::from_str(arguments).unwrap_or(json!(arguments));
            let id = format!("toolu_{index}");
            content.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
        }
        json!({"type": "message", "role": "assistant", "content": content,
            "stop_reason": self.stop_reason(),
            "usage": {"input_tokens": 5, "output_tokens": self.output_tokens}})
    }

    fn message_events(&self) -> Vec<Value> {
        let mut events = vec![json!({"type": "message_start", "message": {"type": "message",
            "role": "assistant", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 5, "output_tokens": 1}}})];
        let mut message = self.message();
        let blocks = message["content"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let mut arguments = self.calls.iter().map(|(_, arguments)| *arguments);
        for (index, mut block) in blocks.into_iter().enumerate() {
            let (name, kind, text) = match block["type"].as_str() {
                Some("text") => ("text", "text_delta", self.text.as_str()),
                Some("tool_use") => {
                    block["input"] = json!({});
                    let arguments = arguments.next().unwrap_or_default();
                    ("partial_json", "input_json_delta", arguments)
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
