//! The answer on its way back: read in passing for what it cost and what it says of itself, never
//! held or changed.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use super::metrics::Metrics;
use crate::config::Target;
use crate::usage::{Outcome, Usage, UsageReader};

/// An answer that streams by.
pub(super) struct Answer {
    status: u16,
    /// Position of the target that gave it; `None` when nobody knows.
    target: Option<usize>,
    /// `None` for an answer whose bytes say nothing.
    reader: Option<UsageReader>,
    ended: bool,
}

/// The HTTP status of the answer.
pub(super) fn status() -> Option<u16> {
    let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
    str::from_utf8(&status.ok()??).ok()?.parse().ok()
}

impl Answer {
    /// The head of a target's answer is here, and perhaps all of it. `judged` says that more than
    /// its cost is wanted.
    pub(super) fn begin(status: u16, target: Option<usize>, judged: bool, ended: bool) -> Self {
        let header = |name| {
            hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten()
        };
        let plain = header("content-encoding")
            .is_none_or(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
        let content_type = header("content-type").unwrap_or_default();
        let reader = (plain && is_success(status)).then(|| UsageReader::new(&content_type));
        let reader = reader.flatten();
        let reader = if judged { reader.map(UsageReader::with_outcome) } else { reader };
        Answer { status, target, reader, ended }
    }

    /// The next `size` bytes of the body pass.
    pub(super) fn pass(&mut self, size: usize, end_of_stream: bool) {
        self.ended |= end_of_stream;
        let Some(reader) = &mut self.reader else { return };
        if let Ok(Some(bytes)) = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size) {
            reader.read(&bytes);
        }
    }

    /// The answer ends with trailers.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// The answer is over, or the client went away. Nobody charges for an error.
    pub(super) fn count(&self, metrics: &Metrics) {
        if let Some(target) = self.target.filter(|_| is_success(self.status)) {
            metrics.answered(target, self.usage());
        }
    }

    /// Its status, when it came to its end, from the target that was decided on.
    pub(super) fn complete(&self, decided: usize) -> Option<u16> {
        (self.ended && self.target == Some(decided)).then_some(self.status)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.reader.as_ref().and_then(UsageReader::usage)
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.reader.as_ref().and_then(UsageReader::outcome)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The target that answered. It is not the one decided on when only observing, or when another
/// took over: then endpoints tell in their metadata whose they are.
pub(super) fn answering(targets: &[Target]) -> Option<usize> {
    let metadata = ["xds", "upstream_host_metadata", "filter_metadata", "pointsman", "target"];
    if let Ok(Some(name)) = hostcalls::get_property(metadata.to_vec()) {
        return targets.iter().position(|target| target.name.as_bytes() == name);
    }
    let cluster = hostcalls::get_property(vec!["xds", "cluster_name"]).ok()??;
    targets.iter().position(|target| target.cluster.as_bytes() == cluster)
}
