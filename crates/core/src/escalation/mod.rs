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
mod outbox;
mod pair;
mod question;
mod stand_in;
#[cfg(test)]
mod tests;
mod token;

pub use inspection::Inspection;
pub use inspector::Inspector;
pub use outbox::Outbox;
pub use stand_in::StandIn;
pub use token::Token;

pub use crate::sign::{KeptFor, Outcome};

/// What a bad answer's status becomes: one that Envoy's route tries again, and that outlier
/// detection, which counts 5xx, does not hold against the endpoint.
pub const STATUS: u16 = 449;
