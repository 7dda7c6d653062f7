//! The APIs that requests are made to, told by their paths.

/// The request formats that can be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFormat {
    /// OpenAI `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI `POST /v1/completions`.
    Completions,
    /// OpenAI `POST /v1/responses`.
    Responses,
    /// Anthropic `POST /v1/messages`.
    Messages,
}

impl ApiFormat {
    /// All formats.
    pub const ALL: [ApiFormat; 4] = [
        ApiFormat::ChatCompletions,
        ApiFormat::Completions,
        ApiFormat::Responses,
        ApiFormat::Messages,
    ];
    /// The formats by their names in `targets[].apis`.
    pub const NAMES: [(&str, ApiFormat); 4] = [
        ("chat", ApiFormat::ChatCompletions),
        ("completions", ApiFormat::Completions),
        ("responses", ApiFormat::Responses),
        ("messages", ApiFormat::Messages),
    ];

    /// The format of requests to a path; `None` for paths that are not a model's. A query string
    /// does not count, nor do doubled slashes and one at the end, and whatever stands before the
    /// API's own path may be a gateway's.
    pub fn of_path(path: &[u8]) -> Option<Self> {
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        if !path.contains(&b'/') {
            return None;
        }
        let mut segments = path.rsplit(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
        // Not every `/messages` is Anthropic's: threads of OpenAI assistants have them too.
        match (segments.next()?, segments.next()) {
            (b"completions", Some(b"chat")) => Some(ApiFormat::ChatCompletions),
            (b"completions", _) => Some(ApiFormat::Completions),
            (b"responses", _) => Some(ApiFormat::Responses),
            (b"messages", Some(b"v1")) => Some(ApiFormat::Messages),
            _ => None,
        }
    }

    /// The format of requests to a path beside a model's, whose bodies name a model too: counts of
    /// tokens, and what makes a conversation shorter.
    pub fn beside_path(path: &[u8]) -> Option<Self> {
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut segments = path.rsplit(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
        match (segments.next()?, segments.next()?) {
            (b"count_tokens", b"messages") => Some(ApiFormat::Messages),
            (b"input_tokens" | b"compact", b"responses") => Some(ApiFormat::Responses),
            _ => None,
        }
    }

    /// The name in `pointsman explain`.
    pub fn name(self) -> &'static str {
        match self {
            ApiFormat::ChatCompletions => "chat-completions",
            ApiFormat::Completions => "completions",
            ApiFormat::Responses => "responses",
            ApiFormat::Messages => "messages",
        }
    }
}

/// The path with another deployment, where it names one as Azure's do:
/// `/openai/deployments/NAME/chat/completions`.
pub fn with_deployment(path: &[u8], model: &str) -> Option<String> {
    let path = str::from_utf8(path).ok()?;
    let (before, rest) = path.split_once("/openai/deployments/")?;
    if before.contains('?') {
        return None;
    }
    let end = rest.find('/')?;
    let behind = rest.get(end..)?;
    ApiFormat::of_path(behind.as_bytes())?;
    Some(format!("{before}/openai/deployments/{}{behind}", percent_encoded(model)))
}

/// A text as one segment of a path (RFC 3986, section 2.3).
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_format() {
        for (path, format) in [
            ("/v1/chat/completions", Some(ApiFormat::ChatCompletions)),
            (
                "/openai/deployments/x/chat/completions?api-version=1",
                Some(ApiFormat::ChatCompletions),
            ),
            ("/v1/completions", Some(ApiFormat::Completions)),
            ("/v1/responses", Some(ApiFormat::Responses)),
            ("/anthropic/v1/messages", Some(ApiFormat::Messages)),
            ("/v1/embeddings", None),
            ("/v1/models?next=/v1/messages", None),
            ("/v1/messages/count_tokens", None),
            ("/v1/threads/t1/messages", None),
            ("/v1/responses/r1/cancel", None),
            ("responses", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(ApiFormat::of_path(path.as_bytes()), format, "{path}");
        }
    }

    #[test]
    fn slashes_at_the_end_and_doubled_ones_do_not_matter() {
        for (path, format) in [
            ("/v1/chat/completions/", ApiFormat::ChatCompletions),
            ("/v1/chat//completions", ApiFormat::ChatCompletions),
            ("//v1/chat/completions//?x=/y/", ApiFormat::ChatCompletions),
            ("/v1//messages/", ApiFormat::Messages),
            ("/v1/completions///", ApiFormat::Completions),
            ("/v1/responses/", ApiFormat::Responses),
        ] {
            assert_eq!(ApiFormat::of_path(path.as_bytes()), Some(format), "{path}");
        }
        assert_eq!(ApiFormat::of_path(b"/v1/chat/completions/x/"), None);
    }

    #[test]
    fn counts_of_tokens_stand_beside_their_api() {
        for (path, format) in [
            ("/v1/messages/count_tokens?beta=true", Some(ApiFormat::Messages)),
            ("/v1/responses/input_tokens/", Some(ApiFormat::Responses)),
            ("/v1/responses/compact", Some(ApiFormat::Responses)),
            ("/v1/messages/batches", None),
            ("/v1/responses/r1/cancel", None),
            ("/v1/messages", None),
        ] {
            assert_eq!(ApiFormat::beside_path(path.as_bytes()), format, "{path}");
        }
    }

    #[test]
    fn a_deployment_in_the_path_can_be_another() {
        let changed = |path: &str, model| with_deployment(path.as_bytes(), model);
        assert_eq!(
            changed("/openai/deployments/large/chat/completions?api-version=1", "small").unwrap(),
            "/openai/deployments/small/chat/completions?api-version=1"
        );
        assert_eq!(
            changed("/azure/openai/deployments/a/completions", "org/é 1").unwrap(),
            "/azure/openai/deployments/org%2F%C3%A9%201/completions"
        );
        for path in [
            "/v1/chat/completions",
            "/openai/v1/chat/completions",
            "/openai/deployments/large/embeddings",
            "/openai/deployments/large",
            "/v1/chat/completions?next=/openai/deployments/a/chat/completions",
        ] {
            assert_eq!(changed(path, "small"), None, "{path}");
        }
    }
}
