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
    /// `private`: of answers, for one client alone.
    pub(super) private: bool,
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
                "private" => directives.private = true,
                "only-if-cached" => directives.only_if_cached = true,
                "max-age" => {
                    // An invalid age is stale (RFC 9111, 4.2.1).
                    let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                    directives.max_age = Some(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
        let mut wishes = headers.get_all(OUTCOME_HEADER).iter();
        directives.bypass |= wishes.any(|value| value.as_bytes().eq_ignore_ascii_case(b"bypass"));
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
        assert!(read("max-age=60, Private").private && read("private=\"x-user\"").private);
        let mut headers = HeaderMap::new();
        headers.append(OUTCOME_HEADER, HeaderValue::from_static("on"));
        assert!(!Directives::read(&headers).bypass);
        headers.append(OUTCOME_HEADER, HeaderValue::from_static("bypass"));
        assert!(Directives::read(&headers).bypass, "every value counts");
    }
}
