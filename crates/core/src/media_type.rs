//! What a `content-type` says of a body's framing.

/// A media type (RFC 9110, 8.3.1), as far as it matters here. Parameters are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// Another type with the suffix `+json` (RFC 6839), as `application/problem+json`.
    JsonSuffix,
    /// `text/event-stream`
    EventStream,
    Other,
}

impl MediaType {
    /// The type of a `content-type`'s value.
    pub fn parse(content_type: &[u8]) -> Self {
        const SUFFIX: &[u8] = b"+json";
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let suffix = essence.len().checked_sub(SUFFIX.len()).and_then(|at| essence.get(at..));
        if essence.eq_ignore_ascii_case(b"application/json") {
            MediaType::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            MediaType::EventStream
        } else if suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX)) {
            MediaType::JsonSuffix
        } else {
            MediaType::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_case_and_white_space_do_not_matter() {
        for (text, expected) in [
            ("application/json", MediaType::Json),
            (" Application/JSON ; charset=utf-8", MediaType::Json),
            ("application/problem+json;q=1", MediaType::JsonSuffix),
            ("x+JSON", MediaType::JsonSuffix),
            ("+json", MediaType::JsonSuffix),
            ("text/Event-Stream", MediaType::EventStream),
            ("application/jsonl", MediaType::Other),
            ("text/plain; application/json", MediaType::Other),
            ("json", MediaType::Other),
            ("", MediaType::Other),
        ] {
            assert_eq!(MediaType::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
