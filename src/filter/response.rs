//! The answer on its way back: read in passing for what it cost, never held or changed.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use super::metrics::Metrics;
use crate::config::Target;
use crate::usage::UsageReader;

/// An answer that streams by.
pub(super) struct Answer {
    /// Position of the target that gave it.
    target: usize,
    /// `None` for an answer whose bytes hold no counts.
    reader: Option<UsageReader>,
}

/// The HTTP status of the answer.
pub(super) fn status() -> Option<u16> {
    let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
    str::from_utf8(&status.ok()??).ok()?.parse().ok()
}

impl Answer {
    /// The head of an answer is here. `None` when nobody charges for it: an error.
    pub(super) fn begin(targets: &[Target], decided: usize) -> Option<Self> {
        let header = |name| {
            hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
        };
        if !header(":status")?.starts_with(b"2") {
            return None;
        }
        let plain = header("content-encoding")
            .is_none_or(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
        let content_type = header("content-type").unwrap_or_default();
        let reader = plain.then(|| UsageReader::new(&content_type)).flatten();
        Some(Answer { target: answering(targets).unwrap_or(decided), reader })
    }

    /// The next `size` bytes of the body pass.
    pub(super) fn pass(&mut self, size: usize) {
        let Some(reader) = &mut self.reader else { return };
        if let Ok(Some(bytes)) = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size) {
            reader.read(&bytes);
        }
    }

    /// The answer is over, or the client went away.
    pub(super) fn end(&self, metrics: &Metrics) {
        metrics.answered(self.target, self.reader.as_ref().and_then(UsageReader::usage));
    }
}

/// The target that answered. It is not the one decided on when only observing, or when another
/// took over: then endpoints tell in their metadata whose they are.
fn answering(targets: &[Target]) -> Option<usize> {
    let metadata = ["xds", "upstream_host_metadata", "filter_metadata", "pointsman", "target"];
    if let Ok(Some(name)) = hostcalls::get_property(metadata.to_vec()) {
        return targets.iter().position(|target| target.name.as_bytes() == name);
    }
    let cluster = hostcalls::get_property(vec!["xds", "cluster_name"]).ok()??;
    targets.iter().position(|target| target.cluster.as_bytes() == cluster)
}
