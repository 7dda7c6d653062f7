//! Text completions → chat: the prompt becomes the message of a user.

use serde_json::{Map, Value};

use super::translation::Translation;

/// Translates a body.
///
/// # Errors
/// Names what the chat API has no equivalent for.
pub fn to_chat(request: &Map<String, Value>) -> Result<Value, String> {
    let mut chat = Translation::new(request);
    match chat.take("prompt") {
        Some(Value::String(text)) => chat.say("user", text.as_str().into()),
        Some(Value::Array(prompts)) => match &prompts[..] {
            [Value::String(only)] => chat.say("user", only.as_str().into()),
            [Value::String(_), ..] => {
                return Err("several prompts in one request have one answer each".into());
            }
            _ => return Err("the prompt is given as tokens, whose text is not known".into()),
        },
        _ => return Err("the prompt is not text".into()),
    }
    for field in [
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "response_format",
    ] {
        chat.copy(field, field);
    }
    // One completion, not echoed, without probabilities, is what a chat gives anyway.
    for (field, usual) in [
        ("n", 1.into()),
        ("best_of", 1.into()),
        ("echo", Value::Bool(false)),
        ("suffix", "".into()),
    ] {
        if chat.take(field).is_some_and(|value| *value != usual) {
            return Err(super::translation::no_equivalent(field));
        }
    }
    chat.finish()
}
