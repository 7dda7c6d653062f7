//! The proxy-wasm host: the one place that knows Envoy.
//!
//! [`root::Root`] lives as long as the configuration, [`request::Request`] as long as a request.

mod body;
mod control;
mod conversation;
mod metrics;
mod request;
mod response;
mod rewrite;
mod root;
mod route;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<root::Root>::default());
}}

/// The header that Envoy's route reads the cluster from (`cluster_header`).
const CLUSTER_HEADER: &str = "x-pointsman-cluster";
const TARGET_HEADER: &str = "x-pointsman-target";
const SOURCE_HEADER: &str = "x-pointsman-source";
const REASON_HEADER: &str = "x-pointsman-reason";
const SCORE_HEADER: &str = "x-pointsman-score";
const DECISION_ID_HEADER: &str = "x-pointsman-decision-id";

/// Filter state that access logs read as `%FILTER_STATE(wasm.pointsman:PLAIN)%`.
const RECORD_PROPERTY: &str = "pointsman";
