//! What requests and answers ask of caches (RFC 9111), and the header that bypasses the cache.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName, PRAGMA};

use super::entry::Entry;
use super::http_date;
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
    /// `s-maxage`: of answers, instead of `max-age` for whoever serves more than one client.
    s_maxage: Option<Duration>,
}

impl Directives {
    /// Of a request. Clients older than `Cache-Control` say `Pragma: no-cache` (5.4).
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let mut directives = Directives::read(headers);
        let says_no_cache = |line: Cow<str>| {
            line.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
        };
        directives.refresh |=
            !headers.contains_key(CACHE_CONTROL) && lines(headers, PRAGMA).any(says_no_cache);
        directives
    }

    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut directives = Directives::default();
        for line in lines(headers, CACHE_CONTROL) {
            line.split(',').for_each(|directive| directives.add(directive));
        }
        let mut wishes = headers.get_all(OUTCOME_HEADER).iter();
        directives.bypass |= wishes.any(|value| value.as_bytes().eq_ignore_ascii_case(b"bypass"));
        directives
    }

    fn add(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        // An invalid age is stale, and of several the shortest counts (4.2.1).
        let least = |age: Option<Duration>| {
            let new = seconds(value.trim().trim_matches('"')).unwrap_or_default();
            Some(age.map_or(new, |age| age.min(new)))
        };
        match &*name.trim().to_ascii_lowercase() {
            "no-store" => self.bypass = true,
            "no-cache" => self.refresh = true,
            "private" => self.private = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = least(self.max_age),
            "s-maxage" => self.s_maxage = least(self.s_maxage),
            _ => {}
        }
    }

    /// Whether an entry is young enough.
    pub(super) fn accepts(&self, entry: &Entry) -> bool {
        let age = Duration::from_millis(super::now_ms().saturating_sub(entry.created_ms));
        self.max_age.is_none_or(|most| age < most)
    }
}

/// How long an answer may serve, by what it says of itself (4.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Freshness {
    /// Time since it was made, on the way of other caches.
    pub(super) age: Duration,
    /// From when it was made; `None` when it says nothing.
    lifetime: Option<Duration>,
}

impl Freshness {
    /// Of an answer with these directives that arrives at this time since the Unix epoch.
    pub(super) fn of(headers: &HeaderMap, directives: &Directives, now: Duration) -> Self {
        let first = |line: &str| seconds(line.split(',').next().unwrap_or_default().trim());
        // What is no age says nothing (5.1).
        let age = lines(headers, AGE).next().and_then(|line| first(&line)).unwrap_or_default();
        let told = directives.s_maxage.or(directives.max_age);
        let lifetime = told.or_else(|| Some(age.saturating_add(until_expiry(headers, now)?)));
        Freshness { age, lifetime }
    }

    /// From when the answer was made, at most `most`.
    pub(super) fn lifetime(&self, most: Duration) -> Duration {
        self.lifetime.map_or(most, |lifetime| lifetime.min(most))
    }

    /// Whether it is stale on arrival.
    pub(super) fn is_over(&self, most: Duration) -> bool {
        self.lifetime(most) <= self.age
    }
}

/// Time until the moment that `Expires` names, by the sender's clock where that is ahead of ours.
/// What is no date, and several of them, are over (5.3).
fn until_expiry(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let mut dates = lines(headers, EXPIRES).map(|line| http_date::parse(line.trim()));
    let expires = match (dates.next()?, dates.next()) {
        (Some(date), None) => date,
        _ => return Some(Duration::ZERO),
    };
    let sent = lines(headers, DATE).next().and_then(|line| http_date::parse(line.trim()));
    Some(expires.saturating_sub(now.max(sent.unwrap_or_default())))
}

/// The values of a header. Bytes that are not text hide nothing of what stands next to them.
fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Cow<'_, str>> {
    headers.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// A number of seconds, however large; `None` for what is none.
fn seconds(digits: &str) -> Option<Duration> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
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

    #[test]
    fn of_several_ages_the_shortest_counts_and_no_byte_hides_a_directive() {
        assert_eq!(read("max-age=60, max-age=5").max_age, Some(Duration::from_secs(5)));
        assert_eq!(read("max-age=5, max-age=60").max_age, Some(Duration::from_secs(5)));
        let endless = Some(Duration::from_secs(u64::MAX));
        assert_eq!(read("max-age=99999999999999999999").max_age, endless);
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"x=\"\xe9\", no-store").unwrap();
        headers.insert(CACHE_CONTROL, value);
        assert!(Directives::read(&headers).bypass);
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn pragma_counts_of_requests_without_cache_control() {
        for (lines, refresh) in [
            (&[("pragma", "no-cache")][..], true),
            (&[("pragma", "x, No-Cache")], true),
            (&[("pragma", "x")], false),
            (&[("pragma", "no-cache"), ("cache-control", "max-age=60")], false),
            (&[("cache-control", "no-cache")], true),
            (&[], false),
        ] {
            assert_eq!(Directives::of_request(&headers(lines)).refresh, refresh, "{lines:?}");
        }
        assert!(!Directives::read(&headers(&[("pragma", "no-cache")])).refresh);
    }

    /// 1994-11-06, 08:49:37.
    const NOW: Duration = Duration::from_secs(784_111_777);
    const DAY: Duration = Duration::from_secs(86_400);

    /// Seconds for which an answer with these headers may serve, of a day.
    fn left(lines: &[(&'static str, &'static str)]) -> u64 {
        let headers = headers(lines);
        let freshness = Freshness::of(&headers, &Directives::read(&headers), NOW);
        let left = freshness.lifetime(DAY).saturating_sub(freshness.age).as_secs();
        assert_eq!(freshness.is_over(DAY), left == 0, "{lines:?}");
        left
    }

    #[test]
    fn an_answer_is_as_fresh_as_it_says() {
        let day = DAY.as_secs();
        let expires = |date: &'static str| ("expires", date);
        let later = expires("Sun, 06 Nov 1994 08:50:37 GMT");
        for (lines, expected) in [
            (&[("cache-control", "max-age=60")][..], 60),
            (&[], day),
            (&[("cache-control", "max-age=999999")], day),
            (&[("cache-control", "s-maxage=0")], 0),
            (&[("cache-control", "max-age=60, s-maxage=0")], 0),
            (&[("cache-control", "s-maxage=30, max-age=0")], 30),
            (&[("cache-control", "s-maxage=soon, max-age=60")], 0),
            (&[("cache-control", "max-age=60"), ("age", "100")], 0),
            (&[("cache-control", "max-age=60"), ("age", "20")], 40),
            (&[("cache-control", "max-age=60"), ("age", "20, 30")], 40),
            (&[("cache-control", "max-age=60"), ("age", "-1")], 60),
            (&[("cache-control", "max-age=60"), ("age", "99999999999999999999999")], 0),
            (&[("age", "100")], day - 100),
            (&[("age", "100000")], 0),
            (&[expires("0")], 0),
            (&[expires("-1")], 0),
            (&[expires("")], 0),
            (&[expires("Sun, 06 Nov 1994 08:49:37 GMT")], 0),
            (&[expires("Sun, 06 Nov 1994 08:48:37 GMT")], 0),
            (&[later], 60),
            (&[later, later], 0),
            (&[later, ("age", "20")], 60),
            (&[expires("Mon, 06 Nov 2094 08:49:37 GMT")], day),
            // By the sender's clock, which is half a minute ahead.
            (&[later, ("date", "Sun, 06 Nov 1994 08:50:07 GMT")], 30),
            (&[later, ("date", "Sun, 06 Nov 1994 08:00:00 GMT")], 60),
            (&[later, ("date", "today")], 60),
            (&[expires("0"), ("cache-control", "max-age=60")], 60),
            (&[expires("0"), ("cache-control", "public")], 0),
            (&[("pragma", "no-cache")], day),
        ] {
            assert_eq!(left(lines), expected, "{lines:?}");
        }
    }
}
