//! Recorded event streams: the deltas of an answer, put together again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{ModelAnswer, ToolCall, text_at, usage};
use pointsman_core::target::Usage;

/// Lines that the data of one event may take.
const MOST_PIECES: usize = 64;
/// Fields of an event (WHATWG HTML, 9.2).
const FIELDS: [&str; 4] = ["data:", "event:", "id:", "retry:"];

/// Whether a text is an event stream, or a chunk in each line. Comments come before the first field
/// of some servers (": OPENROUTER PROCESSING"), and "id:" alone begins many a text.
pub fn is_stream(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = lines(text).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return false };
    if first.starts_with("data:") || first.starts_with("event:") {
        return true;
    }
    let is_field =
        |line: &str| line.starts_with(':') || FIELDS.iter().any(|it| line.starts_with(it));
    if is_field(first) {
        return lines.take_while(|line| is_field(line)).any(|line| line.starts_with("data:"));
    }
    // One chunk a line, and more than one of them.
    first.starts_with('{')
        && lines.next().is_some_and(|line| line.starts_with('{'))
        && is_chunk(serde_json::from_str(first).ok().as_ref())
}

/// Whether it is a piece of a streamed answer.
pub fn is_chunk(event: Option<&Value>) -> bool {
    let Some(event) = event else { return false };
    let kind = text_at(event, "type");
    event.pointer("/choices/0/delta").is_some()
        || text_at(event, "object").ends_with(".chunk")
        || kind == "message_start"
        || kind.starts_with("response.")
}

/// Joins a stream of chat completions, completions, Responses or Anthropic events.
///
/// # Errors
/// The stream reports an error, or holds no answer.
pub fn read(text: &str) -> Result<ModelAnswer, &'static str> {
    let mut stream = Stream::default();
    for event in events(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        stream.take(&event)?;
    }
    stream.finish()
}

/// As [`read`], of events that are parsed.
///
/// # Errors
/// The stream reports an error, or holds no answer.
pub fn join(events: &[Value]) -> Result<ModelAnswer, &'static str> {
    let mut stream = Stream::default();
    events.iter().try_for_each(|event| stream.take(event))?;
    stream.finish()
}

/// Lines end in a line feed, a carriage return or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The events that are JSON. The data of one may take several lines; logs that lost the empty lines
/// between events have one a line.
fn events(text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut open = String::new();
    let mut pieces = 0;
    for line in lines(text) {
        let data = line.strip_prefix("data:").or_else(|| line.starts_with('{').then_some(line));
        let Some(data) = data.map(str::trim) else {
            if line.is_empty() {
                open.clear();
            }
            continue;
        };
        if let Ok(event) = serde_json::from_str(data) {
            open.clear();
            events.push(event);
            continue;
        }
        // An event in pieces has few of them.
        pieces = if open.is_empty() { 1 } else { pieces + 1 };
        if pieces > MOST_PIECES {
            continue;
        }
        open.push_str(data);
        open.push('\n');
        // An event ends with its last bracket.
        if data.ends_with('}')
            && let Ok(event) = serde_json::from_str(&open)
        {
            open.clear();
            events.push(event);
        }
    }
    events
}

#[derive(Default)]
struct Stream {
    answer: ModelAnswer,
    /// Calls by the index that the stream gives them.
    calls: BTreeMap<u64, ToolCall>,
    /// Index and ID of the last call that came without an index.
    last: Option<(u64, String)>,
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

    /// Of several answers to one request the first is read, as of a response in one piece.
    fn chat(&mut self, event: &Value) {
        let choices = event.get("choices").and_then(Value::as_array);
        let first = |choice: &&Value| choice.get("index").is_none_or(|index| *index == 0);
        let Some(choice) = choices.into_iter().flatten().find(first) else { return };
        self.events += 1;
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.answer.finish = Some(finish.into());
        }
        self.answer.text.push_str(&text_at(choice, "text"));
        let Some(delta) = choice.get("delta") else { return };
        self.answer.text.push_str(&text_at(delta, "content"));
        for part in delta.get("content").and_then(Value::as_array).into_iter().flatten() {
            self.answer.read_part(part);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let index = self.index_of(call);
            if let Some(function) = call.get("function") {
                self.call(index, function);
            }
            if let Some(custom) = call.get("custom") {
                self.custom(index, &text_at(custom, "name"), &text_at(custom, "input"));
            }
        }
        // The only call of older servers.
        if let Some(function) = delta.get("function_call").filter(|call| call.is_object()) {
            self.call(0, function);
        }
    }

    /// Some servers give calls no index: then another ID is another call.
    fn index_of(&mut self, call: &Value) -> u64 {
        if let Some(index) = call.get("index").and_then(Value::as_u64) {
            return index;
        }
        let id = text_at(call, "id");
        let next = self.calls.keys().next_back().map_or(0, |last| last + 1);
        match &self.last {
            Some((index, known)) if id.is_empty() || *known == id => *index,
            _ => {
                self.last = Some((next, id));
                next
            }
        }
    }

    fn call(&mut self, index: u64, function: &Value) {
        let own = self.calls.entry(index).or_default();
        // Some servers send the whole name with every delta.
        let name = text_at(function, "name");
        if own.name != name {
            own.name.push_str(&name);
        }
        own.arguments.push_str(&text_at(function, "arguments"));
    }

    /// The input of a custom tool is free text, kept as the inside of a JSON string.
    fn custom(&mut self, index: u64, name: &str, input: &str) {
        let own = self.calls.entry(index).or_default();
        if own.name != name {
            own.name.push_str(name);
        }
        let so_far = serde_json::from_str::<String>(&own.arguments).unwrap_or_default();
        own.arguments = Value::from(so_far + input).to_string();
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
                if matches!(text_at(item, "type").as_str(), "function_call" | "custom_tool_call") {
                    self.calls.entry(index).or_default().name = text_at(item, "name");
                    self.events += 1;
                }
            }
            "response.custom_tool_call_input.delta" => {
                self.custom(index, "", &text_at(event, "delta"));
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
    fn streams_are_known_by_their_fields() {
        let chunk =
            r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        for text in [
            format!("data: {chunk}\n\n"),
            format!(": PROCESSING\n\ndata: {chunk}\n\n"),
            format!("\u{feff}id: 1\nretry: 5\ndata: {chunk}\n\n"),
            format!("data: {chunk}\r\rdata: [DONE]\r\r"),
            format!("{chunk}\n{{\"choices\":[]}}\n"),
        ] {
            assert!(is_stream(&text), "{text}");
            assert_eq!(read(&text).expect("readable").text, "a", "{text}");
        }
        for text in ["id: 5 is the answer", ": a colon", "{\"a\": 1}\n{\"b\": 2}", ""] {
            assert!(!is_stream(text), "{text}");
        }
    }

    #[test]
    fn calls_without_an_index_are_told_apart_by_their_ids() {
        let call = |id: &str, name: &str, arguments: &str| {
            serde_json::json!({"choices": [{"delta": {"tool_calls": [{"id": id,
                "function": {"name": name, "arguments": arguments}}]}}]})
        };
        let events = [call("1", "f", "{"), call("", "", "}"), call("2", "g", "{}")];
        let answer = join(&events).expect("readable");
        let calls = answer.tool_calls.iter().map(|it| (it.name.as_str(), it.arguments.as_str()));
        assert_eq!(calls.collect::<Vec<_>>(), [("f", "{}"), ("g", "{}")]);
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
