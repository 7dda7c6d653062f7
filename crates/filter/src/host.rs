//! Envoy, as an exchange and the control plane's client see it.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::control_plane::Caller;
use pointsman_core::exchange::Host;
use pointsman_core::telemetry::Sample;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use super::inspector_metrics::InspectorMetrics;
use super::metrics::Metrics;

/// Filter state that access logs read as `%FILTER_STATE(wasm.pointsman:PLAIN)%`.
const RECORD_PROPERTY: &str = "pointsman";
const USAGE_PROPERTY: &str = "pointsman_usage";
/// A call that was not answered by then counts as failed, and its decisions go again.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The host of one configuration and worker. Its calls act on whatever stream Envoy has made
/// current.
pub(super) struct Proxy {
    metrics: Counted,
    seed: RandomState,
    draws: Cell<u64>,
}

/// Where an instance of the filter counts.
pub(super) enum Counted {
    Nowhere,
    Router(Metrics),
    Inspector(InspectorMetrics),
}

impl Proxy {
    pub(super) fn new(metrics: Counted) -> Self {
        Proxy { metrics, seed: RandomState::new(), draws: Cell::new(0) }
    }

    /// A request comes.
    pub(super) fn serves(&self) {
        if let Counted::Router(metrics) = &self.metrics {
            metrics.serves();
        }
    }

    fn count(&self, sample: Sample) {
        match &self.metrics {
            Counted::Nowhere => {}
            Counted::Router(metrics) => metrics.count(sample),
            Counted::Inspector(metrics) => metrics.count(sample),
        }
    }
}

// Only the bytes getters are used: the `String` ones panic on headers that are not UTF-8, which
// any client can send (proxy-wasm `hostcalls.rs`, `get_map_value`).
fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(map, name).ok().flatten()
}

fn property(path: Vec<&str>) -> Option<Vec<u8>> {
    hostcalls::get_property(path).ok().flatten()
}

impl Host for Proxy {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn random(&self) -> u64 {
        let draw = self.draws.get();
        self.draws.set(draw.wrapping_add(1));
        self.seed.hash_one(draw)
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        header(MapType::HttpRequestHeaders, name)
    }

    fn set_request_header(&self, name: &str, value: Option<&str>) {
        let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, value);
    }

    fn route_metadata(&self, name: &str) -> Option<String> {
        let value = property(vec!["xds", "route_metadata", "filter_metadata", "pointsman", name])?;
        // YAML takes a bare `off` for false, which Envoy gives as one byte of zero. Whoever writes
        // it wants to switch off.
        if value == [0] {
            Some("off".to_owned())
        } else {
            Some(String::from_utf8_lossy(&value).into_owned())
        }
    }

    fn request_body(&self, limit: usize) -> Vec<u8> {
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, limit);
        body.ok().flatten().unwrap_or_default()
    }

    fn replace_request_body(&self, length: usize, bytes: &[u8]) -> bool {
        hostcalls::set_buffer(BufferType::HttpRequestBody, 0, length, bytes).is_ok()
    }

    fn reroute(&self) {
        // ABI 0.2.1 clears the route cache on header changes; newer ones will not. Hosts without
        // the function say "not found", which changes nothing.
        let _ = hostcalls::call_foreign_function("clear_route_cache", None);
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        header(MapType::HttpResponseHeaders, name)
    }

    fn set_response_header(&self, name: &str, value: Option<&str>) {
        let _ = hostcalls::set_map_value(MapType::HttpResponseHeaders, name, value);
    }

    fn response_body(&self, start: usize, size: usize) -> Option<Vec<u8>> {
        hostcalls::get_buffer(BufferType::HttpResponseBody, start, size).ok().flatten()
    }

    fn replace_response_body(&self, length: usize, bytes: &[u8]) {
        let _ = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, length, bytes);
    }

    fn reply(&self, status: u16, content_type: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut all = vec![("content-type", content_type)];
        all.extend(headers);
        let _ = hostcalls::send_http_response(u32::from(status), all, Some(body));
    }

    fn upstream_target(&self) -> Option<Vec<u8>> {
        property(vec!["xds", "upstream_host_metadata", "filter_metadata", "pointsman", "target"])
    }

    fn upstream_cluster(&self) -> Option<Vec<u8>> {
        property(vec!["xds", "cluster_name"])
    }

    fn shared(&self, key: &str) -> Option<(Option<Vec<u8>>, Option<u32>)> {
        hostcalls::get_shared_data(key).ok()
    }

    fn swap_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), version).is_ok()
    }

    fn set_record(&self, record: &str) {
        let _ = hostcalls::set_property(vec![RECORD_PROPERTY], Some(record.as_bytes()));
    }

    fn set_usage(&self, usage: &str) {
        let _ = hostcalls::set_property(vec![USAGE_PROPERTY], Some(usage.as_bytes()));
    }

    fn measure(&self, sample: Sample) {
        self.count(sample);
    }
}

impl Caller for Proxy {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8]) -> Option<u32> {
        let body = (!body.is_empty()).then_some(body);
        // The host says BadArgument for an unknown cluster and InternalFailure when it cannot
        // send; the SDK panics on nothing else that Envoy answers.
        hostcalls::dispatch_http_call(cluster, headers, body, vec![], CALL_TIMEOUT).ok()
    }

    fn call_header(&self, name: &str) -> Option<Vec<u8>> {
        header(MapType::HttpCallResponseHeaders, name)
    }

    fn call_body(&self, limit: usize) -> Vec<u8> {
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, limit);
        body.ok().flatten().unwrap_or_default()
    }

    fn measure(&self, sample: Sample) {
        self.count(sample);
    }
}
