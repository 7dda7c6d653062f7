//! `pointsman label` against upstreams on loopback.
mod bad_input;
mod endpoint;
mod evaluators;
mod gsm8k;
mod hostile;
mod judgements;
mod reading;
mod resume;
mod review;
mod run;
mod sources;
mod upstream;
mod workflow;
