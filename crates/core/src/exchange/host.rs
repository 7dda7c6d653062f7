//! What an exchange asks of the proxy that runs it, and does to it.

use std::time::{Duration, Instant};

use crate::telemetry::Sample;

/// The proxy around one exchange. The filter implements it over the host's calls, tests and the
/// command line over maps.
///
/// Effects are calls and not a list that is returned: a list would be allocated for each request,
/// and the order of the effects is part of what an exchange decides.
pub trait Host {
    /// Now, on a clock that only goes forward.
    fn instant(&self) -> Instant;
    /// Now, as time since the Unix epoch.
    fn since_epoch(&self) -> Duration;
    /// 64 bits that no client can predict.
    fn random(&self) -> u64;

    /// A request header by its lower-case name, several values joined by commas; method and path
    /// are `:method` and `:path`.
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    /// Sets a request header; `None` removes it.
    fn set_request_header(&self, name: &str, value: Option<&str>);
    /// A text of the route's metadata, under this filter's name.
    fn route_metadata(&self, name: &str) -> Option<String>;
    /// The first bytes of what is buffered of the request body, at most `limit`.
    fn request_body(&self, limit: usize) -> Vec<u8>;
    /// Puts `bytes` in the place of the first `length` bytes of the buffered request body; false
    /// when nothing was changed.
    fn replace_request_body(&self, length: usize, bytes: &[u8]) -> bool;
    /// Chooses the route again, by the headers as they are now.
    fn reroute(&self);

    /// A response header by its lower-case name; the status is `:status`.
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    /// Sets a response header; `None` removes it.
    fn set_response_header(&self, name: &str, value: Option<&str>);
    /// At most `size` bytes of what is here of the response body, from `start` on: of one that
    /// passes by the next piece, of one that is held all of it.
    fn response_body(&self, start: usize, size: usize) -> Option<Vec<u8>>;
    /// Puts `bytes` in the place of the first `length` bytes of what is here of the response body.
    fn replace_response_body(&self, length: usize, bytes: &[u8]);
    /// Answers in the place of the upstream, with further headers.
    fn reply(&self, status: u16, content_type: &str, headers: &[(&str, &str)], body: &[u8]);
    /// The HTTP status of the answer.
    fn status(&self) -> Option<u16> {
        str::from_utf8(&self.response_header(":status")?).ok()?.parse().ok()
    }
    /// The name of the target that the answering endpoint belongs to, where its metadata says so.
    fn upstream_target(&self) -> Option<Vec<u8>>;
    /// The name of the cluster that was chosen.
    fn upstream_cluster(&self) -> Option<Vec<u8>>;

    /// A value that all workers share, with its version; `None` when the host has no such store.
    /// A key that was never written has no value.
    fn shared(&self, key: &str) -> Option<(Option<Vec<u8>>, Option<u32>)>;
    /// Writes a shared value, unless another worker has written it since `version`.
    fn swap_shared(&self, key: &str, value: &[u8], version: Option<u32>) -> bool;

    /// Puts the decision record where access logs find it.
    fn set_record(&self, record: &str);
    /// Puts what the answer cost where access logs find it.
    fn set_usage(&self, usage: &str);
    /// Counts.
    fn measure(&self, sample: Sample);
}
