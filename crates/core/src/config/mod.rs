//! The filter's configuration, strictly checked.

use crate::classifier::{NoveltyLimit, Objective};
use crate::policy::Policy;
use crate::policy::health::Health;
use crate::policy::sticky::Sticky;
use crate::prompt::{Envelopes, MAX_BODY_BYTES, MAX_WHOLE_BODY_BYTES};
use crate::reason::Reason;
use crate::target::{Price, Target};

mod control_plane;
mod escalate;
pub mod node;
mod parameters;
mod plugin;
mod policies;
mod read;
mod role;
#[cfg(not(target_arch = "wasm32"))]
mod schema;
mod targets;

pub use control_plane::{Bandit, ControlPlane};
pub use node::{ConfigError, ConfigErrors, NAME_RULE, is_name, is_secret};
pub use plugin::plugin_json;
pub use read::FIELDS;
pub use role::{CAPTURE_BYTES, Role};
#[cfg(not(target_arch = "wasm32"))]
pub use schema::json_schema;
pub use targets::FIELDS as TARGET_FIELDS;

/// Fewest and most targets of a configuration. The upper bound keeps metrics bounded.
pub const TARGETS: std::ops::RangeInclusive<usize> = 2..=16;
/// Smallest and largest `body.max_bytes`.
pub const BODY_BYTES: std::ops::RangeInclusive<u64> = 1024..=16 * 1024 * 1024;

/// Most rules of a policy, and most policies in addition to the main one: metrics are defined for each.
pub const MAX_RULES: usize = 64;
pub const MAX_POLICIES: usize = 16;
/// Longest pattern of a rule, in bytes.
pub const REGEX_BYTES: usize = 512;
/// The rule set that `"rules": "default"` names.
pub const DEFAULT_RULES: &str = include_str!("../../../../rules/default.json");

/// What a client may ask for with `x-pointsman-target`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Positions of the targets that it may name.
    pub targets: Vec<usize>,
    /// Whether `skip` lets a request pass as if the filter were not there.
    pub skip: bool,
}

/// A share of conversations for another policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canary {
    /// Position in [`Config::policies`].
    pub policy: usize,
    /// 0 to 1.
    pub share: f32,
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
    /// Every request passes untouched.
    Off,
}

impl Mode {
    /// The modes by their names in the configuration and in route metadata.
    pub const NAMES: [(&str, Mode); 3] =
        [("route", Mode::Route), ("observe", Mode::Observe), ("off", Mode::Off)];

    /// The name of a mode.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }

    /// The mode with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, mode)| mode)
    }
}

/// Which response headers are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeaders {
    pub target: bool,
    pub source: bool,
    pub reason: bool,
    pub score: bool,
    pub decision_id: bool,
    /// Of an answer that was found bad: the sign, and why it was sent on if it was.
    pub escalated: bool,
}

impl Default for ResponseHeaders {
    fn default() -> Self {
        // A score in every answer would tell a client which words move it across the threshold.
        ResponseHeaders {
            target: true,
            source: true,
            reason: true,
            score: false,
            decision_id: true,
            escalated: true,
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// A digest of what it says, whatever its white space and the order of its fields.
    pub version: String,
    /// Cheapest first, strongest last.
    pub targets: Vec<Target>,
    /// Position of the target that takes what cannot be decided.
    pub default: usize,
    pub model: Option<Model>,
    /// What scores must answer; whatever the model's first output answers where it is not said.
    pub objective: Option<Objective>,
    /// Novelty above which the classifier abstains.
    pub novelty_limit: NoveltyLimit,
    /// The main policy, then those that routes and the canary choose by name.
    pub policies: Vec<Policy>,
    /// Names of the rules of all policies: reasons of decisions.
    pub rule_names: Vec<String>,
    pub canary: Option<Canary>,
    pub sticky: Option<Sticky>,
    pub client: Override,
    /// Whether targets that fail are left out for a while.
    pub health: Option<Health>,
    /// The request header that names the caller, where a gateway in front sets one; otherwise its
    /// credentials do.
    pub tenant_header: Option<String>,
    /// What a path of ours begins with: one of these.
    pub path_prefixes: Vec<String>,
    /// What is left out of the text that is looked at.
    pub envelopes: Envelopes,
    /// Longest beginning of a body that is read, in bytes, when the body is not here as a whole.
    pub max_body_bytes: usize,
    /// Longest body that is held back until all of it is here, and read as a whole, in bytes.
    pub hold_bytes: usize,
    /// Whether the target's model and parameters are written into the body.
    pub rewrite_model: bool,
    pub response_headers: ResponseHeaders,
    pub mode: Mode,
    /// Where decisions are posted to, and the bandit's policy comes from.
    pub control: Option<ControlPlane>,
    /// Without a control plane it never has a policy, and the classifier decides.
    pub bandit: Option<Bandit>,
}

impl Config {
    /// The name of a reason in headers, metrics and records.
    pub fn reason_name(&self, reason: Reason) -> &str {
        match reason {
            Reason::Rule(rule) => {
                self.rule_names.get(usize::from(rule)).map_or("rule", |name| name)
            }
            reason => reason.name(),
        }
    }

    /// All reasons that decisions for a target can have.
    pub fn reasons(&self, target: usize) -> Vec<Reason> {
        let mut reasons = Reason::ALL.to_vec();
        for rule in self.policies.iter().flat_map(|policy| &policy.rules) {
            let reason = Reason::Rule(rule.name);
            if rule.target == target && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }

    /// What each target's tokens cost; `None` unless all of them say so, because savings compare
    /// each target's price with the strongest's.
    pub fn prices(&self) -> Option<Vec<Price>> {
        self.targets.iter().map(|target| target.price).collect()
    }

    /// How much to read of a body, of which `size` bytes are here, or fewer: all when it has
    /// `ended`.
    pub fn bytes_to_read(&self, size: usize, ended: bool) -> usize {
        let whole = ended && (size <= self.hold_bytes || size == usize::MAX);
        if whole { self.hold_bytes } else { self.max_body_bytes }
    }

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
/// The default of `body.hold_bytes`.
const DEFAULT_HOLD_BYTES: usize = MAX_WHOLE_BODY_BYTES;

#[cfg(test)]
mod tests;
