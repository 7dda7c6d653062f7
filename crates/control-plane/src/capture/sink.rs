//! What happens to a posted body, and what is counted of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;

use super::Prepare;
use super::file::{AppendError, CaptureFile};
use crate::serve::metrics::Page;

/// Why a pair is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not the object that filters post.
    Invalid,
    /// A request or an answer in it is not JSON.
    NotJson,
    /// It has no answer that the other one could be compared with.
    NoAnswer,
    /// Its body is longer than what is read.
    TooLarge,
    /// The file has the size that it may have.
    Full,
    /// The file cannot be written.
    WriteFailed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 6] = [
        Reason::Invalid,
        Reason::NotJson,
        Reason::NoAnswer,
        Reason::TooLarge,
        Reason::Full,
        Reason::WriteFailed,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Invalid => "invalid",
            Reason::NotJson => "not_json",
            Reason::NoAnswer => "no_answer",
            Reason::TooLarge => "too_large",
            Reason::Full => "full",
            Reason::WriteFailed => "write_failed",
        }
    }

    /// The status that says it.
    pub fn status(self) -> StatusCode {
        match self {
            Reason::Invalid | Reason::NotJson | Reason::NoAnswer => StatusCode::BAD_REQUEST,
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::Full | Reason::WriteFailed => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

/// A pair that is not written. The message holds no text of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
}

/// The file, and all that is counted.
pub struct Sink {
    file: Mutex<CaptureFile>,
    prepare: Box<Prepare>,
    warn: Box<dyn Fn(&str) + Send + Sync>,
    written: AtomicU64,
    /// In the order of [`Reason::ALL`].
    dropped: [AtomicU64; Reason::ALL.len()],
}

impl Sink {
    /// A sink that warns of a file that cannot be written.
    pub fn new(
        file: CaptureFile,
        prepare: Box<Prepare>,
        warn: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        let dropped = Default::default();
        Sink { file: Mutex::new(file), prepare, warn, written: AtomicU64::new(0), dropped }
    }

    /// Writes the row of a posted body.
    ///
    /// # Errors
    ///
    /// Why it is not written; that is counted, too.
    pub fn take(&self, body: &[u8]) -> Result<(), Refusal> {
        let row = (self.prepare)(body).inspect_err(|refusal| {
            self.count(refusal.reason);
        })?;
        // A statement of its own: nobody waits for the file while a warning is written.
        let appended = self.file().append(&row);
        appended.map_err(|error| {
            let reason = match error {
                AppendError::Full(_) => Reason::Full,
                AppendError::Io(_) => Reason::WriteFailed,
            };
            let message = error.to_string();
            if self.count(reason) == 0 {
                (self.warn)(&message);
            }
            Refusal { reason, message }
        })?;
        self.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a pair that is not written; gives the number of those before.
    pub fn count(&self, reason: Reason) -> u64 {
        let mut counters = Reason::ALL.iter().zip(&self.dropped);
        let counter = counters.find(|(it, _)| **it == reason);
        counter.map_or(0, |(_, counter)| counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Counters and the size of the file, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let mut page = Page::default();
        let written = self.written.load(Ordering::Relaxed) as f64;
        page.one("counter", "pointsman_capture_pairs_total", "Pairs written.", written);
        let dropped = Reason::ALL.iter().zip(&self.dropped);
        page.counters(
            "pointsman_capture_dropped_total",
            "Pairs not written, by reason.",
            "reason",
            dropped.map(|(reason, count)| (reason.name(), count.load(Ordering::Relaxed))),
        );
        let bytes = self.file().bytes().map_or(f64::NAN, |bytes| bytes as f64);
        page.one("gauge", "pointsman_capture_bytes", "Size of the file, in bytes.", bytes);
        page.into_text()
    }

    fn file(&self) -> MutexGuard<'_, CaptureFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
