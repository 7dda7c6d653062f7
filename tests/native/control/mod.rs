//! The control plane as a process: `pointsman serve` behind real HTTP, real Envoy in front of it,
//! and a real browser on its dashboard.
mod api;
mod caches;
mod dashboard;
mod envoy;
mod faults;
mod plane;
mod promotion;
mod redis;
mod simulation;
