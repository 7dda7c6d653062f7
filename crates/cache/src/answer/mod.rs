//! Whether what a provider sent is an answer, whole by what it says of itself, and worth storing.
//!
//! Status 200 and an orderly end of the body say little: providers send errors, refusals and cut
//! answers like that too. So each format is read, and only what is known to be an answer is kept.

mod call;
mod chat;
mod end;
mod messages;
mod responses;
#[cfg(test)]
mod tests;
mod text;

use serde_json::Value;

use super::metrics::NoStoreReason;
use chat::Chat;
use messages::Messages;
use pointsman_core::answer::{UsageReader, sse};
use pointsman_core::canonical;
use pointsman_core::media_type::MediaType;
use pointsman_core::prompt::ApiFormat;
use pointsman_core::target::Usage;
use responses::Responses;

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Json,
    Events,
}

impl Framing {
    /// By content type; `None` for what is not stored. JSON is UTF-8 (RFC 8259, 8.1), and so are
    /// events: what says that it is something else is not read.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        if !is_utf8(content_type) {
            return None;
        }
        match MediaType::parse(content_type.as_bytes()) {
            MediaType::Json => Some(Framing::Json),
            MediaType::EventStream => Some(Framing::Events),
            MediaType::JsonSuffix | MediaType::Other => None,
        }
    }
}

/// Whether a content type names no encoding of text, or UTF-8, of which ASCII is a part.
fn is_utf8(content_type: &str) -> bool {
    const NAMES: [&str; 3] = ["utf-8", "utf8", "us-ascii"];
    let parameters = content_type.split(';').skip(1).filter_map(|it| it.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    named.all(|(_, value)| {
        let value = value.trim().trim_matches('"');
        NAMES.iter().any(|name| value.eq_ignore_ascii_case(name))
    })
}

/// What an answer of one format says of itself.
trait Reading: Default {
    /// Reads an answer that is one JSON text.
    fn whole(&mut self, answer: &Value) -> Result<(), NoStoreReason>;

    /// Reads the next event of a stream.
    fn event(&mut self, event: &Value) -> Result<(), NoStoreReason>;

    /// Whether the format's own last event was read; `None` for a format whose streams end with
    /// `[DONE]` instead.
    fn ended(&self) -> Option<bool>;

    /// Whether what was read is an answer.
    fn verdict(&self) -> Result<(), NoStoreReason>;
}

/// Checks a body that has come to its end without an error of the connection.
///
/// # Errors
///
/// Why it is not stored.
pub(super) fn check(format: ApiFormat, framing: Framing, body: &[u8]) -> Result<(), NoStoreReason> {
    match format {
        ApiFormat::ChatCompletions | ApiFormat::Completions => read::<Chat>(framing, body),
        ApiFormat::Messages => read::<Messages>(framing, body),
        ApiFormat::Responses => read::<Responses>(framing, body),
    }
}

fn read<R: Reading>(framing: Framing, body: &[u8]) -> Result<(), NoStoreReason> {
    let mut answer = R::default();
    match framing {
        Framing::Json => answer.whole(&parse(body)?)?,
        Framing::Events => read_events(&mut answer, body)?,
    }
    answer.verdict()
}

/// Reads an event stream. It is whole when its last event is the one that ends the format's
/// streams, every event's data is JSON, and none reports an error.
fn read_events(answer: &mut impl Reading, body: &[u8]) -> Result<(), NoStoreReason> {
    let text = std::str::from_utf8(body).map_err(|_| NoStoreReason::Incomplete)?;
    if !sse::ends_with_event(text) {
        return Err(NoStoreReason::Incomplete);
    }
    let mut done = false;
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        match (field, value.trim()) {
            // Nothing, or a comment.
            ("", _) | ("id" | "retry", _) => {}
            ("event", "error") | ("error", _) => return Err(NoStoreReason::Failed),
            ("event", _) => {}
            ("data", _) if done => return Err(NoStoreReason::Incomplete),
            ("data", "[DONE]") => done = true,
            ("data", _) if answer.ended() == Some(true) => return Err(NoStoreReason::Incomplete),
            ("data", data) => answer.event(&parse(data.as_bytes())?)?,
            // Whoever sends other fields has something to say that is not known here.
            _ => return Err(NoStoreReason::Incomplete),
        }
    }
    if answer.ended().unwrap_or(done) { Ok(()) } else { Err(NoStoreReason::Incomplete) }
}

/// One JSON text, unless it reports an error.
fn parse(json: &[u8]) -> Result<Value, NoStoreReason> {
    let value = canonical::parse(json).map_err(|_| NoStoreReason::Incomplete)?;
    let is_error = |name: &str| value[name].as_str() == Some("error");
    if !value["error"].is_null() || is_error("type") || is_error("object") {
        return Err(NoStoreReason::Failed);
    }
    Ok(value)
}

/// Whether a value is a text that is not blank.
fn is_text(text: &Value) -> bool {
    text.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// The elements of an array; none of anything else.
fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The token usage that a whole answer reports.
pub(super) fn usage(content_type: &str, body: &[u8]) -> Option<Usage> {
    let mut reader = UsageReader::new(content_type.as_bytes())?;
    reader.read(body);
    reader.usage()
}

/// The events of a stream, each with the empty line that ends it.
pub(super) fn events(body: &bytes::Bytes) -> Vec<bytes::Bytes> {
    sse::events(body).into_iter().map(|range| body.slice(range)).collect()
}
