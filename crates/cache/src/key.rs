//! What a request is looked up by, or the reason why it is not.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::guards::MAX_TEXT_BYTES;
use pointsman_core::canonical;
use pointsman_core::prompt::{ApiFormat, Envelopes, Prompt, Role};

/// 128 bits of SHA-256: collisions are infeasible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest128(pub [u8; 16]);

impl Digest128 {
    pub(super) fn of(hash: Sha256) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Digest128(short)
    }
}

/// What the whole request hashes to: the key of the exact tier.
pub type ExactKey = Digest128;

/// What everything but the last user turn hashes to: target, tenant, path, API version, model,
/// system prompt, earlier turns, tools and parameters. Answers never cross it.
pub type Partition = Digest128;

/// Who asks whom: the part of a [`Partition`] that is not in the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartitionKey<'a> {
    pub target: &'a str,
    /// A hash of the credentials or of a trusted header; empty for anonymous clients.
    pub tenant: &'a [u8],
    /// With its query.
    pub path: &'a str,
    /// Headers that change an answer, as `name: value` lines in a fixed order.
    pub headers: &'a [u8],
    /// The model that makes vectors of questions; empty for the built-in embedding. Vectors of two
    /// models are never compared.
    pub embeddings: &'a str,
}

/// What a request is looked up by.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    pub exact: ExactKey,
    pub partition: Partition,
    /// The last user turn, when it is nothing but text, short enough to compare, and the last turn
    /// of all: only then may another request's answer serve.
    pub question: Option<String>,
    /// Whether server-sent events are asked for.
    pub stream: bool,
}

/// What is cached beyond the safe minimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests with a higher temperature want another answer each time.
    pub max_temperature: f64,
    /// Whether requests with tools are cached.
    pub tools: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_temperature: 0.7, tools: false }
    }
}

/// Why a request is passed on without a lookup. The names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoCacheReason {
    /// Not a POST to a model's path, or not JSON.
    NotOurs,
    /// The body is encoded.
    Encoded,
    /// The body is larger than the limit.
    TooLarge,
    /// Invalid JSON, a duplicate field, or no prompt in it.
    Malformed,
    /// `Cache-Control: no-store` or the bypass header.
    Asked,
    /// The temperature is above the limit.
    Temperature,
    /// Tools are offered, called or answered.
    Tools,
    /// The provider keeps state that the body only names.
    Stateful,
    /// The tenant's header is configured and absent.
    NoTenant,
}

impl NoCacheReason {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            NoCacheReason::NotOurs => "not_ours",
            NoCacheReason::Encoded => "encoded",
            NoCacheReason::TooLarge => "too_large",
            NoCacheReason::Malformed => "malformed",
            NoCacheReason::Asked => "asked",
            NoCacheReason::Temperature => "temperature",
            NoCacheReason::Tools => "tools",
            NoCacheReason::Stateful => "stateful",
            NoCacheReason::NoTenant => "no_tenant",
        }
    }
}

/// Fields that refer to something outside of the body.
const STATEFUL: [&str; 4] = ["previous_response_id", "conversation", "background", "container"];

/// Reads a request body.
///
/// # Errors
///
/// The reason why it is not cached.
pub fn lookup(
    format: ApiFormat,
    body: &[u8],
    key: &PartitionKey,
    limits: &Limits,
) -> Result<Lookup, NoCacheReason> {
    let mut copy = body.to_vec();
    let prompt = Prompt::parse_with(format, &mut copy, false, &Envelopes::new([""; 0]))
        .map_err(|_| NoCacheReason::Malformed)?;
    let temperature = prompt.parameters.temperature;
    if temperature.is_some_and(|temperature| temperature > limits.max_temperature) {
        return Err(NoCacheReason::Temperature);
    }
    let tool_turn = prompt.turns.iter().any(|turn| turn.tool_calls > 0 || turn.role == Role::Tool);
    if !limits.tools && (prompt.parameters.tools > 0 || tool_turn) {
        return Err(NoCacheReason::Tools);
    }
    let stream = prompt.parameters.stream;
    let mut value = canonical::parse(body).map_err(|_| NoCacheReason::Malformed)?;
    let set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    if STATEFUL.iter().any(|name| value.get(name).is_some_and(set)) {
        return Err(NoCacheReason::Stateful);
    }
    let question = last_text(format, &mut value).map(std::mem::take);
    let partition = digest(key, &value, None);
    let exact = digest(key, &value, question.as_deref());
    let question = question.filter(|text| text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty());
    Ok(Lookup { exact, partition, question, stream })
}

/// The last turn's text where it stands, when that turn is the user's and nothing but text.
fn last_text(format: ApiFormat, body: &mut Value) -> Option<&mut String> {
    let turns = match format {
        ApiFormat::Completions => return only_text(body.get_mut("prompt")?),
        ApiFormat::ChatCompletions | ApiFormat::Messages => body.get_mut("messages")?,
        ApiFormat::Responses => body.get_mut("input")?,
    };
    if let Value::String(text) = turns {
        return Some(text);
    }
    let turn = turns.as_array_mut()?.last_mut()?;
    let is_user = turn.get("role").and_then(Value::as_str) == Some("user");
    only_text(turn.get_mut("content").filter(|_| is_user)?)
}

/// A text, or an array with one part that is text.
fn only_text(content: &mut Value) -> Option<&mut String> {
    match content {
        Value::String(text) => Some(text),
        Value::Array(parts) => match parts.as_mut_slice() {
            [Value::String(text)] => Some(text),
            [Value::Object(part)] => {
                let kind = part.get("type").and_then(Value::as_str);
                let is_text = matches!(kind, Some("text" | "input_text"));
                match part.get_mut("text").filter(|_| is_text)? {
                    Value::String(text) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// Each part follows its length, so that different keys never hash the same bytes.
fn digest(key: &PartitionKey, body: &Value, question: Option<&str>) -> Digest128 {
    let mut hash = Sha256::new();
    let body = body.to_string();
    let parts: [&[u8]; 7] = [
        key.target.as_bytes(),
        key.tenant,
        key.path.as_bytes(),
        key.headers,
        key.embeddings.as_bytes(),
        body.as_bytes(),
        question.unwrap_or_default().as_bytes(),
    ];
    hash.update([u8::from(question.is_some())]);
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest128::of(hash)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look_with(body: &Value, key: &PartitionKey) -> Result<Lookup, NoCacheReason> {
        let limits = Limits::default();
        lookup(ApiFormat::ChatCompletions, body.to_string().as_bytes(), key, &limits)
    }

    fn look(body: &Value) -> Result<Lookup, NoCacheReason> {
        look_with(body, &PartitionKey::default())
    }

    fn chat(text: &str) -> Value {
        json!({"model": "m", "messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": text}]})
    }

    #[test]
    fn only_the_question_may_differ_within_a_partition() {
        let base = look(&chat("a")).unwrap();
        assert_eq!(base.question.as_deref(), Some("a"));
        let other = look(&chat("b")).unwrap();
        assert_eq!(base.partition, other.partition);
        assert_ne!(base.exact, other.exact);
        let mut changed: Vec<Value> = Vec::new();
        for (pointer, value) in [
            ("/model", json!("n")),
            ("/messages/0/content", json!("t")),
            ("/messages/0/role", json!("user")),
        ] {
            let mut body = chat("a");
            *body.pointer_mut(pointer).unwrap() = value;
            changed.push(body);
        }
        for (name, value) in [
            ("temperature", json!(0.5)),
            ("stream", json!(true)),
            ("user", json!("u")),
            ("seed", json!(1)),
            ("max_tokens", json!(5)),
            ("response_format", json!({"type": "json_object"})),
        ] {
            let mut body = chat("a");
            body[name] = value;
            changed.push(body);
        }
        for body in changed {
            let lookup = look(&body).unwrap();
            assert_ne!(lookup.partition, base.partition, "{body}");
            assert_ne!(lookup.exact, base.exact, "{body}");
        }
    }

    #[test]
    fn partitions_never_meet() {
        let keys = [
            PartitionKey { target: "ab", tenant: b"c", ..PartitionKey::default() },
            PartitionKey { target: "a", tenant: b"bc", ..PartitionKey::default() },
            PartitionKey { target: "a", tenant: b"b", path: "c", ..PartitionKey::default() },
            PartitionKey { target: "a", tenant: b"b", headers: b"c", ..PartitionKey::default() },
            PartitionKey { target: "a", tenant: b"b", embeddings: "c", ..PartitionKey::default() },
            PartitionKey::default(),
        ];
        let found: Vec<Lookup> =
            keys.iter().map(|key| look_with(&chat("a"), key).unwrap()).collect();
        for (i, a) in found.iter().enumerate() {
            for b in &found[..i] {
                assert_ne!(a.partition, b.partition);
                assert_ne!(a.exact, b.exact);
            }
        }
    }

    #[test]
    fn what_must_not_be_cached_is_bypassed_with_its_reason() {
        let with = |name: &str, value: Value| {
            let mut body = chat("a");
            body[name] = value;
            look(&body).map(|_| ())
        };
        assert_eq!(with("temperature", json!(0.9)), Err(NoCacheReason::Temperature));
        assert_eq!(with("temperature", json!(0.7)), Ok(()));
        assert_eq!(with("tools", json!([{"type": "function"}])), Err(NoCacheReason::Tools));
        assert_eq!(with("tools", json!([])), Ok(()));
        assert_eq!(with("previous_response_id", json!("r")), Err(NoCacheReason::Stateful));
        assert_eq!(with("background", json!(false)), Ok(()));
        let tool = json!({"messages": [{"role": "user", "content": "a"},
            {"role": "tool", "content": "x"}]});
        assert_eq!(look(&tool), Err(NoCacheReason::Tools));
        let key = PartitionKey::default();
        for body in [
            "",
            "{",
            "[]",
            "{\"messages\": []}",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"n\":1,\"n\":2}",
        ] {
            let format = ApiFormat::ChatCompletions;
            let found = lookup(format, body.as_bytes(), &key, &Limits::default());
            assert_eq!(found, Err(NoCacheReason::Malformed), "{body}");
        }
    }

    #[test]
    fn only_plain_text_of_the_user_is_a_question() {
        let question = |content: Value| {
            look(&json!({"messages": [{"role": "user", "content": content}]})).unwrap().question
        };
        assert_eq!(question(json!("a")).as_deref(), Some("a"));
        assert_eq!(question(json!([{"type": "text", "text": "a"}])).as_deref(), Some("a"));
        let image = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]);
        assert_eq!(question(image), None);
        assert_eq!(question(json!("a".repeat(MAX_TEXT_BYTES + 1))), None);
        let assistant = json!({"messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}]});
        assert_eq!(look(&assistant).unwrap().question, None);
    }

    #[test]
    fn every_format_has_its_question() {
        for (format, body) in [
            (ApiFormat::Completions, json!({"prompt": "a"})),
            (ApiFormat::Responses, json!({"input": "a"})),
            (
                ApiFormat::Responses,
                json!({"input": [{"role": "user", "content": [
                {"type": "input_text", "text": "a"}]}]}),
            ),
            (
                ApiFormat::Messages,
                json!({"system": "s", "messages": [
                {"role": "user", "content": "a"}]}),
            ),
        ] {
            let limits = Limits::default();
            let found =
                lookup(format, body.to_string().as_bytes(), &PartitionKey::default(), &limits);
            assert_eq!(found.unwrap().question.as_deref(), Some("a"), "{body}");
        }
    }
}
