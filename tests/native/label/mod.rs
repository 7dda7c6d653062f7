//! `pointsman label` against upstreams on loopback.
mod bad_input;
mod endpoint;
mod evaluators;
mod gsm8k;
mod judgements;
mod resume;
mod run;
mod upstream;
mod workflow;
