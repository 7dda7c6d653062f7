//! What a request is looked up by, or the reason why it is not.

mod essence;
mod node;
mod outside;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use super::guards::MAX_TEXT_BYTES;
use node::Node;
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
    /// A hash of the credentials or of a trusted header.
    pub tenant: &'a [u8],
    /// With its query.
    pub path: &'a str,
    /// Headers that are not known to be harmless, as `name: value` lines in a fixed order.
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
    /// Invalid JSON, a duplicate field, an integer beyond 64 bits, or no prompt in it.
    Malformed,
    /// `Cache-Control: no-store` or the bypass header.
    Asked,
    /// The temperature is above the limit.
    Temperature,
    /// Tools are offered, called or answered.
    Tools,
    /// The provider keeps state that the body only names, or is asked to.
    Stateful,
    /// The answer hangs on what changes by itself: a search, a page, a tool that the provider runs.
    Live,
    /// The tenant's header is configured and absent.
    NoTenant,
    /// There are no credentials, and anonymous callers do not share answers.
    Anonymous,
    /// A header that decides is there more than once.
    Ambiguous,
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
            NoCacheReason::Live => "live",
            NoCacheReason::NoTenant => "no_tenant",
            NoCacheReason::Anonymous => "anonymous",
            NoCacheReason::Ambiguous => "ambiguous",
        }
    }
}

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
    let mut body: Node = serde_json::from_slice(body).map_err(|_| NoCacheReason::Malformed)?;
    outside::check(format, &body)?;
    essence::reduce(format, &mut body);
    let question = last_text(format, &mut body).map(std::mem::take);
    let partition = partition(key, &body);
    let exact = exact(partition, question.as_deref());
    let question = question.filter(|text| text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty());
    Ok(Lookup { exact, partition, question })
}

/// The last turn's text where it stands in a reduced body, when that turn is the user's and nothing
/// but text.
fn last_text(format: ApiFormat, body: &mut Node) -> Option<&mut String> {
    let turns = match format {
        ApiFormat::Completions => return body.get_mut("prompt")?.as_text_mut(),
        ApiFormat::ChatCompletions | ApiFormat::Messages => body.get_mut("messages")?,
        ApiFormat::Responses => body.get_mut("input")?,
    };
    let Node::List(turns) = turns else { return None };
    let turn = turns.last_mut()?;
    let is_user = turn.text("role") == Some("user");
    turn.get_mut("content").filter(|_| is_user)?.as_text_mut()
}

/// Hashes bytes behind their length, so that different parts never hash the same bytes.
pub(super) fn hash_part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn partition(key: &PartitionKey, body: &Node) -> Partition {
    let mut hash = Sha256::new();
    let parts: [&[u8]; 5] = [
        key.target.as_bytes(),
        key.tenant,
        key.path.as_bytes(),
        key.headers,
        key.embeddings.as_bytes(),
    ];
    parts.iter().for_each(|part| hash_part(&mut hash, part));
    body.feed(&mut hash);
    Digest128::of(hash)
}

/// No question is not an empty one.
fn exact(partition: Partition, question: Option<&str>) -> ExactKey {
    let mut hash = Sha256::new();
    hash.update(partition.0);
    hash.update([u8::from(question.is_some())]);
    hash.update(question.unwrap_or_default());
    Digest128::of(hash)
}
