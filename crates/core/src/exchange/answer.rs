//! The answer on its way back: read in passing for what it cost and what it says of itself, never
//! held or changed.

use crate::answer::{Fault, Outcome, UsageReader};
use crate::header;
use crate::prompt::ApiFormat;
use crate::provider_state::MadeState;
use crate::target::{Billed, Target};

use super::Host;

/// An answer that streams by.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    /// Position of the target that gave it; `None` when nobody knows.
    target: Option<usize>,
    /// `None` for an answer whose bytes say nothing.
    reader: Option<UsageReader>,
    /// A cache gave it: nobody is paid.
    cached: bool,
    ended: bool,
}

impl Answer {
    /// The head of a target's answer to a question in this format is here, and perhaps all of it.
    pub(super) fn begin(
        host: &impl Host,
        status: u16,
        target: Option<usize>,
        format: ApiFormat,
        ended: bool,
    ) -> Self {
        let plain = host
            .response_header("content-encoding")
            .is_none_or(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
        let content_type = host.response_header("content-type").unwrap_or_default();
        let reader = (plain && is_success(status)).then(|| UsageReader::new(&content_type));
        let reader = reader.flatten().map(UsageReader::with_outcome);
        let reader = reader.map(|reader| reader.with_state(MadeState::new(format)));
        let cache = host.response_header(header::CACHE);
        let cached = cache.is_some_and(|outcome| outcome.starts_with(b"hit-"));
        Answer { status, target, reader, cached, ended }
    }

    /// The next `size` bytes of the body pass.
    pub(super) fn pass(&mut self, host: &impl Host, size: usize, end_of_stream: bool) {
        self.ended |= end_of_stream;
        // Envoy tells of the end by a piece without bytes.
        if let Some(reader) = self.reader.as_mut().filter(|_| size > 0)
            && let Some(bytes) = host.response_body(0, size)
        {
            reader.read(&bytes);
        }
    }

    /// The answer ends with trailers.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    /// The target whose success is to be paid for. Nobody charges for an error.
    pub(super) fn charged(&self) -> Option<usize> {
        self.target.filter(|_| is_success(self.status))
    }

    /// Its status, when it came to its end, from the target that was decided on.
    pub(super) fn complete(&self, decided: usize) -> Option<u16> {
        (self.ended && self.target == Some(decided)).then_some(self.status)
    }

    /// Whether it is read, so that only its end tells whether it is one.
    pub(super) fn is_read(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) fn is_cached(&self) -> bool {
        self.cached
    }

    /// For an answer that was read to its end, whose it is and why it is none, if so.
    pub(super) fn verdict(&self) -> Option<(usize, Option<Fault>)> {
        let reader = self.reader.as_ref().filter(|_| self.ended)?;
        Some((self.target?, reader.fault()))
    }

    /// What the provider keeps of the answer, as far as it was not asked for before, and whose it
    /// is.
    pub(super) fn take_state(&mut self) -> (Vec<u64>, Option<usize>) {
        (self.reader.as_mut().map(UsageReader::take_state).unwrap_or_default(), self.target)
    }

    /// What its target charges for it, had no cache given it.
    pub(super) fn billed(&self) -> Option<Billed> {
        self.reader.as_ref().and_then(UsageReader::billed)
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.reader.as_ref().and_then(UsageReader::outcome)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The target that answered. It is not the one decided on when only observing, or when another
/// took over: then endpoints say in their metadata whose they are.
pub(super) fn answering(host: &impl Host, targets: &[Target]) -> Option<usize> {
    if let Some(name) = host.upstream_target() {
        return targets.iter().position(|target| target.name.as_bytes() == name);
    }
    let cluster = host.upstream_cluster()?;
    targets.iter().position(|target| target.cluster.as_bytes() == cluster)
}
