//! This project's decision as an Envoy dynamic module: what the filter does, without a sandbox.
//!
//! An experiment that is measured and not shipped. The same exchange runs as in the filter; only its
//! [`host`] differs. What is missing of the filter: metrics, the control plane, changes to the body, and
//! which cluster answered.

mod abi;
mod hooks;
mod host;
