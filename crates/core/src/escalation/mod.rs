//! The safety net: a target's bad answer is found before its first byte leaves, and another target
//! is asked.
//!
//! ```text
//! listener ─► target's endpoint: [`Inspection`] holds the answer ─► sound: goes on, byte for byte
//!     ▲                                                          └► bad: a failure, by [`STATUS`]
//!     └─ Envoy's retry ─► next target: [`StandIn`] says what happened, or gives the answer back
//! ```
//!
//! Three instances of the filter take part, each with a configuration of its own: the router, which
//! marks the requests whose answers may be held; an inspector in front of each endpoint of such a
//! target; and one in front of each target that may be asked instead. What one has to tell another
//! is in the [`ledger`], which all workers share: a cache in between may have moved the request to
//! another worker.

mod breaker;
mod budget;
mod held;
mod help;
mod inspection;
mod inspector;
mod ledger;
mod stand_in;
#[cfg(test)]
mod tests;
mod token;

use crate::names::names;

pub use inspection::Inspection;
pub use inspector::Inspector;
pub use stand_in::StandIn;
pub use token::Token;

/// What a bad answer's status becomes: one that Envoy's route tries again, and that outlier
/// detection, which counts 5xx, does not hold against the endpoint.
pub const STATUS: u16 = 449;

names! {
    /// What happened to an answer that was to be held.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Outcome {
        /// No sign of a bad answer was found in what was held.
        Passed = "passed",
        /// It was bad, and another target was asked.
        Escalated = "escalated",
        /// It was bad, and nevertheless sent on.
        Kept = "kept",
        /// It was longer than what may be held: what was seen of it has no sign.
        TooLong = "too_long",
        /// It took longer than it may be held: what was seen of it has no sign.
        TimedOut = "timed_out",
        /// It is compressed, or of a media type that is not known here.
        Unreadable = "unreadable",
        /// The worker holds as much as it may.
        NoRoom = "no_room",
        /// Its request is too long to be sent again.
        LongRequest = "long_request",
        /// The client or the upstream left before there was a verdict.
        Aborted = "aborted",
    }
}

names! {
    /// Why a bad answer was sent on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum KeptFor {
        /// The provider ran tools for it, which may have had effects.
        ToolsRan = "tools_ran",
        /// `max_share` of this minute's answers have been escalated.
        MaxShare = "max_share",
        /// The other target's answers have shown the same sign.
        NoHelp = "no_help",
        /// The other target does not answer.
        Unavailable = "unavailable",
        /// Too many escalations are under way.
        NoRoom = "no_room",
    }
}
