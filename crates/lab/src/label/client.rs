//! Calls to an OpenAI-compatible endpoint, with retries.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use super::answer::ModelAnswer;
use super::error::LabelError;

/// The largest response that is read, in bytes.
const MAX_RESPONSE_BYTES: u64 = 16 * 1024 * 1024;
/// Back-off before the first retry; doubles with every further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest back-off, and the longest wait that a `Retry-After` is granted.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Where and how to call a model.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// A base URL (`http://host`, `http://host/v1`) or the whole one (`…/chat/completions`).
    pub url: String,
    pub model: String,
    /// Sent as a bearer token. Only ever taken from the environment.
    pub key: Option<String>,
    /// From the first byte sent to the last byte received.
    pub timeout: Duration,
    pub retries: u32,
    /// Maximum calls per second.
    pub rate: Option<f64>,
    pub concurrency: usize,
}

/// A call that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The endpoint will refuse every call: wrong key.
    Refused(String),
    /// This call failed, for good or after all retries.
    Failed(String),
    /// The run is being stopped.
    Stopped,
}

/// A model behind an OpenAI-compatible endpoint.
pub struct Endpoint {
    url: String,
    model: String,
    authorization: Option<String>,
    agent: Agent,
    retries: u32,
    gate: Gate,
    retried: AtomicU64,
}

impl Endpoint {
    /// # Errors
    /// The URL or the rate makes no sense.
    pub fn new(options: &EndpointOptions) -> Result<Self, LabelError> {
        let url = completions_url(&options.url)?;
        if options.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err(LabelError::BadInput(
                "the rate must be more than 0 calls per second".into(),
            ));
        }
        // A proxy is for the world outside; ureq would send loopback calls to it, too.
        let host = url.split("://").nth(1).unwrap_or_default();
        let local = ["127.", "localhost", "[::1]"].iter().any(|name| host.starts_with(name));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(options.timeout))
            .max_idle_connections(options.concurrency)
            .max_idle_connections_per_host(options.concurrency)
            .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")));
        let config = if local { config.proxy(None) } else { config };
        Ok(Endpoint {
            url,
            model: options.model.clone(),
            authorization: options.key.as_ref().map(|key| format!("Bearer {key}")),
            agent: config.build().into(),
            retries: options.retries,
            gate: Gate::new(options.rate),
            retried: AtomicU64::new(0),
        })
    }

    /// The model's name, as the endpoint knows it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Calls repeated so far.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Sends a chat body. Repeats the call on 408, 409, 425, 429, 5xx, on a broken connection, a
    /// timeout, and on a 200 that is not a chat completion; `accept` may reject an answer, too.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(
        &self,
        body: &Value,
        stop: &AtomicBool,
        accept: impl Fn(&ModelAnswer) -> Result<(), String>,
    ) -> Result<ModelAnswer, CallError> {
        let mut attempt = 0;
        loop {
            self.gate.wait(stop)?;
            let (what, retry_after) = match self.send(body) {
                Ok(answer) => match accept(&answer) {
                    Ok(()) => return Ok(answer),
                    Err(what) => (what, None),
                },
                Err(Failure::Retry { what, after }) => (what, after),
                Err(Failure::Final(error)) => return Err(error),
            };
            if attempt == self.retries {
                return Err(CallError::Failed(format!("{what} ({} attempts)", attempt + 1)));
            }
            match retry_after {
                Some(wait) => self.gate.close_for(wait.min(MAX_RETRY_AFTER)),
                None => sleep(backoff(attempt), stop)?,
            }
            attempt += 1;
            self.retried.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, body: &Value) -> Result<ModelAnswer, Failure> {
        let mut request = self.agent.post(&self.url).content_type("application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let retry = |what: String| Failure::Retry { what, after: None };
        let mut response = request.send(body.to_string()).map_err(|e| retry(e.to_string()))?;
        let status = response.status().as_u16();
        let after = retry_after(&response);
        let text = response
            .body_mut()
            .with_config()
            .limit(MAX_RESPONSE_BYTES)
            .lossy_utf8(true)
            .read_to_string();
        match status {
            200..300 => {}
            401 | 403 => {
                let what = format!("{} responded {status}: check the API key", self.url);
                return Err(Failure::Final(CallError::Refused(what)));
            }
            408 | 409 | 425 | 429 | 500.. => {
                return Err(Failure::Retry { what: format!("status {status}"), after });
            }
            _ => {
                let text = text.unwrap_or_default();
                let start: String = text.chars().take(200).collect();
                let what = format!("status {status}: {}", start.trim());
                return Err(Failure::Final(CallError::Failed(what)));
            }
        }
        let text = text.map_err(|error| retry(error.to_string()))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|_| retry("the response is not JSON".into()))?;
        if !value.get("choices").is_some_and(Value::is_array) {
            return Err(retry("the response is not a chat completion".into()));
        }
        ModelAnswer::from_response(&value).map_err(|what| retry(what.into()))
    }
}

enum Failure {
    Retry { what: String, after: Option<Duration> },
    Final(CallError),
}

/// Spaces calls out, and holds all of them back while the endpoint asks for it.
struct Gate {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Gate {
    fn new(rate: Option<f64>) -> Self {
        let interval = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Gate { interval, next: Mutex::new(Instant::now()) }
    }

    fn wait(&self, stop: &AtomicBool) -> Result<(), CallError> {
        let slot = {
            let mut next = self.next.lock().unwrap_or_else(|e| e.into_inner());
            let slot = (*next).max(Instant::now());
            *next = slot + self.interval;
            slot
        };
        sleep(slot.saturating_duration_since(Instant::now()), stop)
    }

    fn close_for(&self, wait: Duration) {
        let mut next = self.next.lock().unwrap_or_else(|e| e.into_inner());
        *next = (*next).max(Instant::now() + wait);
    }
}

/// Exponential, with full jitter so that parallel calls do not return in step.
fn backoff(attempt: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << attempt.min(16)).min(MAX_BACKOFF);
    longest.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

fn sleep(wait: Duration, stop: &AtomicBool) -> Result<(), CallError> {
    let end = Instant::now() + wait;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(CallError::Stopped);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn completions_url(url: &str) -> Result<String, LabelError> {
    let base = url.trim_end_matches('/');
    let rest = base
        .strip_prefix("http://")
        .or_else(|| base.strip_prefix("https://"))
        .filter(|rest| !rest.is_empty())
        .ok_or_else(|| {
            LabelError::BadInput(format!("`{url}` is not an http:// or https:// URL"))
        })?;
    Ok(if base.ends_with("/chat/completions") {
        base.to_owned()
    } else if rest.contains('/') {
        format!("{base}/chat/completions")
    } else {
        format!("{base}/v1/chat/completions")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_completed() {
        let url = |url| completions_url(url).expect("a URL");
        assert_eq!(url("http://h:1"), "http://h:1/v1/chat/completions");
        assert_eq!(url("http://h:1/v1/"), "http://h:1/v1/chat/completions");
        assert_eq!(url("https://h/x/chat/completions"), "https://h/x/chat/completions");
        assert!(completions_url("h:1").is_err());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let response = |value: &str| Response::builder().header("retry-after", value).body(()).ok();
        let parsed = |value: &str| response(value).as_ref().and_then(retry_after);
        assert_eq!(parsed("2"), Some(Duration::from_secs(2)));
        assert_eq!(parsed("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parsed("soon"), None);
    }

    #[test]
    fn back_off_grows_and_is_bounded() {
        for attempt in 0..40 {
            let wait = backoff(attempt);
            assert!(wait <= MAX_BACKOFF && wait >= FIRST_BACKOFF / 2, "{attempt}: {wait:?}");
        }
        assert!(backoff(6) > backoff(0));
    }
}
