//! The control plane: what learns from rewards, and the servers around it.

pub mod bandit;
pub mod capture;
pub mod serve;
