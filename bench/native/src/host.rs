//! Envoy, as an exchange sees it, over the module ABI.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::exchange::Host;
use pointsman_core::telemetry::Sample;

use super::abi::{Body, Headers, Metadata, Stream};

/// One stream, for the time of one callback.
pub struct Native {
    pub stream: Stream,
}

/// What workers share: values with their versions. One lock is enough for an experiment.
static SHARED: LazyLock<Mutex<HashMap<String, (Vec<u8>, u32)>>> = LazyLock::new(Mutex::default);

thread_local! {
    static SEED: RandomState = RandomState::new();
    static DRAWS: Cell<u64> = const { Cell::new(0) };
}

impl Native {
    /// Bytes of the request body so far.
    pub fn request_size(&self) -> usize {
        self.stream.body_size(Body::BufferedRequest) + self.stream.body_size(Body::ReceivedRequest)
    }

    /// Bytes of the response's piece that passes by.
    pub fn response_size(&self) -> usize {
        self.stream.body_size(Body::ReceivedResponse)
    }
}

impl Host for Native {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn random(&self) -> u64 {
        let draw = DRAWS.get();
        DRAWS.set(draw.wrapping_add(1));
        SEED.with(|seed| seed.hash_one(draw))
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        self.stream.header(Headers::Request, name)
    }

    fn set_request_header(&self, name: &str, value: Option<&str>) {
        self.stream.set_header(Headers::Request, name, value);
    }

    fn route_metadata(&self, name: &str) -> Option<String> {
        let value = self.stream.metadata(Metadata::Route, name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn request_body(&self, limit: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(limit.min(self.request_size()));
        self.stream.read_body(Body::BufferedRequest, &mut body);
        self.stream.read_body(Body::ReceivedRequest, &mut body);
        body.truncate(limit);
        body
    }

    /// Nothing is changed: the measured configuration rewrites nothing.
    fn replace_request_body(&self, _length: usize, _bytes: &[u8]) -> bool {
        false
    }

    fn reroute(&self) {
        self.stream.clear_route_cache();
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.stream.header(Headers::Response, name)
    }

    fn set_response_header(&self, name: &str, value: Option<&str>) {
        self.stream.set_header(Headers::Response, name, value);
    }

    fn response_body(&self, start: usize, size: usize) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        self.stream.read_body(Body::ReceivedResponse, &mut body);
        body.truncate(start.saturating_add(size));
        Some(body.split_off(start.min(body.len())))
    }

    /// Only where answers are held back, which the measured configuration does not.
    fn replace_response_body(&self, _length: usize, _bytes: &[u8]) {}

    /// As above.
    fn reply(&self, _status: u16, _content_type: &str, _headers: &[(&str, &str)], _body: &[u8]) {}

    fn upstream_target(&self) -> Option<Vec<u8>> {
        self.stream.metadata(Metadata::Host, "target")
    }

    fn upstream_cluster(&self) -> Option<Vec<u8>> {
        None
    }

    fn shared(&self, key: &str) -> Option<(Option<Vec<u8>>, Option<u32>)> {
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match shared.get(key) {
            Some((value, version)) => (Some(value.clone()), Some(*version)),
            None => (None, None),
        })
    }

    fn swap_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let is = shared.get(key).map(|(_, version)| *version);
        if is != version {
            return false;
        }
        shared.insert(key.to_owned(), (value.to_vec(), is.unwrap_or(0).wrapping_add(1)));
        true
    }

    fn set_record(&self, record: &str) {
        self.stream.set_filter_state("pointsman", record);
    }

    fn set_usage(&self, usage: &str) {
        self.stream.set_filter_state("pointsman_usage", usage);
    }

    fn measure(&self, _sample: Sample) {}
}
