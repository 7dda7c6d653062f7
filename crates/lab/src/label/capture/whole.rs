//! An answer that was streamed, as the same API gives it in one piece.

use serde_json::{Map, Value, json};

use crate::label::answer::{ModelAnswer, ToolCall};
use pointsman_core::api::ApiFormat;

/// The response of an API with this answer: text, calls of functions, stop reason and token counts.
pub fn response(answer: &ModelAnswer, format: ApiFormat) -> Value {
    let (text, finish) = (&answer.text, &answer.finish);
    let mut response = match format {
        ApiFormat::ChatCompletions => {
            let mut message = json!({"role": "assistant", "content": text});
            if !answer.tool_calls.is_empty() {
                message["tool_calls"] = answer.tool_calls.iter().map(chat_call).collect();
            }
            json!({"object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
        }
        ApiFormat::Completions => json!({"object": "text_completion",
            "choices": [{"index": 0, "text": text, "finish_reason": finish}]}),
        ApiFormat::Responses => {
            let message = json!({"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": text}]});
            let output = parts(
                message,
                answer,
                |call| json!({"type": "function_call", "name": call.name, "arguments": call.arguments}),
            );
            json!({"object": "response", "status": finish, "output": output})
        }
        ApiFormat::Messages => {
            let block = json!({"type": "text", "text": text});
            let content = parts(
                block,
                answer,
                |call| json!({"type": "tool_use", "name": call.name, "input": input(call)}),
            );
            json!({"type": "message", "role": "assistant", "content": content,
                "stop_reason": finish})
        }
    };
    if let Some(usage) = answer.usage {
        let [input, output] = match format {
            ApiFormat::ChatCompletions | ApiFormat::Completions => {
                ["prompt_tokens", "completion_tokens"]
            }
            ApiFormat::Responses | ApiFormat::Messages => ["input_tokens", "output_tokens"],
        };
        let counts = [(input, usage.input), (output, usage.output)];
        let counts = counts.map(|(name, count)| (name.to_owned(), Value::from(count)));
        response["usage"] = Map::from_iter(counts).into();
    }
    response
}

fn chat_call(call: &ToolCall) -> Value {
    json!({"type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

/// The text, if there is one, and the calls.
fn parts(text: Value, answer: &ModelAnswer, call: impl Fn(&ToolCall) -> Value) -> Vec<Value> {
    let text = (!answer.text.is_empty()).then_some(text);
    text.into_iter().chain(answer.tool_calls.iter().map(call)).collect()
}

/// The arguments of a call as JSON; what is not JSON stays text.
fn input(call: &ToolCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.as_str().into())
}
