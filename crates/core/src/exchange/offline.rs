//! A host without a proxy: one exchange over maps, on a clock that stands where it is put.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::control_plane::Caller;
use crate::telemetry::Sample;

use super::Host;

/// A request and its answer in memory, and all that an exchange did to them. `pointsman explain`
/// and tests decide with it.
#[derive(Debug)]
pub struct OfflineHost {
    /// By lower-case name.
    pub request_headers: RefCell<BTreeMap<String, Vec<u8>>>,
    /// What is buffered of the body.
    pub request_body: RefCell<Vec<u8>>,
    /// Of the route, under the filter's name.
    pub route_metadata: BTreeMap<String, String>,
    pub response_headers: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The piece of the answer that passes by.
    pub response_body: RefCell<Vec<u8>>,
    /// How often the host itself answered.
    pub replies: Cell<u32>,
    pub upstream_target: Option<String>,
    pub upstream_cluster: Option<String>,
    /// What all workers share: value and version.
    pub shared: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    /// How often the next writes of shared values fail, as if another worker had been faster.
    pub overtaken: Cell<u32>,
    /// The decision record.
    pub record: RefCell<Option<String>>,
    /// What the answer cost.
    pub usage: RefCell<Option<String>>,
    pub samples: RefCell<Vec<Sample>>,
    /// How often the route was chosen again.
    pub reroutes: Cell<u32>,
    /// Time since the Unix epoch, which also is the time since the host's start.
    pub clock: Cell<Duration>,
    /// What the next draws are; zeros after that.
    pub draws: RefCell<Vec<u64>>,
    /// Requests to the control plane that were sent: headers and body.
    pub calls: RefCell<Vec<SentCall>>,
    /// Whether requests to the control plane can be sent.
    pub reachable: bool,
    /// The response of the control plane at hand.
    pub call_headers: BTreeMap<String, Vec<u8>>,
    pub call_body: Vec<u8>,
    started: Instant,
}

/// Headers and body of a request to the control plane.
pub type SentCall = (Vec<(String, String)>, Vec<u8>);

impl OfflineHost {
    /// A request with these headers, names in lower case, and the beginning of its body.
    pub fn new(headers: impl IntoIterator<Item = (String, Vec<u8>)>, body: Vec<u8>) -> Self {
        OfflineHost {
            request_headers: RefCell::new(headers.into_iter().collect()),
            request_body: RefCell::new(body),
            route_metadata: BTreeMap::new(),
            response_headers: RefCell::default(),
            response_body: RefCell::default(),
            replies: Cell::default(),
            upstream_target: None,
            upstream_cluster: None,
            shared: RefCell::default(),
            overtaken: Cell::default(),
            record: RefCell::default(),
            usage: RefCell::default(),
            samples: RefCell::default(),
            reroutes: Cell::default(),
            clock: Cell::default(),
            draws: RefCell::default(),
            calls: RefCell::default(),
            reachable: true,
            call_headers: BTreeMap::new(),
            call_body: Vec::new(),
            started: Instant::now(),
        }
    }
}

impl Host for OfflineHost {
    fn instant(&self) -> Instant {
        self.started + self.clock.get()
    }

    fn since_epoch(&self) -> Duration {
        self.clock.get()
    }

    fn random(&self) -> u64 {
        let mut draws = self.draws.borrow_mut();
        if draws.is_empty() { 0 } else { draws.remove(0) }
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        self.request_headers.borrow().get(name).cloned()
    }

    fn set_request_header(&self, name: &str, value: Option<&str>) {
        let mut headers = self.request_headers.borrow_mut();
        match value {
            Some(value) => headers.insert(name.to_owned(), value.as_bytes().to_vec()),
            None => headers.remove(name),
        };
    }

    fn route_metadata(&self, name: &str) -> Option<String> {
        self.route_metadata.get(name).cloned()
    }

    fn request_body(&self, limit: usize) -> Vec<u8> {
        self.request_body.borrow().iter().take(limit).copied().collect()
    }

    fn replace_request_body(&self, length: usize, bytes: &[u8]) -> bool {
        let mut body = self.request_body.borrow_mut();
        let rest = body.get(length..).unwrap_or_default().to_vec();
        *body = [bytes, &rest].concat();
        true
    }

    fn reroute(&self) {
        self.reroutes.set(self.reroutes.get() + 1);
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.response_headers.borrow().get(name).cloned()
    }

    fn set_response_header(&self, name: &str, value: Option<&str>) {
        let mut headers = self.response_headers.borrow_mut();
        match value {
            Some(value) => headers.insert(name.to_owned(), value.as_bytes().to_vec()),
            None => headers.remove(name),
        };
    }

    fn response_body(&self, start: usize, size: usize) -> Option<Vec<u8>> {
        Some(self.response_body.borrow().iter().skip(start).take(size).copied().collect())
    }

    fn replace_response_body(&self, length: usize, bytes: &[u8]) {
        let mut body = self.response_body.borrow_mut();
        let rest = body.get(length..).unwrap_or_default().to_vec();
        *body = [bytes, &rest].concat();
    }

    fn reply(&self, status: u16, content_type: &str, headers: &[(&str, &str)], body: &[u8]) {
        let status = status.to_string();
        let own = [(":status", status.as_str()), ("content-type", content_type)];
        let all = own.iter().chain(headers);
        *self.response_headers.borrow_mut() =
            all.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        *self.response_body.borrow_mut() = body.to_vec();
        self.replies.set(self.replies.get() + 1);
    }

    fn upstream_target(&self) -> Option<Vec<u8>> {
        self.upstream_target.clone().map(String::into_bytes)
    }

    fn upstream_cluster(&self) -> Option<Vec<u8>> {
        self.upstream_cluster.clone().map(String::into_bytes)
    }

    fn shared(&self, key: &str) -> Option<(Option<Vec<u8>>, Option<u32>)> {
        let shared = self.shared.borrow();
        Some(
            shared
                .get(key)
                .map_or((None, None), |(value, version)| (Some(value.clone()), Some(*version))),
        )
    }

    fn swap_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        if let Some(overtaken) = self.overtaken.get().checked_sub(1) {
            self.overtaken.set(overtaken);
            return false;
        }
        let mut shared = self.shared.borrow_mut();
        let is = shared.get(key).map(|(_, version)| *version);
        if is != version {
            return false;
        }
        shared.insert(key.to_owned(), (value.to_vec(), is.unwrap_or(0) + 1));
        true
    }

    fn set_record(&self, record: &str) {
        *self.record.borrow_mut() = Some(record.to_owned());
    }

    fn set_usage(&self, usage: &str) {
        *self.usage.borrow_mut() = Some(usage.to_owned());
    }

    fn measure(&self, sample: Sample) {
        self.samples.borrow_mut().push(sample);
    }
}

impl Caller for OfflineHost {
    fn instant(&self) -> Instant {
        Host::instant(self)
    }

    fn call(&self, _cluster: &str, headers: Vec<(&str, &str)>, body: &[u8]) -> Option<u32> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut calls = self.calls.borrow_mut();
        if !self.reachable {
            return None;
        }
        calls.push((headers.into_iter().map(owned).collect(), body.to_vec()));
        u32::try_from(calls.len()).ok()
    }

    fn call_header(&self, name: &str) -> Option<Vec<u8>> {
        self.call_headers.get(name).cloned()
    }

    fn call_body(&self, limit: usize) -> Vec<u8> {
        self.call_body.iter().take(limit).copied().collect()
    }

    fn measure(&self, sample: Sample) {
        Host::measure(self, sample);
    }
}
