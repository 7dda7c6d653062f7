//! `pointsman label` against upstreams on loopback.

#[path = "label/bad_input.rs"]
mod bad_input;
#[path = "label/endpoint.rs"]
mod endpoint;
#[path = "label/evaluators.rs"]
mod evaluators;
#[path = "label/gsm8k.rs"]
mod gsm8k;
#[path = "label/resume.rs"]
mod resume;
#[path = "label/run.rs"]
mod run;
#[path = "label/upstream.rs"]
mod upstream;
#[path = "label/workflow.rs"]
mod workflow;
