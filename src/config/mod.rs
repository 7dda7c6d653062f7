//! The filter's configuration, strictly checked.

use crate::prompt::MAX_BODY_BYTES;

mod read;

pub use read::{ConfigError, ConfigErrors};

/// Fewest and most targets of a configuration. The upper bound keeps metrics bounded.
pub const TARGETS: std::ops::RangeInclusive<usize> = 2..=16;
/// Smallest and largest `body.max_bytes`.
pub const BODY_BYTES: std::ops::RangeInclusive<u64> = 1024..=16 * 1024 * 1024;

/// What a request can be routed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name in headers, metrics and records.
    pub name: String,
    /// Envoy cluster: the model behind its semantic cache.
    pub cluster: String,
    /// The score from which on it is chosen; the manifest's when not given.
    pub threshold: Option<f32>,
}

/// Another model than the embedded one.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `model.onnx`.
    pub onnx: Vec<u8>,
    /// `manifest.json`.
    pub manifest: Vec<u8>,
}

/// What is done with a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Requests go where the decision says.
    #[default]
    Route,
    /// Decisions are only recorded; Envoy's own routes apply.
    Observe,
}

/// Which response headers are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeaders {
    pub target: bool,
    pub source: bool,
    pub reason: bool,
    pub score: bool,
    pub decision_id: bool,
}

impl Default for ResponseHeaders {
    fn default() -> Self {
        ResponseHeaders { target: true, source: true, reason: true, score: true, decision_id: true }
    }
}

/// The control plane that decisions are told to and policy snapshots come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Envoy cluster of `pointsman serve`.
    pub cluster: String,
    /// Secret that decision ids are signed with; the control plane has the same.
    pub key: String,
    /// Bearer token of the control plane.
    pub token: String,
    /// Time between two posts, and between two looks for a new snapshot.
    pub interval: std::time::Duration,
    /// Most bytes of decisions that wait to be posted.
    pub buffer_bytes: usize,
    /// A snapshot that was not confirmed for so long no longer decides.
    pub max_age: std::time::Duration,
    /// Whether the bandit decides; otherwise decisions are only told.
    pub bandit: bool,
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Cheapest first, strongest last.
    pub targets: Vec<Target>,
    /// Position of the target that takes what cannot be decided.
    pub default: usize,
    pub model: Option<Model>,
    /// Longest prefix of a body that is read, in bytes.
    pub max_body_bytes: usize,
    pub response_headers: ResponseHeaders,
    pub mode: Mode,
    pub control: Option<Control>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its path, value and rule.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigErrors> {
        read::config(json)
    }
}

/// The default of `body.max_bytes`.
const DEFAULT_MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

#[cfg(test)]
mod tests;
