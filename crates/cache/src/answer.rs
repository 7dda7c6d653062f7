//! Whether an answer is whole, and worth storing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::metrics::NoStoreReason;
use pointsman_core::answer::{UsageReader, sse};
use pointsman_core::media_type::MediaType;
use pointsman_core::prompt::ApiFormat;
use pointsman_core::target::Usage;

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Json,
    Events,
}

impl Framing {
    /// By content type; `None` for what is not stored.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        match MediaType::parse(content_type.as_bytes()) {
            MediaType::Json => Some(Framing::Json),
            MediaType::EventStream => Some(Framing::Events),
            MediaType::JsonSuffix | MediaType::Other => None,
        }
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// Of OpenAI responses: `completed`, `incomplete`, `failed`, …
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
}

impl Head<'_> {
    fn is_error(&self) -> bool {
        let null = |raw: &&RawValue| raw.get() == "null";
        self.error.is_some_and(|error| !null(&error)) || is(self.r#type, "error")
    }
}

fn is(raw: Option<&RawValue>, text: &str) -> bool {
    raw.is_some_and(|raw| raw.get().trim_matches('"') == text)
}

/// Checks a body that has come to its end without an error of the connection.
///
/// # Errors
///
/// Why it is not stored.
pub(super) fn check(format: ApiFormat, framing: Framing, body: &[u8]) -> Result<(), NoStoreReason> {
    match framing {
        Framing::Json => {
            let head: Head = serde_json::from_slice(body).map_err(|_| NoStoreReason::Incomplete)?;
            let unfinished = format == ApiFormat::Responses && !is(head.status, "completed");
            if head.is_error() || unfinished { Err(NoStoreReason::Failed) } else { Ok(()) }
        }
        Framing::Events => check_events(format, body),
    }
}

/// An event stream is whole when its last event is the one that ends the format's streams, every
/// event's data is JSON, and none reports an error.
fn check_events(format: ApiFormat, body: &[u8]) -> Result<(), NoStoreReason> {
    let text = std::str::from_utf8(body).map_err(|_| NoStoreReason::Incomplete)?;
    if !sse::ends_with_event(text) {
        return Err(NoStoreReason::Incomplete);
    }
    let mut finished = false;
    for data in sse::data_lines(text) {
        if finished {
            return Err(NoStoreReason::Incomplete);
        }
        if data == "[DONE]" {
            finished = true;
            continue;
        }
        let head: Head = serde_json::from_str(data).map_err(|_| NoStoreReason::Incomplete)?;
        if head.is_error()
            || is(head.r#type, "response.failed")
            || is(head.r#type, "response.incomplete")
        {
            return Err(NoStoreReason::Failed);
        }
        finished = match format {
            ApiFormat::Responses => is(head.r#type, "response.completed"),
            ApiFormat::Messages => is(head.r#type, "message_stop"),
            ApiFormat::ChatCompletions | ApiFormat::Completions => false,
        };
    }
    if finished { Ok(()) } else { Err(NoStoreReason::Incomplete) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_and_successful_json_is_kept() {
        use ApiFormat::{ChatCompletions, Responses};
        for (format, body, expected) in [
            (ChatCompletions, r#"{"choices": [], "error": null}"#, Ok(())),
            (ChatCompletions, r#"{"choices": []"#, Err(NoStoreReason::Incomplete)),
            (ChatCompletions, r#"{"choices": []}{"#, Err(NoStoreReason::Incomplete)),
            (ChatCompletions, "", Err(NoStoreReason::Incomplete)),
            (
                ChatCompletions,
                r#"{"error": {"message": "overloaded"}}"#,
                Err(NoStoreReason::Failed),
            ),
            (ChatCompletions, r#"{"type": "error"}"#, Err(NoStoreReason::Failed)),
            (Responses, r#"{"status": "completed"}"#, Ok(())),
            (Responses, r#"{"status": "in_progress"}"#, Err(NoStoreReason::Failed)),
            (Responses, "{}", Err(NoStoreReason::Failed)),
        ] {
            assert_eq!(check(format, Framing::Json, body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_stream_is_whole_only_with_its_last_event() {
        use ApiFormat::{ChatCompletions, Messages, Responses};
        for (format, body, expected) in [
            (ChatCompletions, "data: {\"a\":1}\n\ndata: [DONE]\n\n", Ok(())),
            (ChatCompletions, ": hi\r\n\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n", Ok(())),
            (ChatCompletions, "data: {\"a\":1}\n\n", Err(NoStoreReason::Incomplete)),
            (ChatCompletions, "data: {\"a\":1}\n\ndata: [DONE]\n", Err(NoStoreReason::Incomplete)),
            (ChatCompletions, "data: {\"a\n\ndata: [DONE]\n\n", Err(NoStoreReason::Incomplete)),
            (ChatCompletions, "data: [DONE]\n\ndata: {}\n\n", Err(NoStoreReason::Incomplete)),
            (
                ChatCompletions,
                "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n",
                Err(NoStoreReason::Failed),
            ),
            (Responses, "data: {\"type\":\"response.completed\"}\n\n", Ok(())),
            (Responses, "data: {\"type\":\"response.incomplete\"}\n\n", Err(NoStoreReason::Failed)),
            (Messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", Ok(())),
            (Messages, "data: {\"type\":\"error\"}\n\n", Err(NoStoreReason::Failed)),
            (Messages, "data: {\"type\":\"ping\"}\n\n", Err(NoStoreReason::Incomplete)),
        ] {
            assert_eq!(check(format, Framing::Events, body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_stream_is_cut_between_events_and_loses_no_byte() {
        let body = bytes::Bytes::from("data: a\n\n\n\ndata: b\n\n: end");
        let pieces = events(&body);
        assert_eq!(pieces.concat(), body);
        assert_eq!(pieces[0], "data: a\n\n");
    }
}
