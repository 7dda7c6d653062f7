//! `Cache-Control` (RFC 9111, 5.2), and the header that bypasses the cache.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

use super::entry::Entry;
use super::replay::OUTCOME_HEADER;

/// What a request or an answer asks of caches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Directives {
    /// `no-store`, or `x-pointsman-cache: bypass`: neither look up nor store.
    pub(super) bypass: bool,
    /// `no-cache`: ask the model, and store the new answer.
    pub(super) refresh: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<Duration>,
}

impl Directives {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut directives = Directives::default();
        let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in lines.flat_map(|line| line.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match &*name.trim().to_ascii_lowercase() {
                "no-store" => directives.bypass = true,
                "no-cache" => directives.refresh = true,
                "only-if-cached" => directives.only_if_cached = true,
                "max-age" => {
                    // An invalid age is stale (RFC 9111, 4.2.1).
                    let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                    directives.max_age = Some(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
        let value = headers.get(OUTCOME_HEADER).map(http::HeaderValue::as_bytes);
        directives.bypass |= value.is_some_and(|value| value.eq_ignore_ascii_case(b"bypass"));
        directives
    }

    /// Whether an entry is young enough.
    pub(super) fn accepts(&self, entry: &Entry) -> bool {
        let age = Duration::from_millis(super::now_ms().saturating_sub(entry.created_ms));
        self.max_age.is_none_or(|most| age < most)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &'static str) -> Directives {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        Directives::read(&headers)
    }

    #[test]
    fn directives_are_read_as_the_standard_has_them() {
        let none = Directives::default();
        assert_eq!(read("public"), none);
        assert_eq!(read("No-Store"), Directives { bypass: true, ..none });
        assert_eq!(
            read("max-age=60, no-cache"),
            Directives { refresh: true, max_age: Some(Duration::from_secs(60)), ..none }
        );
        assert_eq!(read("max-age=soon").max_age, Some(Duration::ZERO));
        assert!(read("only-if-cached").only_if_cached);
        let mut headers = HeaderMap::new();
        headers.insert(OUTCOME_HEADER, HeaderValue::from_static("bypass"));
        assert!(Directives::read(&headers).bypass);
    }
}
