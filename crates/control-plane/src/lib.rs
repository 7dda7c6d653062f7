//! The control plane: what learns from rewards, and the server around it.

pub mod bandit;
pub mod serve;
