//! Recorded event streams: the deltas of an answer, put together again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{ModelAnswer, ToolCall, text_at, usage};
use pointsman_core::answer::sse;
use pointsman_core::target::Usage;

/// Joins a stream of chat completions, completions, Responses or Anthropic events.
///
/// # Errors
/// The stream reports an error, or holds no answer.
pub fn read(text: &str) -> Result<ModelAnswer, &'static str> {
    let mut stream = Stream::default();
    for data in sse::data_lines(text) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        stream.take(&event)?;
    }
    stream.finish()
}

#[derive(Default)]
struct Stream {
    answer: ModelAnswer,
    /// Calls by the index that the stream gives them.
    calls: BTreeMap<u64, ToolCall>,
    /// The whole answer, where the stream ends with it.
    whole: Option<ModelAnswer>,
    events: usize,
}

impl Stream {
    fn take(&mut self, event: &Value) -> Result<(), &'static str> {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err("the event stream reports an error");
        }
        self.merge_usage(usage(event));
        if event.get("choices").is_some() {
            self.chat(event);
            return Ok(());
        }
        let kind = text_at(event, "type");
        match kind.as_str() {
            "error" | "response.failed" => return Err("the event stream reports an error"),
            "response.completed" | "response.incomplete" => {
                let response = event.get("response").unwrap_or(&Value::Null);
                self.whole = ModelAnswer::from_response(response).ok().filter(|it| !it.is_empty());
                self.merge_usage(usage(response));
                self.answer.finish =
                    response.get("status").and_then(Value::as_str).map(String::from);
                self.events += 1;
            }
            _ if kind.starts_with("response.") => self.responses(&kind, event),
            _ => self.anthropic(&kind, event),
        }
        Ok(())
    }

    fn chat(&mut self, event: &Value) {
        let Some(choice) = event.pointer("/choices/0") else { return };
        self.events += 1;
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.answer.finish = Some(finish.into());
        }
        self.answer.text.push_str(&text_at(choice, "text"));
        let Some(delta) = choice.get("delta") else { return };
        self.answer.text.push_str(&text_at(delta, "content"));
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(0);
            let own = self.calls.entry(index).or_default();
            if let Some(function) = call.get("function") {
                // Some servers send the whole name with every delta.
                let name = text_at(function, "name");
                if own.name != name {
                    own.name.push_str(&name);
                }
                own.arguments.push_str(&text_at(function, "arguments"));
            }
        }
    }

    fn responses(&mut self, kind: &str, event: &Value) {
        let index = event.get("output_index").and_then(Value::as_u64).unwrap_or(0);
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.answer.text.push_str(&text_at(event, "delta"));
                self.events += 1;
            }
            "response.output_item.added" => {
                let item = event.get("item").unwrap_or(&Value::Null);
                if text_at(item, "type") == "function_call" {
                    self.calls.entry(index).or_default().name = text_at(item, "name");
                    self.events += 1;
                }
            }
            "response.function_call_arguments.delta" => {
                self.calls.entry(index).or_default().arguments.push_str(&text_at(event, "delta"));
            }
            _ => {}
        }
    }

    fn anthropic(&mut self, kind: &str, event: &Value) {
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        match kind {
            "message_start" => {
                let message = event.get("message").unwrap_or(&Value::Null);
                self.merge_usage(usage(message));
                self.events += 1;
            }
            "content_block_start" => {
                let block = event.get("content_block").unwrap_or(&Value::Null);
                match text_at(block, "type").as_str() {
                    "tool_use" => {
                        self.calls.entry(index).or_default().name = text_at(block, "name")
                    }
                    "text" => self.answer.text.push_str(&text_at(block, "text")),
                    _ => {}
                }
            }
            "content_block_delta" => {
                let delta = event.get("delta").unwrap_or(&Value::Null);
                match text_at(delta, "type").as_str() {
                    "text_delta" => self.answer.text.push_str(&text_at(delta, "text")),
                    "input_json_delta" => {
                        let call = self.calls.entry(index).or_default();
                        call.arguments.push_str(&text_at(delta, "partial_json"));
                    }
                    _ => {}
                }
                self.events += 1;
            }
            "message_delta" => {
                let reason = event.pointer("/delta/stop_reason").and_then(Value::as_str);
                self.answer.finish = reason.map(String::from).or(self.answer.finish.take());
            }
            _ => {}
        }
    }

    /// Counts come in several events: what goes in with the first, what comes out with the last.
    fn merge_usage(&mut self, found: Option<Usage>) {
        let Some(found) = found else { return };
        let earlier = self.answer.usage.unwrap_or_default();
        self.answer.usage = Some(Usage {
            input: found.input.max(earlier.input),
            output: found.output.max(earlier.output),
        });
    }

    fn finish(self) -> Result<ModelAnswer, &'static str> {
        if self.events == 0 {
            return Err("the event stream has no answer");
        }
        let Stream { mut answer, calls, whole, .. } = self;
        answer.tool_calls = calls.into_values().collect();
        for call in &mut answer.tool_calls {
            if call.arguments.is_empty() {
                call.arguments = "{}".into();
            }
        }
        Ok(match whole {
            Some(whole) => ModelAnswer { usage: whole.usage.or(answer.usage), ..whole },
            None => answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(events: &[&str]) -> ModelAnswer {
        let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        read(&text).expect("readable")
    }

    #[test]
    fn an_anthropic_stream_is_joined() {
        let answer = stream(&[
            r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":7,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"fif"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ty"}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        assert_eq!((answer.text.as_str(), answer.finish.as_deref()), ("fifty", Some("tool_use")));
        assert_eq!(
            answer.tool_calls,
            [ToolCall { name: "f".into(), arguments: "{\"a\":1}".into() }]
        );
        assert_eq!(answer.usage.map(|it| it.input), Some(7));
    }

    #[test]
    fn a_responses_stream_is_joined_with_or_without_its_end() {
        let deltas = [
            r#"{"type":"response.created","response":{"status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"fif"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"ty"}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f"}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
        ];
        let end = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"fifty"}]},{"type":"function_call","name":"f","arguments":"{}"}],"usage":{"input_tokens":3,"output_tokens":2}}}"#;
        let whole: Vec<&str> = deltas.into_iter().chain([end]).collect();
        for events in [&deltas[..], &whole[..]] {
            let answer = stream(events);
            assert_eq!((answer.text.as_str(), answer.tool_calls.len()), ("fifty", 1));
        }
    }

    #[test]
    fn a_stream_that_fails_has_no_answer() {
        for text in [
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"x\"}}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
            "data: {\"type\":\"response.failed\"}\n\n",
            "data: [DONE]\n\n",
            ": ping\n\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
