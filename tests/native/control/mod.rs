//! The control plane as a process: `pointsman serve` behind real HTTP, real Envoy in front of it,
//! and a real browser on its dashboard.
mod access;
mod api;
mod caches;
mod dashboard;
mod envoy;
mod faults;
mod plane;
mod poison;
mod promotion;
mod redis;
mod redis_damage;
mod simulation;
