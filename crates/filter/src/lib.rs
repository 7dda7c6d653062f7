//! The proxy-wasm host: the one crate that knows Envoy.
//!
//! [`root::Root`] lives as long as the configuration, [`request::Request`] as long as a request.
//! What happens to a request is [`pointsman_core::exchange`]; here its calls become the host's.
#![cfg(target_arch = "wasm32")]

mod host;
mod inspect;
mod inspector_metrics;
mod metrics;
mod request;
mod root;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<root::Root>::default());
}}
