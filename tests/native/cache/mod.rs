//! `pointsman cache` as a process: what hits, what must not, and what happens when things break.
mod answers;
mod calibration;
mod callers;
mod embeddings;
mod envoy;
mod faults;
mod hits;
mod kill;
mod limits;
mod metrics;
mod redis;
mod restart;
mod review;
mod shutdown;
mod tls;
mod upstream;
